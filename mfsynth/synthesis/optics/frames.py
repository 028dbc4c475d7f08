"""All frames of a scene as the lens makes them: without noise, and in the ground truth's geometry.

A window's frames are the cut of the whole picture's, bit for bit: every kernel has a reach, layers go on
behind nearer ones for as far as they can be seen, and what a wholly covered layer adds is exactly nothing.
Only inpainting looks at the whole picture; what it makes is kept for the next windows of the same scene.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.synthesis.optics.circles import blur_size
from mfsynth.synthesis.optics.compose import Exposure
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.layers import peel
from mfsynth.synthesis.optics.light import values_of
from mfsynth.synthesis.optics.windows import box_of, common, empty, union

if TYPE_CHECKING:
    from mfsynth.recipe import Optics
    from mfsynth.sample import PlaneMap, Scene, Window
    from mfsynth.synthesis.optics.kernels import Planes
    from mfsynth.synthesis.optics.light import Values

_LARGEST_BLOCK = 31 << 20


def clean_frames(scene: Scene, optics: Optics, window: Window) -> tuple[Values, ...]:
    """All frames inside a window.

    Returns:
        H x W x 3 each, float32, 0 to 1: linear light or sRGB values, as `optics.light` says.
    """
    keep_memory()
    return (_hard_frames if optics.boundary == "hard" else _spread_frames)(scene, optics, window)


@cache
def keep_memory() -> None:
    """Let this process keep the memory of arrays that it frees, which halves the time that frames take.

    By default the C library on Linux gives large blocks back at once, and the system clears their pages again
    for the next array. But it keeps blocks up to the size of the largest that was freed, up to 32 MB.
    """
    np.empty(_LARGEST_BLOCK, np.uint8)


class Lens:
    """The blur of a scene's frames, by distance in planes.

    Attributes:
        distances: All that segments have from planes in focus.
        reach: How many pixels the largest blur reaches to each side.
    """

    def __init__(self, scene: Scene, optics: Optics) -> None:
        recipe = self._recipe = scene.recipe
        self._size = scene.size
        self._aperture = Aperture(recipe.blur.kernel, optics.blades, optics.rotation)
        planes = {segment.plane for segment in recipe.segments}
        self.distances = sorted({abs(plane - frame.plane) for plane in planes for frame in recipe.frames})
        self.reach = self.reach_at(self.distances[-1])

    def reach_at(self, distance: int) -> int:
        """How many pixels the blur at a distance reaches to each side."""
        size = blur_size(self._recipe, distance)
        return self._aperture.reach(size) if size else 0

    def blur(self, values: Planes, window: Window, part: Window, distance: int) -> Planes:
        """Values of a window, blurred, in a part of it."""
        around = common(part.grown(self.reach_at(distance), *self._size), window)
        sharp = values[around.within(window).slices]
        size = blur_size(self._recipe, distance)
        blurred = self._aperture.blur(sharp, size) if size else sharp
        return blurred[part.within(around).slices]


def _hard_frames(scene: Scene, optics: Optics, window: Window) -> tuple[Values, ...]:
    """Each frame shows, where a plane lies, the whole picture blurred as that plane is."""
    lens = Lens(scene, optics)
    outer = window.grown(lens.reach, *scene.size)
    values, planes = values_of(scene.picture[outer.slices], optics.light), scene.planes(window)
    frames = [np.empty((window.height, window.width, 3), np.float32) for _ in scene.recipe.frames]
    distances = [cv2.LUT(planes, _distances_from(frame.plane)) for frame in scene.recipe.frames]
    for distance in lens.distances:
        masks = [each == distance for each in distances]
        part = union([box_of(mask, window) for mask in masks])
        if empty(part):
            continue
        blurred = lens.blur(values, outer, part, distance)
        at = part.within(window).slices
        for frame, mask in zip(frames, masks, strict=True):
            cv2.copyTo(blurred, mask[at].view(np.uint8), frame[at])
    return tuple(frames)


def _distances_from(plane: int) -> PlaneMap:
    return np.abs(np.arange(256) - plane).astype(np.uint8)


def _spread_frames(scene: Scene, optics: Optics, window: Window) -> tuple[Values, ...]:
    """Each frame is composed of layers, each blurred with its matte."""
    lens = Lens(scene, optics)
    frames = [Exposure(window) for _ in scene.recipe.frames]
    for layer in peel(scene, optics, window, lens.reach):
        apart = [abs(layer.plane - frame.plane) for frame in scene.recipe.frames]
        for distance in sorted(set(apart)):
            chosen = [frame for frame, its in zip(frames, apart, strict=True) if its == distance]
            part = common(layer.part, union([frame.box() for frame in chosen]))
            if not empty(part):
                light = lens.blur(layer.light, layer.part, part, distance)
                matte = None if layer.matte is None else lens.blur(layer.matte, layer.part, part, distance)
                for frame in chosen:
                    frame.add(light, matte, part)
    return tuple(frame.values for frame in frames)
