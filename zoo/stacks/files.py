"""Fusing picture files: one stack, from its frames' files to the result's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from zoo.errors import PictureError
from zoo.fusing.frames import check_count
from zoo.fusing.interface import rule_of
from zoo.pictures.frames import frames_of, read_frame
from zoo.pictures.raw import development_of
from zoo.pictures.write import check_output, write_picture
from zoo.stacks.choice import suited
from zoo.stacks.fuse import fuse_stack
from zoo.stacks.options import Extras
from zoo.stacks.outputs import check_apart, check_distinct, check_writable
from zoo.stacks.pace import Stopwatch
from zoo.stacks.remembered import RememberedStack
from zoo.stacks.report import FusedFile, report_of
from zoo.stacks.stack import FileStack
from zoo.stacks.views.write import check_extras, write_extras

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zoo.fusing.interface import FusionNetwork
    from zoo.stacks.choice import NetworkChoice
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.pace import Progress


def fuse_files(
    model: FusionNetwork | NetworkChoice,
    paths: Sequence[Path],
    output: Path,
    options: FuseOptions,
    *,
    extras: Extras | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> FusedFile:
    """Fuse one stack of picture files; the result has the first frame's depth, profile, EXIF, XMP and
    IPTC.

    Args:
        model: A network: for sets of frames, or for two; or a choice of what computes it.
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
    _check_before(paths, outputs)
    frames = frames_of(paths)
    check_count(len(frames))
    network = suited(model, len(frames))
    development = development_of(paths[0], linear=options.linear)
    first = read_frame(frames[0], development)
    check_output(output, first.pixels.dtype)
    check_extras(extras)
    files = FileStack(frames, first.icc, development, say)
    stack = RememberedStack(files, first.pixels)
    first = replace(first, pixels=first.pixels[:0].copy())  # its pixels would stay in memory to the end
    fused = fuse_stack(network, stack, options, say=say, progress=progress)
    progress("writing", 0, 1)
    watch = Stopwatch()
    write_picture(output, replace(first, pixels=fused.image), options.quality)
    watch.lap("writing")
    progress("writing", 1, 1)
    fused = replace(fused, seconds={**fused.seconds, **watch.seconds})
    report = report_of(output, fused, stack.names, options, rule_of(network, options.rule))
    report = replace(report, warnings=(*files.notes, *report.warnings))
    write_extras(extras, fused, stack, options, report, partial(progress, "preview"))
    return report


def _check_before(frames: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Check what can be known about files before the first is read, not after hours of work."""
    check_apart(outputs, frames)
    check_distinct(outputs)
    for output in outputs:
        check_writable(output)
    for frame in frames:
        try:
            frame.stat()
        except OSError as error:
            raise PictureError(f"cannot read {frame}: {error.strerror}", "check the path") from error
