"""What changes with focus: scale, shift, rotation and exposure of a frame relative to frame 0.

Frames are resampled in linear light with Lanczos's kernel of 8 x 8 pixels. Frame 0 is not resampled, so a
kernel that blurs would be a false cue: on photographs scaled by 1.02, the mean Laplacian is 0.98 of what it
was, 0.88 with the cubic kernel, and 0.64 with bilinear interpolation. Coordinates are rounded to 1/32 of
a pixel, everywhere alike, so that a window equals the cut. Beyond the picture's border a frame shows its
mirror image (reflect-101); `inside` says where a frame shows the ground truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.sample import Window
from mfsynth.synthesis.optics.light import picture_of, values_of
from mfsynth.synthesis.optics.reach import Stage, mirrored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.recipe import Recipe, Shot
    from mfsynth.sample import Picture
    from mfsynth.synthesis.optics.light import Values
    from mfsynth.synthesis.optics.reach import Frame, Size

_BITS = 5
"""Steps of a pixel, as a power of two: those of OpenCV's remap."""
STEPS = 1 << _BITS
_PART = (1 << _BITS) - 1
_BEFORE, _AFTER = 3, 4
"""Pixels of the kernel to the left of a place, and to its right."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A similarity: x' = a x - b y + x0, y' = b x + a y + y0, in pixels."""

    a: float
    b: float
    x0: float
    y0: float

    @staticmethod
    def of(shot: Shot, size: Size) -> Motion:
        """From a place in frame 0 to the same place in the frame, of pictures of that height and width."""
        x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
        a, b = shot.scale * math.cos(shot.rotation), shot.scale * math.sin(shot.rotation)
        return Motion(a, b, x - a * x + b * y + shot.shift_x, y - b * x - a * y + shot.shift_y)

    @property
    def inverse(self) -> Motion:
        """The way back."""
        square = self.a**2 + self.b**2
        a, b = self.a / square, -self.b / square
        return Motion(a, b, -a * self.x0 + b * self.y0, -b * self.x0 - a * self.y0)

    def places(self, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Columns and rows, H x W each, of where the pixels of a window go."""
        x = np.arange(window.left, window.left + window.width)
        y = np.arange(window.top, window.top + window.height)
        return self._of(x, y)

    def corners(self, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same of its four corners, 2 x 2 each."""
        x = np.array([window.left, window.left + window.width - 1])
        y = np.array([window.top, window.top + window.height - 1])
        return self._of(x, y)

    def _of(
        self, x: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows = y[:, None]
        return (self.a * x + self.x0) - self.b * rows, (self.b * x + self.y0) + self.a * rows


@dataclass(frozen=True, slots=True)
class Resampling:
    """A frame whose pixels come from elsewhere in another; as a reach, what a stage needs for it.

    Attributes:
        motion: From a place in the frame that is made to the place in the other that it shows.
        size: Of both.
    """

    motion: Motion
    size: Size

    def around(self, window: Window) -> Window:
        """The smallest window with all pixels of the kernel."""
        columns, rows = self._taps(window)
        left, right = int(columns.min()), int(columns.max())
        top, bottom = int(rows.min()), int(rows.max())
        return Window(top, left, bottom + 1 - top, right + 1 - left)

    def apply(self, values: Frame, given: Window, window: Window) -> Values:
        """The frame inside `window` from values inside `given`; each pixel is computed in the same way."""
        columns, rows = self._taps(window)
        around = values.take(rows - given.top, axis=0).take(columns - given.left, axis=1)
        x, y = (_from_first_tap(_steps(places)) for places in self.motion.places(window))
        whole = cv2.merge([(x >> _BITS).astype(np.int16), (y >> _BITS).astype(np.int16)])
        part = ((y & _PART) << _BITS | x & _PART).astype(np.uint16)
        return cv2.remap(around, whole, part, cv2.INTER_LANCZOS4)  # type: ignore[return-value]

    def steps(self, window: Window) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Columns and rows of the places that a window's pixels show, H x W each, in steps of `1 / STEPS`."""
        x, y = (_steps(places).astype(np.int32) for places in self.motion.places(window))
        return x, y

    def _taps(self, window: Window) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The columns and rows of the kernels' pixels, in order, mirrored at the border."""
        x, y = (_steps(places).astype(np.int64) >> _BITS for places in self.motion.corners(window))
        height, width = self.size
        return mirrored(_spread(x), width), mirrored(_spread(y), height)


def _steps(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest steps, whole numbers."""
    places *= STEPS
    return np.rint(places, out=places)


def _from_first_tap(steps: NDArray[np.float64]) -> NDArray[np.int32]:
    first = (int(steps.min()) >> _BITS) - _BEFORE
    steps -= first << _BITS
    return steps.astype(np.int32)


def _spread(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """All pixels around some places."""
    return np.arange(places.min() - _BEFORE, places.max() + _AFTER + 1)


def breathing_stage(recipe: Recipe, number: int, size: Size) -> Stage | None:
    """Motion and exposure of linear light, if a frame has some."""
    if recipe.optics is None or is_still(recipe.optics.frames[number]):
        return None
    shot = recipe.optics.frames[number]
    moved = Resampling(Motion.of(shot, size).inverse, size)
    factor = np.float32(2.0**shot.exposure)

    def breathed(values: Frame, given: Window, window: Window) -> Values:
        made = moved.apply(values, given, window)
        made *= factor
        return np.clip(made, 0, 1, out=made)

    return Stage(moved, breathed)


def is_still(shot: Shot) -> bool:
    """Whether a frame has the geometry and the exposure of frame 0."""
    return without_motion(shot) == shot


def without_motion(shot: Shot) -> Shot:
    """A frame with the geometry and the exposure of frame 0."""
    return replace(shot, scale=1.0, shift_x=0.0, shift_y=0.0, rotation=0.0, exposure=0.0)


def without_breathing(recipe: Recipe) -> Recipe:
    """The recipe of the same frames with the geometry and exposure of frame 0, to render them aligned."""
    if recipe.optics is None:
        return recipe
    shots = tuple(without_motion(shot) for shot in recipe.optics.frames)
    return replace(recipe, optics=replace(recipe.optics, frames=shots))


def inside(shot: Shot, size: Size, window: Window) -> NDArray[np.bool_]:
    """Whether each pixel of the ground truth is inside a frame's picture; H x W, bool.

    Args:
        shot: How the frame was taken, from `recipe.optics.frames`.
        size: Height and width of the whole picture.
        window: The part of the ground truth to answer for.
    """
    columns, rows = Motion.of(shot, size).places(window)
    height, width = size
    held: NDArray[np.bool_] = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    return held


def aligned(frame: Picture, shot: Shot) -> Picture:
    """A whole frame in the geometry of frame 0, resampled in linear light; its exposure is kept.

    Pixels that are not `inside` the frame show its mirror image.

    Args:
        frame: H x W x 3, RGB, uint8.
        shot: How it was taken, from `recipe.optics.frames`.
    """
    height, width = frame.shape[:2]
    whole = Window(0, 0, height, width)
    back = Resampling(Motion.of(shot, (height, width)), (height, width))
    moved = Stage(back, back.apply).windowed(values_of(frame, "linear"), whole, whole)
    return picture_of(moved, "linear")
