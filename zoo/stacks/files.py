"""Fusing picture files: one stack, from its frames' files to the result's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import FrameError
from zoo.pictures.frames import frames_of, read_frame
from zoo.pictures.picture import PictureFile
from zoo.pictures.raw import development_of
from zoo.pictures.write import check_output, write_picture
from zoo.stacks.fuse import FusedStack, fuse_stack
from zoo.stacks.options import Extras
from zoo.stacks.outputs import check_apart, check_distinct
from zoo.stacks.report import FusedFile, report_of
from zoo.stacks.stack import FileStack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zoo.fusing.fusion import FusionNetwork
    from zoo.stacks.options import FuseOptions


def fuse_files(
    model: FusionNetwork,
    paths: Sequence[Path],
    output: Path,
    options: FuseOptions,
    *,
    extras: Extras | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> FusedFile:
    """Fuse one stack of picture files; the result has the first frame's depth, profile, EXIF, XMP and
    IPTC.

    Args:
        model: HF-Seg or HF-Reg.
        paths: The frames' files; a TIFF of several pages gives a frame for each.
        output: The picture to write.
        options: How to fuse.
        extras: What to write as well.
        say: Called with lines about what is odd about the frames, and what was done with them.
        progress: Called with a stage's name, and the number of its steps that are done and to do.

    Raises:
        PictureError: If a file cannot be read or written.
        FrameError: If the frames cannot be fused.
        AlignmentError: If they could not be registered.
        OptionsError: If an output is a frame, or both outputs are one file.
    """
    extras = extras or Extras()
    outputs = [output, *extras.paths]
    check_apart(outputs, paths)
    check_distinct(outputs)
    frames = frames_of(paths)
    development = development_of(paths[0], linear=options.linear)
    first = read_frame(frames[0], development)
    check_output(output, first.pixels.dtype)
    if extras.decision_map is not None:
        check_output(extras.decision_map, np.uint8)
    stack = FileStack(frames, first.icc, development, say)
    fused = fuse_stack(model, stack, options, say=say, progress=progress)
    write_picture(output, replace(first, pixels=fused.image), options.quality)
    if extras.decision_map is not None:
        write_picture(extras.decision_map, PictureFile(drawn_decision(fused, len(frames))))
    return report_of(output, fused, len(frames))


def drawn_decision(fused: FusedStack, frames: int) -> np.ndarray:
    """A decision map as a gray picture, H x W uint8, from black (the first frame) to white (the last).

    Raises:
        FrameError: If nothing was decided: HF-Reg chooses frames only by the rule `nearest`.
    """
    if fused.decision is None:
        raise FrameError("the network chose no frames, so there is no decision map", "use --rule nearest")
    levels = np.linspace(0, 255, frames).round().astype(np.uint8)
    return levels[fused.decision]
