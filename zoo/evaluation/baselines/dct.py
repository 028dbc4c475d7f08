"""Variance of 8 x 8 DCT blocks: M. B. A. Haghighat, A. Aghagolzadeh, H. Seyedarabi, "Multi-focus image fusion
for visual sensor networks in DCT domain", Computers & Electrical Engineering 37 (2011) 789-797.

Each block comes from the frame in which it varies most, or, with consistency verification (DCT+CV), from the
frame that most of the surrounding blocks come from.

As in the authors' program, the last frame wins where blocks vary equally; the majority is taken in a 7 x 7
window, twice in a row; the block map is mirrored at its border; and of equal majorities the first frame's
wins. Departures:

- No DCT is computed. By Parseval's theorem the AC energy of a block is its variance, and transforming the
  chosen block back gives the block. The paper has JPEGs in mind, whose coefficients are already there.
- Color, which the program drops: gray decides, and all channels follow.
- Blocks that are cut off by the right and lower border count with the pixels that they have; the program
  leaves them black.
- More than two frames: the largest variance, and the most votes, of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.baselines.pixels import Floats, Frame, luma, picked
from zoo.fusing.fuse_frames import Fused, check_frames

_Value = TypeVar("_Value", bound=np.generic)

_SIDE = 8
_WINDOW = (7, 7)


@dataclass(frozen=True, slots=True)
class Dct:
    """DCT+Variance, or DCT+Variance+CV.

    Attributes:
        verify: Whether the surroundings of a block overrule it (CV).
    """

    verify: bool = False

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        The confidence is the chosen frame's share of the variances of a block, or with CV of the votes.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        frames = check_frames(frames)
        scores = np.stack([_variances(luma(frame)) for frame in frames])
        blocks = len(frames) - 1 - scores[::-1].argmax(0)
        if self.verify:
            scores = _votes(blocks, len(frames))
            blocks = scores.argmax(0)
        height, width = frames[0].shape[:2]
        decision = _spread(blocks.astype(np.uint8))[:height, :width]
        confidence = _spread(_shares(scores, blocks).astype(np.float16))[:height, :width]
        return Fused(picked(frames, decision), decision, confidence)


def _variances(gray: Floats) -> Floats:
    """The variance of each block times the square of its pixel count: exact for integers, as ties need."""
    counts = _sums(np.ones_like(gray))
    return np.maximum(counts * _sums(gray**2) - _sums(gray) ** 2, 0)


def _sums(values: Floats) -> Floats:
    """The sum of each block."""
    rows, columns = (np.arange(0, side, _SIDE) for side in values.shape)
    total: Floats = np.add.reduceat(np.add.reduceat(values, rows, 0), columns, 1)
    return total


def _votes(blocks: NDArray[np.intp], frames: int) -> Floats:
    """How many of the blocks around each one come from each frame; as counts, so that ties are exact."""
    return np.stack([_counted(_counted((blocks == number).astype(np.float64))) for number in range(frames)])


def _counted(chosen: Floats) -> Floats:
    counts = cv2.boxFilter(chosen, -1, _WINDOW, normalize=False, borderType=cv2.BORDER_REFLECT)
    return np.asarray(counts, np.float64)


def _shares(scores: Floats, blocks: NDArray[np.intp]) -> Floats:
    """The chosen frame's share of all scores; equal shares where all scores are 0."""
    total = scores.sum(0)
    chosen = np.take_along_axis(scores, blocks[None], 0)[0]
    shares: Floats = np.full_like(total, 1 / len(scores))
    np.divide(chosen, total, out=shares, where=total > 0)
    return shares


def _spread(blocks: NDArray[_Value]) -> NDArray[_Value]:
    """The value of each block at all of its pixels."""
    return blocks.repeat(_SIDE, 0).repeat(_SIDE, 1)
