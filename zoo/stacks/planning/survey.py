"""One look at every frame of a stack, before anything is decided about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.errors import FrameError
from zoo.pictures.picture import bit_depth
from zoo.stacks.planning.hot import find_hot

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from zoo.stacks.planning.hot import HotPixels
    from zoo.stacks.stack import Frame, Stack

PIXELS = 1_000_000
"""The most pixels of a small picture."""

SQUARE, SQUARES = 32, 5
"""The side of the squares in which a frame's grain is kept, and how many there are in each direction."""


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
        small: h x w x 3 or h x w, of the frame's dtype, the frame reduced by area.
        low: The smallest value of the small picture, not counting single pixels that stand out.
        high: The largest value, the same.
        grain: Float32, the finest detail in squares all over the full-size frame; a second shot of a scene
            differs in it by focus or noise.
        hot: Hot and dead pixels of the full-size frame.
    """

    place: int
    name: str
    height: int
    width: int
    dtype: np.dtype[Any]
    factor: int
    small: NDArray[Any]
    low: float
    high: float
    grain: NDArray[np.float32]
    hot: HotPixels


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
    """One frame, looked at.

    Raises:
        FrameError: If a value is not finite.
    """
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise FrameError(f"{name} holds values that are not finite", "replace them, with 0 for example")
    height, width = frame.shape[:2]
    factor = math.ceil(math.sqrt(height * width / PIXELS))
    whole = frame[: height // factor * factor, : width // factor * factor]
    size = (width // factor, height // factor)
    small = whole if factor == 1 else cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    inner = cv2.medianBlur(np.ascontiguousarray(small), 3)  # without hot pixels
    low, high = float(inner.min()), float(inner.max())
    hot = find_hot(frame, low, high)
    return Look(place, name, height, width, frame.dtype, factor, small, low, high, _grain(frame), hot)


def _grain(frame: Frame) -> NDArray[np.float32]:
    tops, lefts = (np.linspace(0, max(0, side - SQUARE), SQUARES).astype(int) for side in frame.shape[:2])
    squares = [frame[top : top + SQUARE, left : left + SQUARE] for top in tops for left in lefts]
    return np.concatenate([detail_of(np.ascontiguousarray(square)).ravel() for square in squares])


def detail_of(frame: Frame) -> NDArray[np.float32]:
    """The finest detail of a picture: its Laplacian, H x W, float32."""
    gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.Laplacian(gray.astype(np.float32), cv2.CV_32F))


def _check_alike(first: Look, other: Look) -> None:
    kinds = [(each.height, each.width, each.dtype, each.small.ndim) for each in (first, other)]
    if kinds[0] == kinds[1]:
        return
    if (first.height, first.width) == (other.width, other.height) and first.height != first.width:
        raise FrameError(
            f"{other.name} is turned by 90 degrees relative to {first.name}: "
            f"{other.width} x {other.height} pixels, not {first.width} x {first.height}",
            "turn it, or correct its orientation tag",
        )
    raise FrameError(f"{first.name} is {_kind(first)}, {other.name} is {_kind(other)}", _remedy(first, other))


def _remedy(first: Look, other: Look) -> str:
    if (first.height, first.width) != (other.height, other.width):
        return "all frames must have one size: leave one out, or export all the same way"
    if first.small.ndim != other.small.ndim:
        return "all frames must be color, or all gray: leave one out, or convert it"
    return "all frames must have one depth: leave one out, or export all the same way"


def _kind(look: Look) -> str:
    color = "color" if look.small.ndim == 3 else "gray"
    return f"{look.width} x {look.height} pixels, {bit_depth(look.dtype)} {color}"
