"""What nearer layers hide: the planes and colors behind them.

A hidden pixel belongs to the plane of the nearest pixel that is not hidden, and takes its color from there
(`nearest`), or from OpenCV's inpainting (`inpaint`). Both take colors from a few pixels beyond the edge,
since masks are a little too tight or too wide, and a near layer's own color behind it would show as a halo.

Inpainting comes closer to what is really there, by 0.5 dB near the edge and 0.8 dB farther in, and by 0.1 to
0.3 dB once all is blurred, but takes 40 ms instead of 3 for each layer at COCO's size
(`scripts/compare_fills.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.recipe import Recipe
    from mfsynth.sample import Picture, PlaneMap, Scene

    Mask = NDArray[np.bool_]
    """H x W, bool."""
    Places = NDArray[np.intp]
    """Indices of pixels, row by row."""
    Distances = NDArray[np.floating[Any] | np.integer[Any]]

EDGE = 3
"""Pixels on either side of an edge whose colors are a mixture: outlines of COCO are off by two or three."""
_RADIUS = 3
"""Of the neighborhood that inpainting looks at, in pixels."""
_NOWHERE = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Pixels that have another color, or another plane too, when nearer layers are taken away.

    Attributes:
        places: Where they are.
        planes: For each, its plane then.
        sources: For each, the pixel whose color it takes.
    """

    places: Places
    planes: NDArray[np.uint8]
    sources: Places


def rim(recipe: Recipe, distance: int) -> int:
    """How many pixels beside a layer that many planes nearer are uncertain.

    Their color may be the near layer's. It is not used if either layer's blur hides that pixels are missing:
    the two blurs together are at least that between the layers, of which this is the standard deviation.
    """
    return min(EDGE, int(recipe.blur.sigma * distance / (recipe.planes - 1)))


def hidden_pixels(planes: PlaneMap, plane: int, depth: int, recipe: Recipe) -> Hidden:
    """The pixels whose color or plane is not known when nearer layers are taken away, and what they become.

    They are those that nearer layers hide, up to `depth` pixels from what is known, and the rims of those
    layers. Each takes the color, and if it was hidden the plane, of the nearest known pixel; a rim's pixel
    keeps its color if that one has another plane. Distances are OpenCV's, which are up to 2 % too small.
    """
    mask = planes > plane
    if not mask.any():
        return Hidden(_NOWHERE, _NOWHERE.astype(np.uint8), _NOWHERE)
    unknown, width = _with_rims(planes, plane, recipe)
    distances, labels = cv2.distanceTransformWithLabels(
        unknown.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    places = np.flatnonzero((distances > 0) & (distances <= depth))
    nearest = np.flatnonzero(~unknown)[labels.reshape(-1)[places] - 1]
    sources = _beyond(planes, places, nearest, distances.reshape(-1)[places], EDGE - width)
    flat = planes.reshape(-1)
    new, old, hidden = flat[nearest], flat[places], mask.reshape(-1)[places]
    known = hidden | (new == old)
    return Hidden(places[known], new[known], sources[known])


def _with_rims(planes: PlaneMap, plane: int, recipe: Recipe) -> tuple[Mask, int]:
    """What is nearer than a plane, with its rims; and the widest rim."""
    mask, widest = planes > plane, 0
    for distance in range(1, recipe.planes - plane):
        if rim(recipe, distance) > widest:
            widest = rim(recipe, distance)
            mask |= cv2.dilate((planes >= plane + distance).view(np.uint8), _round(widest)).view(np.bool_)
    return mask, widest


@cache
def _round(radius: int) -> NDArray[np.uint8]:
    offsets = np.arange(-radius, radius + 1) ** 2
    return (offsets[:, None] + offsets <= radius**2 + radius).astype(np.uint8)


def _beyond(planes: PlaneMap, places: Places, nearest: Places, distances: Distances, step: int) -> Places:
    """The pixels a step beyond the nearest, as seen from the places; or the nearest, if the planes differ."""
    if step == 0:
        return nearest
    height, width = planes.shape
    (rows, columns), (from_rows, from_columns) = np.divmod(nearest, width), np.divmod(places, width)
    rows = rows + np.rint((rows - from_rows) * (step / distances)).astype(np.intp)
    columns = columns + np.rint((columns - from_columns) * (step / distances)).astype(np.intp)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    beyond = np.where(inside, rows * width + columns, nearest)
    flat = planes.reshape(-1)
    return np.where(flat[beyond] == flat[nearest], beyond, nearest)


def inpainted(scene: Scene, plane: int, depth: int) -> Picture:
    """The whole picture with what is nearer than a plane inpainted, up to `depth` pixels from the edge.

    Inpainting carries on whatever it has filled, so that no part can be made without the whole. All pictures
    of the last scene are kept, for its other windows.
    """
    kept = _kept(scene)
    if (plane, depth) not in kept:
        kept[plane, depth] = _inpaint(scene, plane, depth)
    return kept[plane, depth]


@lru_cache(maxsize=1)
def _kept(_: Scene) -> dict[tuple[int, int], Picture]:
    return {}


def _inpaint(scene: Scene, plane: int, depth: int) -> Picture:
    mask = (scene.planes() > plane).view(np.uint8)
    # Twice as deep, as it fills from all sides at once: what is filled from the far side is never used.
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    around = cv2.dilate(mask, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8))
    fill = np.where(distances <= 2 * depth, around, 0).astype(np.uint8)
    height = len(fill)
    rows = np.arange(max(2, height)) % height  # of a single row, OpenCV reads beyond the picture
    # OpenCV's other method, Telea's, is no better, and two gray levels too bright.
    return cv2.inpaint(scene.picture[rows], fill[rows], _RADIUS, cv2.INPAINT_NS)[:height]  # type: ignore[return-value]
