"""What frames pass from the lens to the file, but for the JPEG: motion, noise of light, rounding, grain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mfsynth.synthesis.optics.breathing import STEPS
from mfsynth.synthesis.optics.light import STEPS as LEVELS
from zoo.training.rendering.tables import looked_up

if TYPE_CHECKING:
    from mfsynth.sample import Window
    from mfsynth.synthesis.optics.reach import Size
    from zoo.training.rendering.plates import Grain, Move, Plate, Sensor

_BEFORE = 3
"""Pixels of Lanczos's kernel before a place; four more follow."""


def picture_of(values: Tensor, light: str) -> Tensor:
    """Values as gray levels, rounded once and saturated, uint8."""
    if light == "srgb":
        return (values * 255).round().clamp(0, 255).byte()
    return looked_up("encoded", _steps(values))


def taken(plate: Plate, clean: Tensor, shown: Tensor) -> Tensor:
    """The frames as they are taken, without their JPEG, in `plate.made`: F x 3 x h x w, uint8.

    Args:
        plate: Of the frames.
        clean: What the lens makes, in `plate.clean`.
        shown: The same as pictures.
    """
    at = (..., *plate.made.within(plate.clean).slices)
    pictures = shown[at]
    if plate.sensor or any(plate.moves):
        pictures = _lit(plate, clean, pictures)
    return grained(pictures, plate.grain) if plate.grain else pictures


def _lit(plate: Plate, clean: Tensor, pictures: Tensor) -> Tensor:
    """The frames after motion and noise of light; a frame with neither stays as it is."""
    values = clean if plate.light == "linear" else looked_up("decoded", _steps(clean))
    at = (..., *plate.made.within(plate.clean).slices)
    frames = torch.stack([
        frame[at] if move is None else moved(frame, move, plate.clean, plate.size)
        for frame, move in zip(values, plate.moves, strict=True)
    ])  # fmt: skip
    if plate.sensor:
        return picture_of(noisy(frames, plate.sensor), "linear")
    still = torch.tensor([move is None for move in plate.moves], device=clean.device)
    return torch.where(still[:, None, None, None], pictures, picture_of(frames, "linear"))


def moved(values: Tensor, move: Move, given: Window, size: Size) -> Tensor:
    """A frame of linear light in another geometry and exposure, resampled with Lanczos's kernel.

    Args:
        values: 3 x H x W, inside `given`.
        move: Where its pixels come from.
        given: A window of the picture.
        size: Height and width of the picture, which is mirrored at its border.

    Returns:
        3 x h x w, from 0 to 1.
    """
    columns, rows = (torch.from_numpy(each).to(values.device) for each in (move.columns, move.rows))
    across, down = (looked_up("lanczos", each & STEPS - 1) for each in (columns, rows))
    taps = torch.arange(-_BEFORE, across.shape[-1] - _BEFORE, device=values.device)
    x = _mirrored((columns // STEPS)[..., None] + taps, size[1]) - given.left
    y = _mirrored((rows // STEPS)[..., None] + taps, size[0]) - given.top
    pixels = values.flatten(1)
    made = torch.zeros(len(values), *columns.shape, device=values.device)
    for row in range(len(taps)):
        line = pixels[:, y[..., row, None] * given.width + x]
        made += (line * across).sum(-1) * down[..., row]
    return (made * move.factor).clamp(0, 1)


def noisy(values: Tensor, sensor: Sensor) -> Tensor:
    """Linear light with shot and read noise, not saturated."""
    variance = values.clamp(min=0) * sensor.shot_noise + sensor.read_noise**2
    return values + variance.sqrt() * _drawn(sensor, values.device)


def grained(pictures: Tensor, grain: Grain) -> Tensor:
    """F x 3 x h x w, uint8, with Gaussian noise that is rounded by itself; saturated."""
    sigmas = torch.tensor(grain.sigmas, device=pictures.device)[:, None, None, None]
    noise = (_drawn(grain, pictures.device) * (sigmas * 255)).round().clamp(-255, 255)
    return (pictures + noise).clamp(0, 255).byte()


def _drawn(noise: Sensor | Grain, device: torch.device) -> Tensor:
    """The normal quantiles of its words: F x 3 x h x w."""
    words = torch.from_numpy(noise.words).to(device).permute(0, 3, 1, 2)
    return looked_up("quantiles", words.int() & 0xFFFF)


def _steps(values: Tensor) -> Tensor:
    """Values as steps of the curve's tables."""
    return (values * LEVELS).round().clamp(0, LEVELS).int()


def _mirrored(places: Tensor, length: int) -> Tensor:
    folded = places % max(1, 2 * length - 2)
    return torch.minimum(folded, 2 * length - 2 - folded)
