"""What users do with a network, whatever runs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import FrameError
from zoo.fusing.fuse_frames import fuse
from zoo.pictures.read import read_picture
from zoo.stacks.fuse import fuse_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from zoo.fusing.interface import Burst, Fused, FusionNetwork, Rule
    from zoo.stacks.fuse import FusedStack
    from zoo.stacks.given import Frames
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.pace import Progress


class Fuses:
    """`fuse` for pictures, and `fuse_stack` for stacks as people have them."""

    def fuse(
        self: FusionNetwork,
        frames: Sequence[np.ndarray | str | os.PathLike[str]],
        *,
        rule: Rule | None = None,
        burst: Burst = "joint",
        symmetric: bool = True,
        tile: int | None = None,
    ) -> Fused:
        """Fuse two or more pictures: arrays, or paths of picture files; see `zoo.fuse`.

        This is the bare network, for frames that are aligned and equally exposed; `fuse_stack` does more.

        Raises:
            PictureError: If a file cannot be read.
            FrameError: If the frames cannot be fused.
            OptionsError: If an option is out of range.
        """
        if isinstance(frames, (str, os.PathLike)):
            raise FrameError("a single path is not a stack", "give a list of two or more")
        pictures = [
            read_picture(Path(each)).pixels if isinstance(each, (str, os.PathLike)) else each
            for each in frames
        ]
        return fuse(self, pictures, rule=rule, burst=burst, symmetric=symmetric, tile=tile)

    def fuse_stack(
        self: FusionNetwork,
        frames: Frames,
        options: FuseOptions | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
        progress: Progress = lambda _stage, _done, _total: None,
    ) -> FusedStack:
        """Fuse a stack as people have them, as `mfsynth fuse` does; see `zoo.fuse_stack`.

        Raises:
            PictureError: If a file cannot be read.
            FrameError: If the frames cannot be fused.
            AlignmentError: If they could not be registered.
            OptionsError: If the network cannot do what the options say.
        """
        return fuse_stack(self, frames, options, say=say, progress=progress)
