"""Laplacian pyramid: P. J. Burt, E. H. Adelson, "The Laplacian pyramid as a compact image code", IEEE
Transactions on Communications 31 (1983) 532-540; choosing by absolute value for fusion: P. J. Burt, R. J.
Kolczynski, "Enhanced image capture through fusion", ICCV 1993.

Each level takes the coefficient that is largest in absolute value, and the top takes the mean. Burt and
Kolczynski choose by the energy of a window and check that neighbors agree; this is the plain rule that
comparisons of multi-focus fusion use. Channels are fused one by one, and of equal coefficients the first
frame's is taken. Any number of frames is fused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from zoo.evaluation.baselines.pixels import Floats, Frame, like, unit
from zoo.fusing.fuse_frames import Fused, check_frames


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Laplacian pyramid fusion.

    Attributes:
        levels: How many times the frames are halved.
    """

    levels: int = 4

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        frames = check_frames(frames)
        *details, tops = zip(*(_laplacian(unit(frame), self.levels) for frame in frames), strict=True)
        picture = sum(tops) / len(frames)
        for level in reversed(details):
            best = reduce(_larger, level)
            picture = _doubled(picture, best) + best
        return Fused(like(picture, frames[0]), None, None)


def _laplacian(picture: Floats, levels: int) -> list[Floats]:
    """What each halving loses, finest first, followed by what is left."""
    pyramid = []
    for _ in range(levels):
        half = np.asarray(cv2.pyrDown(picture), np.float64)
        pyramid.append(picture - _doubled(half, picture))
        picture = half
    return [*pyramid, picture]


def _doubled(picture: Floats, target: Floats) -> Floats:
    """The picture, doubled to the size of the target, whose sides may be odd or even."""
    height, width = target.shape[:2]
    return np.asarray(cv2.pyrUp(picture, dstsize=(width, height)), np.float64)


def _larger(first: Floats, second: Floats) -> Floats:
    return np.where(np.abs(second) > np.abs(first), second, first)
