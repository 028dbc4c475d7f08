"""Frames as arrays: which can be fused, and an order that depends on their content only."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import FrameError
from zoo.networks.shapes import MIN_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST = 255
"""The most frames: a decision has 8 bits."""

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}
"""The value of white, by dtype; black is 0."""


def check_frames(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The frames, if they can be fused.

    Raises:
        FrameError: If not; it names the frame, the reason and the remedy.
    """
    frames = [np.asarray(frame) for frame in frames]
    check_count(len(frames))
    for number, frame in enumerate(frames):
        check_pixels(frame, f"frame {number}")
        _check_range(frame, f"frame {number}")
        check_alike(kind(frames[0]), frame, number)
    return frames


def check_count(count: int) -> None:
    """Check the number of frames.

    Raises:
        FrameError: If there are too few or too many.
    """
    if not 2 <= count <= LARGEST:
        remedy = "give two or more" if count < 2 else "leave some out"
        raise FrameError(f"fusion takes from 2 to {LARGEST} frames, not {count}", remedy)


def check_pixels(frame: np.ndarray, name: str) -> None:
    """Check the dtype and shape of a frame.

    Raises:
        FrameError: If it cannot be fused.
    """
    if frame.dtype not in WHITE:
        raise FrameError(f"{name} is {frame.dtype}", "give uint8, uint16, or float32 in [0, 1]")
    if frame.ndim == 3 and frame.shape[2] in (2, 4):
        raise FrameError(f"{name} has an alpha channel", "flatten it onto a background, or drop the channel")
    if frame.ndim != 2 and not (frame.ndim == 3 and frame.shape[2] == 3):
        raise FrameError(f"{name} has shape {frame.shape}", "give height x width x 3 (RGB) or height x width")
    if min(frame.shape[:2]) < MIN_SIDE:
        raise FrameError(
            f"{name} is {frame.shape[0]} x {frame.shape[1]}", f"each side needs at least {MIN_SIDE} pixels"
        )


def check_alike(first: str, frame: np.ndarray, number: int) -> None:
    """Check that a frame is of the kind of frame 0.

    Raises:
        FrameError: If not.
    """
    if kind(frame) != first:
        raise FrameError(
            f"frame 0 is {first}, frame {number} is {kind(frame)}", "frames must have one size and one dtype"
        )


def kind(frame: np.ndarray) -> str:
    """Shape and dtype, for people."""
    return f"{' x '.join(map(str, frame.shape))} {frame.dtype}"


def canonical_order(frames: Sequence[np.ndarray]) -> list[int]:
    """An order of the frames that depends only on their content, not on their numbering."""
    digests = [digest(frame) for frame in frames]
    return sorted(range(len(frames)), key=digests.__getitem__)


def digest(array: np.ndarray) -> bytes:
    """SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).data).digest()


def _check_range(frame: np.ndarray, name: str) -> None:
    if frame.dtype == np.float32:
        low, high = frame.min(), frame.max()
        if not (low >= 0 and high <= 1):  # also catches NaN
            raise FrameError(f"{name} has values from {low} to {high}", "floats must lie in [0, 1]")
