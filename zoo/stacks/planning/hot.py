"""Hot and dead pixels: values far outside all their neighbors are not detail.

A lens spreads even the smallest star over its neighbors; a fault of the sensor stands on its own. But where a
picture was reduced or sharpened, so do specks of the scene. So the main evidence is that several frames show
the same at the same place of the sensor, best while the scene moves over it. A single frame proves its faults
only if little else in it stands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from zoo.stacks.stack import Frame

FLOOR = 0.05
"""The least height above all neighbors, in units of the frame's range of values."""

STEPS = 4
"""The least height of whole numbers: noise of a step or two is all the range of a frame without contrast."""

SURE, POSSIBLE = 8.0, 2.5
"""The least height above all neighbors of a fault that one frame proves, and of one that others must confirm.

In units of the range of the surroundings, 7 x 7 pixels: of the means of pairs that face each other, in which
slopes cancel, without the largest and the smallest.
"""

RAISED = 0.1
"""The most that the four nearest neighbors may be raised, on average, in units of the pixel's own height.

The sharpest image of a star, 1.2 pixels wide at half its height, raises them by 0.15.
"""

RAISED_ONE = 0.2
"""The most that any two neighbors that face each other may be raised, on average."""

MANY = 100, 1e-3
"""The most values of a frame, and the largest share of them: where more stand out, that means nothing."""

CALM = 0.9
"""The least share of sure faults in what may be one; if it is lower, the picture has texture.

On 438 pairs of train2017 without faults, no value is repaired; without this, 581 were, in 80 pairs.
"""

MOVED = 2.0
"""Frames that move against each other by this many pixels do not show the same speck at the same place."""

SIEVE = 0.75
"""The least height above all neighbors for a closer look, in units of their range of values."""

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
_STRIP = 256
"""Rows that are looked at together."""


@dataclass(frozen=True, slots=True, eq=False)
class HotPixels:
    """Values of a frame that stand out.

    Attributes:
        places: int64: in the flattened frame; of dead pixels -1 less the place.
        sure: bool: whether this frame proves it.
    """

    places: NDArray[np.int64]
    sure: NDArray[np.bool_]


NONE = HotPixels(np.empty(0, np.int64), np.empty(0, bool))


def find_hot(frame: Frame, low: float, high: float) -> HotPixels:
    """The values of a frame that stand out.

    Args:
        frame: H x W x 3 or H x W, of sides of at least 4.
        low: Its smallest value, faults aside.
        high: Its largest value, the same.
    """
    places, sure = [], []
    floor = max(FLOOR * (high - low), 0 if frame.dtype.kind == "f" else STEPS)
    for sign, each in _outside(frame, floor):
        heights, possible = _heights(frame, each, sign)
        possible &= heights > POSSIBLE
        places.append(each[possible] if sign > 0 else -1 - each[possible])
        sure.append(heights[possible] > SURE)
    found = HotPixels(np.concatenate(places), np.concatenate(sure))
    return found if len(found.places) <= max(MANY[0], MANY[1] * frame.size) else NONE


def faults(found: Sequence[HotPixels], *, moved: bool) -> list[NDArray[np.int64]]:
    """What is to be repaired in each frame of a stack: its own proven faults, and all that frames agree on.

    In frames that moved, that is what two are sure of, or what is possible in half of them, two at least.
    Frames that stand still may show a speck of the scene at the same place: half of them must be sure.

    Args:
        found: In each frame.
        moved: Whether frames moved against each other by more than `MOVED`.
    """
    half = max(2, len(found) / 2)
    known = _in_several([each.places[each.sure] for each in found], 2 if moved else half)
    if moved:
        known = np.union1d(known, _in_several([each.places for each in found], half))
    return [np.union1d(_proven(each, known), known) for each in found]


def _proven(found: HotPixels, known: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sure faults of a frame in which little else stands out, known faults aside."""
    new = ~np.isin(found.places, known)
    sure = new & found.sure
    return found.places[sure] if sure.sum() >= CALM * new.sum() else NONE.places


def repaired(frame: Frame, places: NDArray[np.int64]) -> Frame:
    """A frame whose faults have the median of their neighbors; the array itself if there are none.

    Args:
        frame: As in `find_hot`.
        places: As in `HotPixels`; those that do not stand out in this frame stay what they are.
    """
    dead = places < 0
    places = np.where(dead, -1 - places, places)
    around = _around(frame, places, 1).reshape(len(places), 9)
    values, others = around[:, 4], np.delete(around, 4, axis=1)
    low, high = others.min(1, initial=np.inf), others.max(1, initial=-np.inf)
    outside = np.where(dead, values < low, values > high)
    if not outside.any():
        return frame
    frame = frame.copy()
    frame.reshape(-1)[places[outside]] = np.median(others[outside], axis=1)
    return frame


def _outside(frame: Frame, floor: float) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Places of values above (1) or below (-1) all their neighbors by more than a floor."""
    height = frame.shape[0]
    for top in range(0, height, _STRIP):
        start, stop = max(0, top - 1), min(height, top + _STRIP)
        strip, inner = frame[start : stop + 1], slice(top - start, stop - start)
        high = cv2.dilate(strip, _RING, borderType=cv2.BORDER_REFLECT_101)
        low = cv2.erode(strip, _RING, borderType=cv2.BORDER_REFLECT_101)
        least = np.maximum(SIEVE * cv2.subtract(high, low).astype(np.float32), np.float32(floor))[inner]
        for sign, above in ((1, cv2.subtract(strip, high)), (-1, cv2.subtract(low, strip))):
            yield sign, np.flatnonzero(above[inner] > least) + top * (frame.size // height)


def _heights(
    frame: Frame, places: NDArray[np.int64], sign: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How high values stand above their neighbors, as `SURE` counts, and whether they stand on their own."""
    around = _around(frame, places, 3).reshape(-1, 49) * np.float32(sign)
    value, pairs = around[:, 24], (around[:, :24] + around[:, :24:-1]) / 2
    next_to_it = pairs[:, [16, 17, 18, 23]]  # those of the corner, above, the other corner, left
    spread = np.sort(pairs, axis=1)
    ground = np.median(pairs, axis=1)
    own = value - ground
    raised, most = pairs[:, [17, 23]].mean(1) - ground, next_to_it.max(1) - ground
    lone = (raised < RAISED * own) & (most < RAISED_ONE * own)
    return (own - most) / np.maximum(spread[:, -2] - spread[:, 1], 1e-6 * own), lone


def _around(frame: Frame, places: NDArray[np.int64], reach: int) -> NDArray[np.float32]:
    """The surroundings of values in their own channel, n x side x side, mirrored at the border."""
    height, width = frame.shape[:2]
    pixels = frame.reshape(height, width, -1)
    rows, columns, channels = np.unravel_index(places, pixels.shape)
    steps = np.arange(-reach, reach + 1)
    down, right = _mirrored(rows[:, None] + steps, height), _mirrored(columns[:, None] + steps, width)
    return pixels[down[:, :, None], right[:, None, :], channels[:, None, None]].astype(np.float32)


def _mirrored(positions: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    last = size - 1
    return np.asarray(last - np.abs(last - np.abs(positions)))


def _in_several(places: Sequence[NDArray[np.int64]], least: float) -> NDArray[np.int64]:
    """What is in as many of several arrays of distinct numbers."""
    distinct, times = np.unique(np.concatenate(places), return_counts=True)
    return distinct[times >= least]
