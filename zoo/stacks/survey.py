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

PARTS = (24, 32)
"""The most rows and columns of the parts in which a frame's detail is measured."""


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
        detail: At most 24 x 32, float32: the mean square of detail in each part of the full-size frame.
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
    detail: NDArray[np.float32]


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
    return Look(place, name, height, width, frame.dtype, factor, small, low, high, _detail(frame))


def _detail(frame: Frame) -> NDArray[np.float32]:
    """How much detail each part of a frame has, at the full size: there, small differences in focus show."""
    rows, columns = (min(most, max(1, side // 16)) for most, side in zip(PARTS, frame.shape, strict=False))
    bands = [_power(band) for band in np.array_split(frame, rows)]
    return np.asarray(cv2.resize(np.concatenate(bands), (columns, rows), interpolation=cv2.INTER_AREA))


def _power(band: Frame) -> NDArray[np.float32]:
    """The mean square of detail in each column of a few rows, 1 x W."""
    gray = band if band.ndim == 2 else cv2.cvtColor(band, cv2.COLOR_RGB2GRAY)
    detail = cv2.Laplacian(gray.astype(np.float32), cv2.CV_32F)[1:-1]
    return np.asarray(np.square(detail).mean(axis=0, keepdims=True), np.float32)


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
    bits = f"{8 * look.dtype.itemsize} bit" + (" float" if look.dtype.kind == "f" else "")
    return f"{look.width} x {look.height} {color}, {bits}"
