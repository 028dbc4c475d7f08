"""Frames in memory, warped onto the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.alignment.canvas import Canvas, onto
from zoo.alignment.chain import register
from zoo.errors import AlignmentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.alignment.pictures import Frame
    from zoo.alignment.similarity import Similarity


def align(frames: Sequence[Frame]) -> tuple[list[Frame], list[Similarity]]:
    """Warp every frame onto the first; also return how each one had moved.

    Args:
        frames: One or more, all H x W x 3 or all H x W, of one dtype: uint8, uint16, or float32 in [0, 1].

    Returns:
        Frames of the same shape and dtype, and a similarity for each. The first frame, and every frame that
        is within 0.05 pixels of it, is the array that was given. What a frame does not show is as in the
        first.

    Raises:
        FrameError: If there are no frames, they differ in shape or dtype, or are too small.
        AlignmentError: If a frame cannot be registered reliably; the message counts from 1.
    """
    found = register(frames)
    for number, why in sorted(found.failed.items()):
        raise AlignmentError(
            f"frame {number + 1} {why}",
            "use frames of one scene from one camera position, or fuse them without alignment",
        )
    moves = [found.moves[number] for number in range(len(frames))]
    return [_filled(frame, move, frames[0]) for frame, move in zip(frames, moves, strict=True)], moves


def _filled(frame: Frame, move: Similarity, first: Frame) -> Frame:
    pixels, shown = onto(frame, move, Canvas(0, 0, *frame.shape[:2]))
    if shown is None:
        return pixels
    return np.where(shown if frame.ndim == 2 else shown[..., None], pixels, first)
