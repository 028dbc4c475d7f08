"""The contact sheet of samples: a row for each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.plots import color
from mfsynth.preview.colors import color_map, dark_color, focus_shares
from mfsynth.preview.kit.sheet import Block, Cell, encode_sheet
from mfsynth.preview.kit.sheet import draw_sheet as draw_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mfsynth.sample import FocusMap, Picture, Recipe, Sample

DPI = 250
_COLUMN = 1.6
"""Width of a picture, in inches."""
_MOST_PIXELS = 80e6
"""A sheet of very many samples is coarser: picture viewers refuse more than some 90 megapixels."""
_ROOM = 1.3
"""Height of a row at most, title and gap included, as a multiple of a picture's width."""


def draw_sheet(samples: Sequence[Sample], dpi: float = DPI) -> bytes:
    """A contact sheet as PNG.

    Columns are the ground truth, the focus map, each frame, and each frame with everything that is out of
    focus faded.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    columns = 2 + 2 * max(len(sample.frames) for sample in samples)
    inches = _COLUMN**2 * _ROOM * columns * len(samples)
    dpi = min(dpi, math.sqrt(_MOST_PIXELS / inches))
    blocks = (_block(sample, headed=number == 0) for number, sample in enumerate(samples))
    return encode_sheet(draw_blocks(blocks, round(_COLUMN * dpi)), dpi)


def caption(recipe: Recipe) -> str:
    """What was drawn for a sample, in a line."""
    shares = [f"{share:.0%}" for share in focus_shares(recipe)]
    parts = [f"blur σ = {recipe.blur.sigma:.2f} px"]
    noise = max(frame.noise_sigma for frame in recipe.frames)
    if noise > 0:
        parts.append(f"noise σ = {noise:.3f}")
    parts.append("in focus " + ", ".join(f"{share} in frame {k}" for k, share in enumerate(shares)))
    return "  ·  ".join(parts)


def _block(sample: Sample, headed: bool) -> Block:
    cells = list(_cells(sample))
    row = cells if headed else [Cell(cell.picture) for cell in cells]
    return Block([row], sample.recipe.key, caption(sample.recipe))


def _cells(sample: Sample) -> Iterator[Cell]:
    planes = [frame.plane for frame in sample.recipe.frames]
    yield Cell(sample.gt, "ground truth")
    yield Cell(color_map(sample.focus), "focus map")
    for number, (frame, plane) in enumerate(zip(sample.frames, planes, strict=True)):
        yield Cell(frame, f"frame {number}", dark_color(plane))
    for number, (frame, plane) in enumerate(zip(sample.frames, planes, strict=True)):
        yield Cell(_spotlight(frame, sample.focus, plane), f"sharp in frame {number}", dark_color(plane))


def _spotlight(frame: Picture, focus: FocusMap, plane: int) -> Picture:
    """A frame with what is out of focus gray and faded, and a line in the plane's color around the rest."""
    sharp = (focus == plane).view(np.uint8)
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    faded = np.repeat((255 - (255 - gray) * 0.35).astype(np.uint8)[..., None], 3, axis=2)
    shown = np.where(sharp[..., None] == 1, frame, faded)
    line = max(3, 2 * round(max(focus.shape) / 400) + 1)  # so that it shows at the sheet's size
    shown[cv2.dilate(sharp, np.ones((line, line), np.uint8)) > sharp] = color(plane)
    return shown
