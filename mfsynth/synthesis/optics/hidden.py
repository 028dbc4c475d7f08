"""What nearer layers hide: the planes and colors behind them.

A hidden pixel belongs to the plane of the nearest pixel that is not hidden, and takes its color from there
(`nearest`), or from OpenCV's inpainting (`inpaint`). Both take colors from a few pixels beyond the edge,
since masks are a little too tight or too wide, and a near layer's own color behind it would show as a halo.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.sample import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture, Scene

    PlaneMap = NDArray[np.uint8]
    """H x W, uint8: the plane of each pixel."""
    Mask = NDArray[np.bool_]
    """H x W, bool."""
    Places = NDArray[np.intp]
    """Indices of pixels, row by row."""
    Distances = NDArray[np.floating[Any] | np.integer[Any]]

EDGE = 3
"""Pixels from an edge to where colors are taken: outlines of COCO are off by two or three."""
_RADIUS = 3
"""Of the neighborhood that inpainting looks at, in pixels."""
_KEPT = 16
"""How many inpainted pictures are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Pixels that nearer layers hide, and what each of them shows when those are taken away.

    Attributes:
        places: Where they are.
        planes: For each, the plane of the nearest pixel that is not hidden.
        colors: For each, the pixel that its color comes from, `EDGE` beyond that one as seen from here; it
            itself if there is another plane.
    """

    places: Places
    planes: NDArray[np.uint8]
    colors: Places


def plane_map(scene: Scene, window: Window) -> PlaneMap:
    """The plane of each pixel inside a window."""
    segments, listed = scene.segments[window.slices], scene.recipe.segments
    table = np.zeros(max(256, len(listed)), np.uint8)
    table[: len(listed)] = [segment.plane for segment in listed]
    return cv2.LUT(segments, table[:256]) if segments.dtype == np.uint8 else table[segments]  # type: ignore[return-value]


def hidden_pixels(planes: PlaneMap, plane: int, depth: int) -> Hidden:
    """The pixels nearer than a plane, up to `depth` pixels from the nearest one that is not.

    What a pixel shows is decided by those up to `depth + EDGE` pixels from it. Distances are OpenCV's, which
    are up to 2 % too small.
    """
    mask = planes > plane
    if not mask.any():
        nothing = np.empty(0, np.intp)
        return Hidden(nothing, nothing.astype(np.uint8), nothing)
    distances, labels = cv2.distanceTransformWithLabels(
        mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    places = np.flatnonzero((distances > 0) & (distances <= depth))
    nearest = np.flatnonzero(~mask)[labels.reshape(-1)[places] - 1]
    colors = _beyond(planes, places, nearest, distances.reshape(-1)[places])
    return Hidden(places, planes.reshape(-1)[nearest], colors)


def _beyond(planes: PlaneMap, places: Places, nearest: Places, distances: Distances) -> Places:
    """The pixels `EDGE` farther away than the nearest, in the same direction, where they have its plane."""
    height, width = planes.shape
    (rows, columns), (from_rows, from_columns) = np.divmod(nearest, width), np.divmod(places, width)
    step = EDGE / distances
    rows = rows + np.rint((rows - from_rows) * step).astype(np.intp)
    columns = columns + np.rint((columns - from_columns) * step).astype(np.intp)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    beyond = np.where(inside, rows * width + columns, nearest)
    flat = planes.reshape(-1)
    return np.where(flat[beyond] == flat[nearest], beyond, nearest)


@lru_cache(maxsize=_KEPT)
def inpainted(scene: Scene, plane: int, depth: int) -> Picture:
    """The whole picture with what is nearer than a plane inpainted, up to `depth` pixels from the edge.

    Inpainting carries on whatever it has filled, so that no part can be made without the whole; the last few
    are kept, for other windows of the same scene.
    """
    planes = plane_map(scene, Window(0, 0, *scene.size))
    mask = (planes > plane).view(np.uint8)
    # Twice as deep, as it fills from all sides at once: what is filled from the far side is never used.
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    around = cv2.dilate(mask, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8))
    fill = np.where(distances <= 2 * depth, around, 0).astype(np.uint8)
    return cv2.inpaint(scene.picture, fill, _RADIUS, cv2.INPAINT_TELEA)  # type: ignore[return-value]
