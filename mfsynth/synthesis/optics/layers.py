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

    from mfsynth.recipe import Light, Optics
    from mfsynth.sample import Picture, PlaneMap, Scene, Window
    from mfsynth.synthesis.optics.hidden import Mask
    from mfsynth.synthesis.optics.light import Values

    Matte = NDArray[np.float32]
    """H x W, float32, 0 to 1: how much of each pixel a layer covers."""
    Cover = NDArray[np.uint8]
    """H x W, uint8: the same in eighths; what is more than 8 counts as 8."""

FULL = 8
"""The cover of a pixel that is covered wholly."""
_SOFT = np.array([[1, 2, 1], [2, FULL, 2], [1, 2, 1]], np.float32)
_COVERED = (np.arange(256) / FULL).clip(0, 1).astype(np.float32)


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


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A layer before it is turned into light.

    Attributes:
        plane: Its index.
        part: The part of the picture where it is, and as much around it as a blur reaches.
        cover: In that part; None for the farthest layer, which covers everything.
        colors: In that part, sRGB.
    """

    plane: int
    part: Window
    cover: Cover | None
    colors: Picture

    def layer(self, light: Light) -> Layer:
        """The layer, in linear light or sRGB values."""
        values = values_of(self.colors, light)
        if self.cover is None:
            return Layer(self.plane, self.part, None, values)
        matte = _matte_of(self.cover)
        return Layer(self.plane, self.part, matte, times(values, matte))


def peel(scene: Scene, optics: Optics, window: Window, reach: int) -> Iterator[Layer]:
    """The layers that are seen in a window, from the nearest to the farthest; see `cut_out`."""
    return (each.layer(optics.light) for each in cut_out(scene, optics, window, reach))


def cut_out(scene: Scene, optics: Optics, window: Window, reach: int) -> Iterator[Cutout]:
    """The layers that are seen in a window, from the nearest to the farthest, as they are cut out.

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
    canvas = _Canvas(outer, scene.picture[outer.slices], scene.planes(outer))
    farthest, *others = sorted({segment.plane for segment in scene.recipe.segments})
    for plane in reversed(others):
        own = box_of(canvas.planes == plane, outer)
        if empty(own):
            continue
        around = canvas.cut(common(own.grown(2 * depth + 2 * EDGE + 1, *scene.size), outer))
        colors, mask = _uncovered(scene, optics, around, plane, depth)
        cover = _cover_of(mask)
        box = box_of(cover > 0, around.window)
        part = common(box.grown(reach + 1, *scene.size), seen)  # mirrored, its border must be 0
        if not empty(part):
            at = part.within(around.window).slices
            yield Cutout(plane, part, cover[at], colors[at])
    colors, _ = _uncovered(scene, optics, canvas, farthest, depth)
    yield Cutout(farthest, seen, None, colors[seen.within(outer).slices])


@dataclass(frozen=True, slots=True, eq=False)
class _Canvas:
    window: Window
    picture: Picture
    planes: PlaneMap

    def cut(self, window: Window) -> _Canvas:
        at = window.within(self.window).slices
        return _Canvas(window, self.picture[at], np.ascontiguousarray(self.planes[at]))


def _uncovered(scene: Scene, optics: Optics, canvas: _Canvas, plane: int, depth: int) -> tuple[Picture, Mask]:
    """What is seen when all nearer layers are taken away, and where it is in a plane."""
    hidden = hidden_pixels(canvas.planes, plane, depth, scene.recipe)
    mask = canvas.planes == plane
    if not hidden.places.size:
        return canvas.picture, mask
    mask.reshape(-1)[hidden.places] = hidden.planes == plane
    colors = np.array(canvas.picture, order="C")
    if optics.fill == "nearest":
        found = colors.reshape(-1, 3)[hidden.sources]
    else:
        filled = np.ascontiguousarray(inpainted(scene, plane, depth)[canvas.window.slices])
        found = filled.reshape(-1, 3)[hidden.places]
    colors.reshape(-1, 3)[hidden.places] = found
    return colors, mask


def soft_matte(mask: Mask) -> Matte:
    """A matte that is 1 inside a mask, and falls to 0 within about a pixel outside, without stair steps."""
    return _matte_of(_cover_of(mask))


def _cover_of(mask: Mask) -> Cover:
    return cv2.filter2D(mask.view(np.uint8), -1, _SOFT)  # type: ignore[return-value]


def _matte_of(cover: Cover) -> Matte:
    return cv2.LUT(cover, _COVERED)  # type: ignore[return-value]


def times(colors: Values, factors: Matte) -> Values:
    """Colors times a factor for each pixel."""
    return cv2.multiply(colors, cv2.merge([factors] * 3))  # type: ignore[return-value]
