"""Stages that turn one frame into the next, and how far each looks: what a window needs of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mfsynth.sample import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Frame = NDArray[Any]
    """H x W x 3: linear light, float32, or a picture, uint8."""
    Size = tuple[int, int]
    """Height and width of the whole picture."""

SIDE = 1024
"""Longest side of what a stage gives at once. OpenCV's remap and JPEG both have a limit, and a turned tile is
taken from the box around it: that of a single row has hundreds of rows."""


class Reach(Protocol):
    """What of its input a stage needs for a window of its output."""

    def around(self, window: Window) -> Window:
        """The window of the input; it lies inside the picture."""


@dataclass(frozen=True, slots=True)
class Margin:
    """A number of pixels on each side; 0 if a pixel needs only itself."""

    pixels: int
    size: Size

    def around(self, window: Window) -> Window:
        """The window with its margin."""
        return window.grown(self.pixels, *self.size)


@dataclass(frozen=True, slots=True)
class Grid:
    """Whole units of a grid that begins `left` pixels left of the picture and `top` above, after a margin."""

    unit: int
    top: int
    left: int
    margin: int
    size: Size

    def around(self, window: Window) -> Window:
        """All units that the window and its margin touch."""
        height, width = self.size
        top, bottom = self._units(window.top, window.height, self.top, height)
        left, right = self._units(window.left, window.width, self.left, width)
        return Window(top, left, bottom - top, right - left)

    def _units(self, start: int, length: int, offset: int, total: int) -> tuple[int, int]:
        first = (start - self.margin + offset) // self.unit
        last = -(-(start + length + self.margin + offset) // self.unit)
        return max(0, first * self.unit - offset), min(total, last * self.unit - offset)


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a frame.

    Attributes:
        reach: What it needs.
        apply: The frame inside a window from its input inside another, which covers what the first needs.
    """

    reach: Reach
    apply: Callable[[Frame, Window, Window], Frame]

    def windowed(self, frame: Frame, given: Window, wanted: Window) -> Frame:
        """The frame inside `wanted` from its input inside `given`, in tiles if it is large."""
        made = [(tile, self._tile(frame, given, tile)) for tile in _tiles(wanted)]
        if len(made) == 1:
            return made[0][1]
        whole = np.empty((wanted.height, wanted.width, 3), made[0][1].dtype)
        for tile, part in made:
            whole[tile.within(wanted).slices] = part
        return whole

    def _tile(self, frame: Frame, given: Window, tile: Window) -> Frame:
        needed = self.reach.around(tile)
        return self.apply(frame[needed.within(given).slices], needed, tile)


def mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Rows or columns, each inside a border that mirrors (reflect-101)."""
    folded = places % max(1, 2 * length - 2)
    inside: NDArray[np.int64] = np.minimum(folded, 2 * length - 2 - folded)
    return inside


def needed(stages: Sequence[Stage], wanted: Window) -> Window:
    """The window of the input of the first of some stages, for a window of the last one's output."""
    for stage in reversed(stages):
        wanted = stage.reach.around(wanted)
    return wanted


def passed(stages: Sequence[Stage], frame: Frame, given: Window, wanted: Window) -> Frame:
    """A frame inside `wanted` after all stages, from what they need of it, inside `given`."""
    for number, stage in enumerate(stages, 1):
        after = needed(stages[number:], wanted)
        frame, given = stage.windowed(frame, given, after), after
    return frame[wanted.within(given).slices]


def _tiles(window: Window) -> Iterator[Window]:
    for top in range(window.top, window.top + window.height, SIDE):
        for left in range(window.left, window.left + window.width, SIDE):
            height = min(SIDE, window.top + window.height - top)
            yield Window(top, left, height, min(SIDE, window.left + window.width - left))
