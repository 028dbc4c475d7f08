"""The rectangle that a fused picture covers, and bringing frames onto it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.alignment.similarity import IDENTITY
from zoo.alignment.warp import warped
from zoo.errors import AlignmentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.alignment.similarity import Similarity

    Spans = tuple[NDArray[np.int64], NDArray[np.int64]]
    """For each row, the first column that is shown, and the one after the last."""

Crop = Literal["first", "common", "none"]
"""What the result covers: the first frame, what all frames show, or what any frame shows."""

UNTOUCHED = 0.05
"""A frame whose corners move by less than this many pixels is not resampled."""

_ROUNDING = 1e-6
_FLAT = 1e-12

_LEAST = 0.1
"""The smallest share of the first frame that all frames may show."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A rectangle in the geometry of the first frame.

    Args:
        top: The row of the first frame where it begins; may be negative.
        left: The column, the same.
        height: In pixels.
        width: In pixels.
    """

    top: int
    left: int
    height: int
    width: int


def canvas_of(moves: Sequence[Similarity], height: int, width: int, crop: Crop) -> Canvas:
    """The rectangle that a crop asks for.

    A frame shows a point that lies within one of its pixels: up to half a pixel beyond the centers of its
    outermost ones.

    Args:
        moves: Where each frame lies relative to the first.
        height: Of every frame, in pixels.
        width: Of every frame, in pixels.
        crop: `first` is the first frame's rectangle, `common` the largest of which every frame shows every
            pixel, `none` the smallest with every pixel that any frame shows.

    Raises:
        AlignmentError: If the frames show less than a tenth of the first in common.
    """
    if crop == "first":
        return Canvas(0, 0, height, width)
    if crop == "none":
        return _around(moves, height, width)
    first = Canvas(0, 0, height, width)
    spans = [_spans(move, first, height, width) for move in moves]
    found = _largest(np.max([start for start, _ in spans], 0), np.min([end for _, end in spans], 0))
    if found.height * found.width < _LEAST * height * width:
        raise AlignmentError(
            f"the frames show only {found.width} x {found.height} pixels in common",
            "omit --crop common, or leave out the frames that moved far",
        )
    return found


def onto(
    frame: NDArray[Any], move: Similarity, canvas: Canvas
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """A frame as the canvas shows it, and where it shows anything.

    Values stay within the frame's own: interpolation (Lanczos, 8 x 8) does not overshoot them.

    Args:
        frame: H x W x 3 or H x W; uint8, uint16, or float32 of any range.
        move: Where it lies relative to the first.
        canvas: In the geometry of the first.

    Returns:
        The pixels, of the frame's dtype, 0 where it has none; and H x W, bool: False there (None: it covers
        the whole canvas). The array that was given comes back if nothing has to be moved.
    """
    height, width = frame.shape[:2]
    if move.displacement(height, width) < UNTOUCHED:
        move = IDENTITY
        if canvas == Canvas(0, 0, height, width):
            return frame, None
    start, end = _spans(move, canvas, height, width)
    matrix = move.matrix @ np.array([[1, 0, canvas.left], [0, 1, canvas.top], [0, 0, 1]], np.float64)
    pixels = warped(frame, matrix, canvas.height, canvas.width)
    if not start.any() and (end == canvas.width).all():
        return pixels, None
    columns = np.arange(canvas.width)
    shown = (columns >= start[:, None]) & (columns < end[:, None])
    pixels[~shown] = 0
    return pixels, shown


def coverage(moves: Sequence[Similarity], height: int, width: int, canvas: Canvas) -> list[float]:
    """The share of the canvas that each frame shows, 0 to 1.

    Args:
        moves: Where each frame lies relative to the first.
        height: Of every frame, in pixels.
        width: Of every frame, in pixels.
        canvas: In the geometry of the first.
    """
    spans = [_spans(move, canvas, height, width) for move in moves]
    return [float((end - start).sum()) / (canvas.height * canvas.width) for start, end in spans]


def shown_by_any(moves: Sequence[Similarity], height: int, width: int, canvas: Canvas) -> NDArray[np.bool_]:
    """Where any frame shows something of the canvas, H x W; arguments as for `coverage`."""
    columns = np.arange(canvas.width)
    shown = np.zeros((canvas.height, canvas.width), bool)
    for move in moves:
        start, end = _spans(move, canvas, height, width)
        shown |= (columns >= start[:, None]) & (columns < end[:, None])
        if shown.all():
            break
    return shown


def _spans(move: Similarity, canvas: Canvas, height: int, width: int) -> Spans:
    """What a frame shows of each row of the canvas; an empty span begins and ends at the same column."""
    if move.displacement(height, width) < UNTOUCHED:
        move = IDENTITY
    rows = np.arange(canvas.height) + canvas.top
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for (across, down, shift), side in zip(move.matrix, (width, height), strict=True):
        for sign, edge in ((1, 0.5), (-1, side - 0.5)):  # sign * place + edge >= 0
            slope, rest = sign * across, sign * (down * rows + shift) + edge + _ROUNDING
            if slope > _FLAT:
                low = np.maximum(low, -rest / slope)
            elif slope < -_FLAT:
                high = np.minimum(high, -rest / slope)
            else:
                high = np.where(rest >= 0, high, -np.inf)
    start = np.ceil((low - canvas.left).clip(0, canvas.width)).astype(np.int64)
    end = np.floor((high - canvas.left).clip(-1, canvas.width - 1)).astype(np.int64) + 1
    return start, np.maximum(start, end)


def _largest(start: NDArray[np.int64], end: NDArray[np.int64]) -> Canvas:
    """The largest rectangle within spans whose ends are those of a convex figure.

    Between two rows such a figure is nowhere narrower than what both rows share.
    """
    best, rows = Canvas(0, 0, 0, 0), np.arange(len(start))
    for top in rows[end > start]:
        left, right = np.maximum(start[top], start[top:]), np.minimum(end[top], end[top:])
        areas = (right - left).clip(0) * (rows[top:] - top + 1)
        bottom = int(areas.argmax())
        if areas[bottom] > best.height * best.width:
            best = Canvas(int(top), int(left[bottom]), bottom + 1, int(right[bottom] - left[bottom]))
    return best


def _around(moves: Sequence[Similarity], height: int, width: int) -> Canvas:
    corners = np.array([[x, y, 1] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    places = [corners @ IDENTITY.relative_to(move).matrix.T for move in moves]
    low, high = np.min(places, (0, 1)), np.max(places, (0, 1))
    left, top = (math.ceil(each - _ROUNDING) for each in low)
    right, bottom = (math.floor(each + _ROUNDING) for each in high)
    return Canvas(top, left, bottom - top + 1, right - left + 1)
