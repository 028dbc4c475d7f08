"""`mfsynth fuse`: one stack of frames into a picture, or every stack in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfsynth.console import count
from mfsynth.errors import OptionsError
from zoo.errors import PictureError
from zoo.fusing.frames import LARGEST
from zoo.pictures.frames import frames_of
from zoo.pictures.kinds import is_raw
from zoo.pictures.write import check_output
from zoo.stacks.batches.batch import fuse_batch, plan_batch
from zoo.stacks.batches.finding import Skipped, skipped_lines
from zoo.stacks.files import fuse_files
from zoo.stacks.options import BatchOptions, Extras, FuseOptions
from zoo.stacks.outputs import check_apart, check_distinct

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.fusing.interface import FusionNetwork
    from zoo.stacks.choice import NetworkChoice
    from zoo.stacks.pace import Progress
    from zoo.stacks.report import FusedFile


@dataclass(frozen=True, slots=True)
class FuseRequest:
    """A requested fusion: what, and where to.

    Args:
        frames: The files of one stack's two or more frames; a TIFF of several pages gives a frame for each.
            Empty with `batch`.
        output: The picture to write; with `batch`, the folder to fill.
        batch: Folder of stacks.
        extras: What to write as well.
        batched: How the folder of stacks is fused.
        options: How to fuse.

    Raises:
        OptionsError: If these make no sense together, or one picture would overwrite another.
        PictureError: If the only file cannot be read.
    """

    frames: tuple[Path, ...]
    output: Path
    batch: Path | None = None
    extras: Extras = field(default_factory=Extras)
    batched: BatchOptions = field(default_factory=BatchOptions)
    options: FuseOptions = field(default_factory=FuseOptions)

    def __post_init__(self) -> None:
        if self.batch is None:
            self._check_count()
        if self.batch is None and self.batched != BatchOptions():
            raise OptionsError("--group, --suffix and --dry-run need --batch", "add --batch FOLDER")
        if self.batch is not None and (self.frames or self.extras.paths):
            raise OptionsError(
                "--batch takes no frames, and writes no maps and no page",
                "give a folder of stacks, or the frames of one",
            )
        if self.options.linear and self.batch is None and not any(map(is_raw, self.frames)):
            raise OptionsError("--linear is for RAW, and no frame is RAW", "omit --linear")
        self._check_outputs()

    def _check_count(self) -> None:
        for folder in filter(Path.is_dir, self.frames):
            hint = f"give its pictures, such as {folder / '*.jpg'}, or a folder of stacks with --batch"
            raise OptionsError(f"{folder} is a folder", hint)
        number = len(self.frames) if len(self.frames) > 1 else len(frames_of(self.frames))
        if number < 2:
            given = "one frame is" if number else "no frames are"
            raise OptionsError(f"{given} given", "give two or more, or --batch FOLDER")
        if number > LARGEST:
            raise OptionsError(f"{number} frames are given", f"a stack has at most {LARGEST}; leave some out")

    @property
    def pictures(self) -> list[Path]:
        """The files to write, as far as their names are known."""
        return [] if self.batch is not None else [self.output, *self.extras.paths]

    def _check_outputs(self) -> None:
        if self.batch is not None and self.output.resolve() == self.batch.resolve():
            raise OptionsError(
                f"results would go among the frames in {self.batch}", "give another folder with -o"
            )
        if self.batch is not None and self.output.exists() and not self.output.is_dir():
            raise OptionsError(f"{self.output} is not a folder", "give a folder for the results with -o")
        check_apart(self.pictures, self.frames)
        check_distinct(self.pictures)
        for path in self.pictures:
            if path == self.extras.preview:
                continue
            try:
                check_output(path, np.uint8)
            except PictureError as error:
                raise OptionsError(error.message, error.hint) from error

    def check_network(self, network: FusionNetwork | NetworkChoice) -> None:
        """Check that the network can do this, and chooses frames if a map is requested.

        Raises:
            OptionsError: If not.
        """
        self.options.check_network(network)
        if self.extras.paths and not self.options.decides(network):
            raise OptionsError(
                "by this rule the network chooses no frames, so there are no maps and no page",
                "use --rule nearest",
            )


@dataclass(frozen=True, slots=True)
class FuseReport:
    """What was fused, the errors by the stacks' names, and what took no part in a batch."""

    fused: tuple[FusedFile, ...]
    errors: dict[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "fused": [each.to_json() for each in self.fused],
            "errors": self.errors,
            "skipped": [each.to_json() for each in self.skipped],
        }

    def lines(self) -> list[str]:
        """The last line for people, if not all was fused; each stack's line was told when it was done."""
        if not self.errors and not self.skipped:
            return []
        of = f"{len(self.fused)} of " if self.errors else ""
        return [f"{of}{count(len(self.fused) + len(self.errors), 'stack')} fused"]


def fuse_as_asked(
    network: FusionNetwork | NetworkChoice,
    request: FuseRequest,
    *,
    done: Callable[[FusedFile], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> FuseReport:
    """Fuse what a request names. In a batch, a stack that fails does not stop the others.

    Args:
        network: For sets of frames, or for two; or a choice of what computes it for each stack.
        request: What to fuse, and where to.
        done: Called with what was fused, one stack after the other.
        say: Called with a line about frames that look unaligned, and about how frames were moved.
        progress: Called with a stage's name, and the number of its steps that are done and to do.

    Raises:
        OptionsError: If the network does not have the rule, or chooses no frames for the map.
        ZooError: If the frames of a single stack cannot be read, aligned or fused, or a picture not written.
    """
    request.check_network(network)
    if request.batch is None:
        fused = fuse_files(
            network,
            request.frames,
            request.output,
            request.options,
            extras=request.extras,
            say=say,
            progress=progress,
        )
        done(fused)
        return FuseReport((fused,))
    batch = plan_batch(request.batch, request.output, request.batched)
    for line in skipped_lines(batch.skipped, batch.folder):
        say(line)
    stacks, errors = fuse_batch(network, batch, request.options, done=done, say=say, progress=progress)
    return FuseReport(tuple(stacks), errors, batch.skipped)
