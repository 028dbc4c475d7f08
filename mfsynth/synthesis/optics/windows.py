"""Windows of a picture: the box of a mask, and what two windows have in common. One may be empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.sample import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray


def box_of(mask: NDArray[np.bool_], window: Window) -> Window:
    """The smallest part of the picture with all pixels of a window's mask."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return Window(window.top + top, window.left + left, height, width)


def common(one: Window, other: Window) -> Window:
    """The pixels that are in both."""
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(one.top + one.height, other.top + other.height)
    right = min(one.left + one.width, other.left + other.width)
    return Window(top, left, max(0, bottom - top), max(0, right - left))


def union(windows: list[Window]) -> Window:
    """The smallest window with all pixels of all windows."""
    filled = [window for window in windows if not empty(window)]
    if not filled:
        return windows[0]
    top, left = min(window.top for window in filled), min(window.left for window in filled)
    bottom = max(window.top + window.height for window in filled)
    right = max(window.left + window.width for window in filled)
    return Window(top, left, bottom - top, right - left)


def empty(window: Window) -> bool:
    """Whether it has no pixel."""
    return window.height == 0 or window.width == 0
