"""The frames that a lens makes of a plate, without noise and in the ground truth's geometry.

All blurs are products of spectra in float32: one transform of a picture or layer, and one back for each
kernel. Values from 0 to 1 are off by about 1e-6, some thousandths of a gray level where the sRGB curve is
steepest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mfsynth.synthesis.optics.compose import NOTHING
from mfsynth.synthesis.optics.layers import FULL
from zoo.training.rendering.plates import Hard
from zoo.training.rendering.tables import looked_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import Picture
    from zoo.training.rendering.plates import Plate, Sheet

_UNIT = 32
"""Sides of spectra are multiples of this: their factors are small, and few sizes occur."""


class Blur:
    """Blurs planes that go on beyond what is made, by the reach R of the kernels on each side.

    Args:
        taps: K x (2 R + 1) x (2 R + 1): the kernels.
        size: Height and width of the planes.
    """

    def __init__(self, taps: Tensor, size: tuple[int, int]) -> None:
        self._size = size
        self._ends = taps.shape[1] - 1
        self._shape = [-(-side // _UNIT) * _UNIT for side in size]
        self._kernels = torch.fft.rfft2(taps, s=self._shape)

    def __call__(self, planes: Tensor, kernels: Sequence[int]) -> Tensor:
        """C x H x W blurred with each of some kernels: K x C x (H - 2 R) x (W - 2 R)."""
        spectra = torch.fft.rfft2(planes, s=self._shape) * self._kernels[list(kernels), None]
        blurred: Tensor = torch.fft.irfft2(spectra, s=self._shape)
        return blurred[..., self._ends : self._size[0], self._ends : self._size[1]]


def clean_frames(plate: Plate, device: torch.device) -> Tensor:
    """All frames in `plate.clean`: F x 3 x h x w, float32, values as `plate.light` says."""
    taps = torch.from_numpy(plate.taps).to(device)
    if isinstance(plate.lens, Hard):
        return _composed(plate.lens, taps, plate.light, device)
    return _layered(plate.lens, taps, plate.light, device)


def on(array: Picture, device: torch.device) -> Tensor:
    """H x W x 3 as 3 x H x W on a device."""
    return torch.from_numpy(array).to(device).permute(2, 0, 1)


def _composed(lens: Hard, taps: Tensor, light: str, device: torch.device) -> Tensor:
    """Each pixel of each frame is one of the blurred picture's."""
    values = looked_up(light, on(lens.picture, device))
    blurred = Blur(taps, lens.picture.shape[:2])(values, range(len(taps)))
    choice = torch.from_numpy(lens.choice).to(device).long()[:, None]
    return blurred.gather(0, choice.expand(-1, *blurred.shape[1:]))


def _layered(layers: Sequence[Sheet], taps: Tensor, light: str, device: torch.device) -> Tensor:
    """Each layer adds what the nearer ones let through."""
    blur = Blur(taps, layers[0].cover.shape)
    frames, through = torch.zeros((), device=device), torch.ones((), device=device)
    for layer in layers:
        matte = (torch.from_numpy(layer.cover).to(device) / FULL).clamp(max=1)[None]
        lit = looked_up(light, on(layer.colors, device)) * matte
        blurred = blur(torch.cat([lit, matte]), layer.kernels)[list(layer.choice)]
        frames = frames + through * blurred[:, :3]
        left = 1 - blurred[:, 3:]
        through = through * torch.where(left > NOTHING, left, 0)
    return frames
