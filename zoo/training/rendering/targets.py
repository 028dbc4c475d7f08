"""`nearest` and `certain` with torch; see `mfsynth.synthesis.optics.targets`."""

from __future__ import annotations

import torch
from torch import Tensor

from mfsynth.synthesis.optics.targets import AREA, NO_FRAME, REACH, VISIBLE
from zoo.networks.layers import mirror
from zoo.training.rendering.tables import looked_up

_MORE = 256
"""More than there are frames."""


def targets(frames: Tensor, gt: Tensor, focus: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which frame is nearest to the truth, and how surely; of whole numbers, so the same on every device.

    Args:
        frames: F x 3 x H x W, uint8.
        gt: 3 x H x W, uint8.
        focus: H x W, uint8.
        valid: F x H x W, bool: where each frame shows the picture; None if everywhere.
    """
    errors = _errors(frames, gt)
    if valid is not None:
        errors = torch.where(valid, errors, NO_FRAME)
    numbers = torch.arange(len(errors), device=errors.device, dtype=torch.int32)[:, None, None]
    least = (errors * _MORE + numbers).amin(0)  # of equals, the first
    smallest, best = least // _MORE, least % _MORE
    named = errors.gather(0, focus[None].long())[0]
    nearest = torch.where(named - smallest < AREA * VISIBLE, focus, best.byte())
    return nearest, looked_up("certain", smallest)


def _errors(frames: Tensor, gt: Tensor) -> Tensor:
    """The largest of the channels' differences, summed over 3 x 3 pixels: F x H x W, int32."""
    height, width = gt.shape[1:]
    around = mirror((frames.int() - gt.int()).abs().amax(1)[None], *(REACH,) * 4)[0]
    side = range(2 * REACH + 1)
    shifted = [around[:, y : y + height, x : x + width] for y in side for x in side]
    return torch.stack(shifted).sum(0, dtype=torch.int32)
