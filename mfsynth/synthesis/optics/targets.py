"""What a network should learn beside the focus map: which frame is nearest to the truth, and how near it is.

Where a defocused foreground spreads, its rim covers the sharp background in every frame: there the focus map
names a frame that does not show what it should, and no frame may show it at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import CertainMap, FocusMap, Picture

REACH = 1
"""Pixels around a pixel whose errors count."""
VISIBLE = 2.0
"""Gray levels that make a visible difference."""
LOST = 34.0
"""Error in gray levels from which on nothing is left of the truth."""


def targets(
    frames: Sequence[Picture],
    gt: Picture,
    focus: FocusMap,
    valid: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[FocusMap, CertainMap]:
    """`nearest` and `certain` of a sample.

    A frame's error is the largest of the three channels' differences, averaged over 3 x 3 pixels.

    Args:
        frames: H x W x 3 each, RGB, uint8; without noise, in the ground truth's geometry.
        gt: The same, the ground truth.
        focus: H x W, the index of the sharpest frame; taken where no two errors differ by 2 gray levels.
        valid: For each frame, H x W: whether the pixel is inside its picture; None if all are.

    Returns:
        The index of the frame with the smallest error; and 255 where that error is below 2 gray levels,
        falling to 0 at 34.
    """
    errors = np.stack([_error(frame, gt) for frame in frames])
    if valid is not None:
        errors[~np.stack(valid)] = np.inf
    smallest = errors.min(0)
    nearest = errors.argmin(0).astype(np.uint8)
    alike = errors.max(0) - smallest < VISIBLE
    certain = 255 * (1 - (smallest - VISIBLE) / (LOST - VISIBLE))
    return np.where(alike, focus, nearest), np.rint(certain.clip(0, 255)).astype(np.uint8)


def _error(frame: Picture, gt: Picture) -> NDArray[np.float32]:
    difference = cv2.absdiff(frame, gt).max(axis=2).astype(np.float32)
    smoothed: NDArray[np.float32] = cv2.blur(difference, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    return smoothed
