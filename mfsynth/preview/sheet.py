"""The contact sheet of samples: a row for each pair, several for a stack."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.preview.colors import color, color_map, dark_color, focus_shares
from mfsynth.preview.kit.sheet import Block, Cell, encode_sheet
from mfsynth.preview.kit.sheet import draw_sheet as draw_blocks
from mfsynth.preview.words import blur_words, breathing_words, edge_words, noise_words, quality_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mfsynth.sample import FocusMap, Picture, Recipe, Sample

DPI = 250
_COLUMN = 1.6
"""Width of a picture, in inches."""
_COLUMNS = 6
"""The most pictures in a line."""
_MOST_PIXELS = 80e6
"""A sheet of very many samples is coarser: picture viewers refuse more than some 90 megapixels."""
_ROOM = 1.3
"""Height of a row at most, title and gap included, as a multiple of a picture's width."""


def draw_sheet(samples: Sequence[Sample], dpi: float = DPI) -> bytes:
    """A contact sheet as PNG.

    A pair has a line of six pictures, a stack has several lines: the ground truth, the maps, each frame, and
    each frame with everything that is out of focus faded. The last are left out where a pair has targets of
    its own, and where a stack has more than six frames.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    places = sum(_width(sample.recipe) * _height(sample.recipe) for sample in samples)
    dpi = min(dpi, math.sqrt(_MOST_PIXELS / (_COLUMN**2 * _ROOM * places)))
    drawn = (_block(sample, headed=number == 0) for number, sample in enumerate(samples))
    return encode_sheet(draw_blocks(drawn, round(_COLUMN * dpi)), dpi)


def caption(recipe: Recipe) -> str:
    """What was drawn for a sample, in a line; of pairs also how much is in focus in each frame."""
    blur, noise, shares = blur_words(recipe), noise_words(recipe), focus_shares(recipe)
    focus = [f"{share:.0%} in frame {k}" for k, share in enumerate(shares)]
    if recipe.optics:  # leaves little room
        focus = [f"{share:.0%}" for share in shares]
    parts = [
        f"blur {blur}" if blur.startswith("σ") else blur,
        edge_words(recipe),
        noise and f"noise {noise}",
        quality_words(recipe),
        breathing_words(recipe),
        "in focus " + ", ".join(focus) if len(shares) == 2 else "",
    ]
    return "  ·  ".join(part for part in parts if part)


def _block(sample: Sample, headed: bool) -> Block:
    lines = _lines(sample)
    if not headed and len(lines) == 1:
        lines = [[Cell(cell.picture) for cell in lines[0]]]
    width = max(map(len, lines))
    filled = [line + [Cell()] * (width - len(line)) for line in lines]
    return Block(filled, sample.recipe.key, caption(sample.recipe))


def _lines(sample: Sample) -> list[list[Cell]]:
    """The pictures of a sample, line by line."""
    maps, frames, spotlights = list(_maps(sample)), list(_frames(sample)), list(_spotlights(sample))
    if len(frames) == 2:
        return [[*maps, *frames, *spotlights][:_COLUMNS]]
    parts, width = (maps, frames, spotlights), _width(sample.recipe)
    return [part[k : k + width] for part in parts for k in range(0, len(part), width)]


def _width(recipe: Recipe) -> int:
    """How many pictures there are in a line."""
    frames = len(recipe.frames)
    return _COLUMNS if frames == 2 else min(max(frames, 4), _COLUMNS)


def _height(recipe: Recipe) -> int:
    """How many lines a sample has."""
    frames, width = len(recipe.frames), _width(recipe)
    return 1 if frames == 2 else 1 + (2 if frames <= _COLUMNS else -(-frames // width))


def _maps(sample: Sample) -> Iterator[Cell]:
    yield Cell(sample.gt, "ground truth")
    yield Cell(color_map(sample.focus), "focus map")
    if sample.recipe.optics:
        yield Cell(color_map(sample.nearest), "nearest")
        yield Cell(np.repeat(sample.certain[..., None], 3, axis=2), "certain")


def _frames(sample: Sample) -> Iterator[Cell]:
    for number, frame in enumerate(sample.frames):
        yield Cell(frame, f"frame {number}", dark_color(number))


def _spotlights(sample: Sample) -> Iterator[Cell]:
    for number, frame in enumerate(sample.frames if len(sample.frames) <= _COLUMNS else ()):
        yield Cell(_spotlight(frame, sample.focus, number), f"sharp in frame {number}", dark_color(number))


def _spotlight(frame: Picture, focus: FocusMap, number: int) -> Picture:
    """A frame with what is out of focus gray and faded, and a line in the frame's color around the rest."""
    sharp = (focus == number).view(np.uint8)
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    faded = np.repeat((255 - (255 - gray) * 0.35).astype(np.uint8)[..., None], 3, axis=2)
    shown = np.where(sharp[..., None] == 1, frame, faded)
    line = max(3, 2 * round(max(focus.shape) / 400) + 1)  # so that it shows at the sheet's size
    shown[cv2.dilate(sharp, np.ones((line, line), np.uint8)) > sharp] = color(number)
    return shown
