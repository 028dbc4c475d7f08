"""A scene in layers, one for each plane, peeled off from the nearest on; each goes on behind nearer ones.

A layer's matte is 1 on its own pixels, and falls to 0 within about a pixel outside. Where layers that are
seen overlap, all have the color of the picture, so that layers that are not blurred give back the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.synthesis.optics.hidden import EDGE, hidden_pixels, inpainted
from mfsynth.synthesis.optics.light import values_of
from mfsynth.synthesis.optics.windows import box_of, common, empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mfsynth.recipe import Optics
    from mfsynth.sample import PlaneMap, Scene, Window
    from mfsynth.synthesis.optics.hidden import Mask
    from mfsynth.synthesis.optics.light import Values

    Matte = NDArray[np.float32]
    """H x W, float32, 0 to 1: how much of each pixel a layer covers."""

_SOFT = np.array([[1, 2, 1], [2, 8, 2], [1, 2, 1]], np.float32)
_COVERED = (np.arange(256) / 8).clip(0, 1).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What lies in one plane, seen or hidden.

    Attributes:
        plane: Its index.
        part: The part of the picture where it is, and as much around it as a blur reaches.
        matte: In that part; None for the farthest layer, which covers everything.
        light: In that part, its colors times its matte.
    """

    plane: int
    part: Window
    matte: Matte | None
    light: Values


def peel(scene: Scene, optics: Optics, window: Window, reach: int) -> Iterator[Layer]:
    """The layers that are seen in a window, from the nearest to the farthest.

    The last one is the farthest of the whole picture, whether or not the window has a pixel of it. Layers go
    on behind nearer ones for twice the reach: a blurred rim lets through what is behind it, and that is
    blurred from as far again.

    Args:
        scene: Of which.
        optics: Of its recipe.
        window: A part of its picture.
        reach: How many pixels the largest blur reaches to each side.
    """
    depth = 2 * reach + 1 + EDGE
    seen = window.grown(reach, *scene.size)
    outer = seen.grown(depth + 2 * EDGE + 1, *scene.size)
    canvas = _Canvas(outer, values_of(scene.picture[outer.slices], optics.light), scene.planes(outer))
    farthest, *others = sorted({segment.plane for segment in scene.recipe.segments})
    for plane in reversed(others):
        own = box_of(canvas.planes == plane, outer)
        if empty(own):
            continue
        around = canvas.cut(common(own.grown(2 * depth + 2 * EDGE + 1, *scene.size), outer))
        colors, mask = _uncovered(scene, optics, around, plane, depth)
        matte = soft_matte(mask)
        box = box_of(matte > 0, around.window)
        part = common(box.grown(reach + 1, *scene.size), seen)  # mirrored, its border must be 0
        if not empty(part):
            at = part.within(around.window).slices
            yield Layer(plane, part, matte[at], times(colors[at], matte[at]))
    colors, _ = _uncovered(scene, optics, canvas, farthest, depth)
    yield Layer(farthest, seen, None, colors[seen.within(outer).slices])


@dataclass(frozen=True, slots=True, eq=False)
class _Canvas:
    window: Window
    values: Values
    planes: PlaneMap

    def cut(self, window: Window) -> _Canvas:
        at = window.within(self.window).slices
        return _Canvas(window, np.ascontiguousarray(self.values[at]), np.ascontiguousarray(self.planes[at]))


def _uncovered(scene: Scene, optics: Optics, canvas: _Canvas, plane: int, depth: int) -> tuple[Values, Mask]:
    """What is seen when all nearer layers are taken away, and where it is in a plane."""
    hidden = hidden_pixels(canvas.planes, plane, depth, scene.recipe)
    mask = canvas.planes == plane
    if not hidden.places.size:
        return canvas.values, mask
    mask.reshape(-1)[hidden.places] = hidden.planes == plane
    colors = canvas.values.copy()
    if optics.fill == "nearest":
        colors.reshape(-1, 3)[hidden.places] = canvas.values.reshape(-1, 3)[hidden.sources]
    else:
        picture = np.ascontiguousarray(inpainted(scene, plane, depth)[canvas.window.slices])
        colors.reshape(-1, 3)[hidden.places] = values_of(
            picture.reshape(-1, 1, 3)[hidden.places], optics.light
        )[:, 0]
    return colors, mask


def soft_matte(mask: Mask) -> Matte:
    """A matte that is 1 inside a mask, and falls to 0 within about a pixel outside, without stair steps."""
    return cv2.LUT(cv2.filter2D(mask.view(np.uint8), -1, _SOFT), _COVERED)  # type: ignore[return-value]


def times(colors: Values, factors: Matte) -> Values:
    """Colors times a factor for each pixel."""
    return cv2.multiply(colors, cv2.merge([factors] * 3))  # type: ignore[return-value]
