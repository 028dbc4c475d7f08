"""What a network should learn besides the focus map: which frame is nearest to the truth, and how near.

Where a defocused foreground spreads, its rim covers the sharp background in every frame: there the focus map
names a frame that does not show what it should, and no frame may show it at all.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import CertainMap, FocusMap, Picture

    Valid = NDArray[np.uint8] | NDArray[np.bool_]
    """H x W: not 0 where a frame shows the picture."""
    Errors = NDArray[np.int16]
    """H x W: the sum of a frame's errors over 3 x 3 pixels, in gray levels."""

REACH = 1
"""Pixels around a pixel whose errors count."""
VISIBLE = 2
"""Gray levels that make a visible difference."""
LOST = 34
"""Error in gray levels from which on nothing is left of the truth."""
AREA = (2 * REACH + 1) ** 2
"""Pixels whose errors count."""
NO_FRAME = AREA * 256
"""Stands for the error of a frame that does not show a pixel: more than any error."""


def targets(
    frames: Sequence[Picture], gt: Picture, focus: FocusMap, valid: Sequence[Valid] | None = None
) -> tuple[FocusMap, CertainMap]:
    """`nearest` and `certain` of a sample.

    A frame's error is the largest of the three channels' differences, averaged over 3 x 3 pixels.

    Args:
        frames: H x W x 3 each, RGB, uint8; without noise, in the ground truth's geometry.
        gt: The same, the ground truth.
        focus: H x W, the index of the sharpest frame; taken unless another frame's error is smaller by 2 gray
            levels, so that frames that look alike are not told apart.
        valid: For each frame, where it shows the picture at all; None if all do everywhere.

    Returns:
        The index of the frame with the smallest error; and 255 where that error is below 2 gray levels,
        falling to 0 at 34. A frame that does not show a pixel is named only if none does: then it is that of
        the focus map, and `certain` is 0.
    """
    nearest = focus.copy()
    smallest, named = (np.full(focus.shape, NO_FRAME, np.int16) for _ in range(2))
    for index, frame in enumerate(frames):
        error = _error(frame, gt)
        if valid is not None:
            error[valid[index] == 0] = NO_FRAME
        np.copyto(named, error, where=focus == index)
        np.putmask(nearest, error < smallest, index)
        cv2.min(smallest, error, smallest)
    np.copyto(nearest, focus, where=named - smallest < AREA * VISIBLE)
    return nearest, np.take(certainties(), smallest)


@cache
def certainties() -> NDArray[np.uint8]:
    """`certain` for each smallest error, summed over 3 x 3 pixels."""
    visible, lost = AREA * VISIBLE, AREA * LOST
    return np.rint(np.interp(np.arange(NO_FRAME + 1), (visible, lost), (255, 0))).astype(np.uint8)


def _error(frame: Picture, gt: Picture) -> Errors:
    red, green, blue = cv2.split(cv2.absdiff(frame, gt))
    difference = cv2.max(cv2.max(red, green), blue)
    return cv2.boxFilter(difference, cv2.CV_16S, (2 * REACH + 1,) * 2, normalize=False)  # type: ignore[return-value]
