"""The contact sheet: a row for each sample, drawn pixel by pixel so that nothing is blurred twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth import plots
from mfsynth.preview.colors import colour, colour_map, focus_shares, ink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from mfsynth.sample import FocusMap, Picture, Recipe, Sample

DPI = 250
# A sheet of very many samples gets coarser, since picture viewers refuse pictures beyond some 90 megapixels.
_MOST_PIXELS = 80e6

# Sizes in inches, type in points.
_COLUMN, _GAP, _MARGIN = 1.6, 0.06, 0.12
_HEAD, _CAPTION, _ROW_GAP = 0.24, 0.2, 0.1
_TYPE = 8.5
_INK, _QUIET = "#1a1a1a", "#555555"
_HAIRLINE = (208, 208, 208)


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a row, with its column's head and the head's colour."""

    head: str
    colour: str
    picture: Picture


def draw_sheet(samples: Sequence[Sample], dpi: float = DPI) -> bytes:
    """A contact sheet as PNG.

    Columns are the ground truth, the focus map, each frame, and each frame with all that is out of focus
    faded.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    columns = 2 + 2 * max(len(sample.frames) for sample in samples)
    width = 2 * _MARGIN + columns * _COLUMN + (columns - 1) * _GAP
    heights = [_row_height(sample) for sample in samples]
    height = _MARGIN + _HEAD + sum(heights) + len(samples) * (_CAPTION + _ROW_GAP)
    dpi = min(dpi, math.sqrt(_MOST_PIXELS / (width * height)))
    with plots.figure(width, height, dpi) as figure:
        top = height - _MARGIN
        for row, sample in enumerate(samples):
            panels = _panels(sample, round(_COLUMN * dpi), round(heights[row] * dpi))
            if row == 0:
                _draw_heads(figure, panels, top)
                top -= _HEAD
            _draw_caption(figure, sample.recipe, top)
            _draw_panels(figure, panels, top - _CAPTION, heights[row])
            top -= _CAPTION + heights[row] + _ROW_GAP
        return plots.png(figure)


def caption(recipe: Recipe) -> str:
    """What was drawn for a sample, in a line."""
    shares = [f"{share:.0%}" for share in focus_shares(recipe)]
    parts = [f"blur σ = {recipe.blur.sigma:.2f} px"]
    noise = max(frame.noise_sigma for frame in recipe.frames)
    if noise > 0:
        parts.append(f"noise σ = {noise:.3f}")
    parts.append("in focus " + ", ".join(f"{share} in frame {k}" for k, share in enumerate(shares)))
    return "  ·  ".join(parts)


def _row_height(sample: Sample) -> float:
    """A row's height in inches: a picture's at full width, but no more than a square's."""
    rows, columns = sample.window.height, sample.window.width
    return _COLUMN * min(1.0, rows / columns)


def _panels(sample: Sample, width: int, height: int) -> list[Panel]:
    rows, columns = sample.gt.shape[:2]
    scale = min(width / columns, height / rows)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    frames = [_resized(frame, size) for frame in sample.frames]
    focus = cv2.resize(sample.focus, size, interpolation=cv2.INTER_NEAREST)
    planes = [frame.plane for frame in sample.recipe.frames]
    return [
        Panel("ground truth", _INK, _resized(sample.gt, size)),
        Panel("focus map", _INK, _resized(colour_map(sample.focus), size)),
        *(Panel(f"frame {k}", ink(planes[k]), frame) for k, frame in enumerate(frames)),
        *(
            Panel(f"sharp in frame {k}", ink(planes[k]), _spotlight(frame, focus, planes[k]))  # type: ignore[arg-type]
            for k, frame in enumerate(frames)
        ),
    ]


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    shrinks = size[0] < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)  # type: ignore[return-value]


def _spotlight(frame: Picture, focus: FocusMap, plane: int) -> Picture:
    """A frame with what is out of focus grey and faded, and a line in the plane's colour between the two."""
    sharp = (focus == plane).view(np.uint8)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    faded = np.repeat((255 - (255 - grey) * 0.35).astype(np.uint8)[..., None], 3, axis=2)
    shown = np.where(sharp[..., None] == 1, frame, faded)
    shown[cv2.dilate(sharp, np.ones((3, 3), np.uint8)) > sharp] = colour(plane)
    return shown


def _draw_heads(figure: Figure, panels: list[Panel], top: float) -> None:
    width, height = figure.get_size_inches()
    for column, panel in enumerate(panels):
        centre = _MARGIN + column * (_COLUMN + _GAP) + _COLUMN / 2
        figure.text(
            centre / width, (top - 0.02) / height, panel.head,
            ha="center", va="top", fontsize=_TYPE + 0.5, fontweight="bold", color=panel.colour,
        )  # fmt: skip


def _draw_caption(figure: Figure, recipe: Recipe, top: float) -> None:
    width, height = figure.get_size_inches()
    y = (top - _CAPTION / 2 + 0.015) / height
    # parse_math: keys and numbers of a data set are text, whatever dollar signs are in them
    style: dict[str, Any] = {"va": "center_baseline", "fontsize": _TYPE, "parse_math": False}
    key = figure.text(_MARGIN / width, y, recipe.key, color=_INK, family="monospace", **style)
    right = key.get_window_extent().x1 / figure.dpi
    figure.text((right + 0.12) / width, y, caption(recipe), color=_QUIET, **style)


def _draw_panels(figure: Figure, panels: list[Panel], top: float, height: float) -> None:
    dpi = figure.dpi
    for column, panel in enumerate(panels):
        picture = cv2.copyMakeBorder(panel.picture, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=_HAIRLINE)
        rows, columns = picture.shape[:2]
        left = (_MARGIN + column * (_COLUMN + _GAP) + _COLUMN / 2) * dpi - columns / 2
        bottom = (top - height / 2) * dpi - rows / 2
        figure.figimage(picture, round(left), round(bottom), origin="upper")
