"""What every method must beat: the mean of the frames, and one frame unchanged.

The dummies are those of Fig. 7 in the paper: by measures of information they beat real fusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.evaluation.baselines.pixels import Frame, rounded
from zoo.fusing.fuse_frames import Fused, check_frames


class Average:
    """The mean of all frames, rounded once; halves go up."""

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        frames = check_frames(frames)
        total = np.sum(frames, axis=0, dtype=np.float64)
        return Fused(rounded(np.asarray(total) / len(frames), frames[0]), None, None)


@dataclass(frozen=True, slots=True)
class Dummy:
    """One of the frames, unchanged.

    Attributes:
        number: Its index, 0 or 1, since there are always two frames.
    """

    number: int

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        return Fused(check_frames(frames)[self.number].copy(), None, None)
