"""One look at every frame of a stack, before anything is decided about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from zoo.stacks.stack import Frame, Stack

PIXELS = 1_000_000
"""The most pixels of a small picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one reading of a frame found.

    Attributes:
        place: The frame's place in the stack.
        name: The frame's name.
        height: In pixels.
        width: In pixels.
        dtype: Of its values.
        factor: By which the small picture's sides are divided.
        small: h x w x 3 or h x w, float32, the frame reduced by area, in the frame's own values.
        low: The smallest value of the frame.
        high: The largest value of the frame.
    """

    place: int
    name: str
    height: int
    width: int
    dtype: np.dtype[Any]
    factor: int
    small: NDArray[np.float32]
    low: float
    high: float


def survey(
    stack: Stack, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> tuple[Look, ...]:
    """Look at every frame, one after the other.

    Raises:
        PictureError: If a frame cannot be read.
        FrameError: If frames differ in size, color or depth.
    """
    looks: list[Look] = []
    for place, name in enumerate(stack.names):
        looks.append(look_at(stack.frame(place), place, name))
        _check_alike(looks[0], looks[-1])
        progress(place + 1, len(stack.names))
    return tuple(looks)


def look_at(frame: Frame, place: int, name: str) -> Look:
    """One frame, looked at."""
    height, width = frame.shape[:2]
    factor = math.ceil(math.sqrt(height * width / PIXELS))
    whole = frame[: height // factor * factor, : width // factor * factor].astype(np.float32)
    size = (width // factor, height // factor)
    small = whole if factor == 1 else cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    low, high = float(frame.min()), float(frame.max())
    return Look(place, name, height, width, frame.dtype, factor, np.asarray(small, np.float32), low, high)


def _check_alike(first: Look, other: Look) -> None:
    if (first.height, first.width, first.dtype, first.small.ndim) != (
        other.height, other.width, other.dtype, other.small.ndim,
    ):  # fmt: skip
        raise FrameError(
            f"{first.name} is {_kind(first)}, {other.name} is {_kind(other)}",
            "all frames must have one size and one depth, and be all color or all gray",
        )


def _kind(look: Look) -> str:
    color = "color" if look.small.ndim == 3 else "gray"
    return f"{look.width} x {look.height} {color}, {8 * look.dtype.itemsize} bit"
