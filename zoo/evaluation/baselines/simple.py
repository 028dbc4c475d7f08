"""What every method must beat: the mean of the frames, and a frame as it is.

The dummies are those of the paper's Fig. 7: by information measures they win against fusing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.evaluation.baselines.pixels import Frame, rounded
from zoo.fusing.fusion import Fused, check_frames


class Average:
    """The mean of all frames, rounded once; halves go up."""

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two frames or more, as `zoo.fusing.fusion.check_frames` takes them.

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
        number: Which, from 0; 0 or 1, as there are always two.
    """

    number: int

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two frames or more, as `zoo.fusing.fusion.check_frames` takes them.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        return Fused(check_frames(frames)[self.number].copy(), None, None)
