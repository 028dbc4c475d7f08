"""A folder of stacks: found, checked, and fused one after the other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.console import count
from mfsynth.errors import MfsynthError, OptionsError
from mfsynth.storage import write
from zoo.errors import FrameError, PictureError
from zoo.pictures.kinds import RAW, is_picture
from zoo.pictures.write import check_output
from zoo.stacks.batches.finding import MARK, Found, FoundStack, Skipped, find, skipped_lines
from zoo.stacks.files import fuse_files
from zoo.stacks.options import BatchOptions
from zoo.stacks.outputs import check_apart, check_distinct, check_writable, same_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.fusing.interface import FusionNetwork
    from zoo.stacks.choice import NetworkChoice
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.pace import Progress
    from zoo.stacks.report import FusedFile

_KEPT = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""Suffixes that results keep."""


@dataclass(frozen=True, slots=True)
class BatchStack:
    """A stack of a batch, and the picture to write."""

    found: FoundStack
    output: Path

    def line(self) -> str:
        """As a line for people."""
        first, last = self.found.files[0].name, self.found.files[-1].name
        which = first if first == last else f"{first} to {last}"
        return f"{self.output}  {count(self.found.number, 'frame')}, {which}"

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "name": self.found.name,
            "files": [str(file) for file in self.found.files],
            "frames": self.found.number,
            "output": str(self.output),
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """What would be fused, and what not.

    Attributes:
        folder: The folder of stacks.
        out: The folder of results.
        stacks: To fuse.
        skipped: Pictures and folders that take no part.
        errors: Stacks that cannot be read, by their names; in a dry run, also what cannot be grouped.
    """

    folder: Path
    out: Path
    stacks: tuple[BatchStack, ...]
    skipped: tuple[Skipped, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "stacks": [each.to_json() for each in self.stacks],
            "skipped": [each.to_json() for each in self.skipped],
            "errors": self.errors,
        }

    def lines(self) -> list[str]:
        """As lines for people."""
        return [*(each.line() for each in self.stacks), *skipped_lines(self.skipped, self.folder)]


def plan_batch(folder: Path, out: Path, options: BatchOptions | None = None) -> Batch:
    """Find the stacks in a folder and check every output, before anything is fused or written.

    Args:
        folder: The folder of stacks; see `zoo.stacks.batches.finding.find`.
        out: The folder of results; it may lie in `folder`, at any depth.
        options: How loose files are grouped, and the kind of the results: without a suffix, that of the
            stack's first frame if it can be written, TIFF for RAW, else PNG.

    Raises:
        FrameError: If there are no stacks.
        OptionsError: If names do not tell stacks apart (in a dry run: if there are no other stacks), two
            stacks have one name, a result would overwrite a frame or go among frames, or the suffix is
            unknown.
        OutputError: If a result cannot be written.
    """
    options = options or BatchOptions()
    _check_among(folder, out)
    suffix = _checked_suffix(options.suffix)
    found = find(folder, options.group)
    _check_found(folder, found, options.dry_run)
    stacks = tuple(
        BatchStack(each, out / f"{each.name}{suffix or _suffix_of(each.files[0])}") for each in found.stacks
    )
    pictures = [file for each in stacks for file in each.found.files]
    check_distinct([each.output for each in stacks])
    check_apart([each.output for each in stacks], [*pictures, *(each.path for each in found.skipped)])
    for each in stacks:
        check_writable(each.output)
    return Batch(folder, out, stacks, found.skipped, found.errors | _ungrouped(found.cameras))


def fuse_batch(
    model: FusionNetwork | NetworkChoice,
    batch: Batch,
    options: FuseOptions,
    *,
    done: Callable[[FusedFile], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> tuple[list[FusedFile], dict[str, str]]:
    """Fuse every stack of a batch; a failure does not stop the others.

    The folder of results is marked if it is new or lies among the stacks, so that no batch takes it for a
    stack.

    Args:
        model: A network: for sets of frames, or for two; or a choice of what computes it for each stack.
        batch: What to fuse.
        options: How to fuse.
        done: Called with what was fused, one stack after the other.
        say: Called with lines about what is odd, beginning with the stack's name.
        progress: Called with a stage's name, and the number of its steps that are done and to do; the first
            stage is `stacks`.

    Returns:
        What was fused, and the errors by the names of their stacks.

    Raises:
        OutputError: If the folder of results cannot be written to.
    """
    if _is_inside(batch.out, batch.folder) or not batch.out.exists() or not any(batch.out.iterdir()):
        write(batch.out / MARK, b"what mfsynth fuse --batch wrote\n")
    fused: list[FusedFile] = []
    errors = dict(batch.errors)
    for number, stack in enumerate(batch.stacks):
        progress("stacks", number, len(batch.stacks))
        try:
            fused.append(
                fuse_files(
                    model,
                    stack.found.files,
                    stack.output,
                    options,
                    say=lambda text, name=stack.found.name: say(f"{name}: {text}"),  # type: ignore[misc]
                    progress=progress,
                )
            )
        except (MfsynthError, cv2.error, MemoryError, RuntimeError) as error:  # RuntimeError is torch's
            errors[stack.found.name] = str(error)
        else:
            done(fused[-1])
    progress("stacks", len(batch.stacks), len(batch.stacks))
    return fused, errors


# --- checks -------------------------------------------------------------------------------------------


def _check_among(folder: Path, out: Path) -> None:
    """Check that results do not go among frames: a folder inside the batch with pictures is a stack."""
    linked = any(each.is_dir() and same_file(each, out) for each in folder.iterdir())
    if not (linked or _is_inside(out, folder)) or not out.is_dir() or (out / MARK).is_file():
        return
    if any(map(is_picture, out.iterdir())):
        raise OptionsError(
            f"{out} holds frames, and results would go among them", "give another folder with -o"
        )


def _is_inside(out: Path, folder: Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(out)).parents


def _check_found(folder: Path, found: Found, dry_run: bool) -> None:
    if found.cameras and not (dry_run and found.stacks):
        raise OptionsError(*(f"{name}: {why}" for name, why in _ungrouped(found.cameras).items()))
    if not found.stacks:
        why = [
            *(f"{name}: {text}" for name, text in found.errors.items()),
            *skipped_lines(found.skipped, folder),
        ]
        raise FrameError(
            "; ".join([f"{folder} holds no stacks", *why]),
            "put each stack into its own folder, or name the frames NAME_1, NAME_2, …",
        )
    sources: dict[str, str] = {}
    for each in found.stacks:
        other = sources.setdefault(each.name.casefold(), each.source)
        if other is not each.source:
            raise OptionsError(
                f"{other} and {each.source} are two stacks with the same name, {each.name}", "rename one"
            )


def _ungrouped(cameras: Sequence[Path]) -> dict[str, str]:
    """Why pictures with names as cameras give them make no stacks, by what they are; empty without any."""
    if not cameras:
        return {}
    which = f"{cameras[0].name} to {cameras[-1].name} ({count(len(cameras), 'picture')})"
    return {
        which: "names as cameras give them do not say where one stack ends and the next begins; "
        "give --group auto, or put each stack into its own folder"
    }


def _checked_suffix(suffix: str | None) -> str | None:
    if suffix is None:
        return None
    dotted = f".{suffix.removeprefix('.')}"
    try:
        check_output(Path(f"NAME{dotted}"), np.uint8)
    except PictureError as error:
        raise OptionsError(f"--suffix {suffix} cannot be written", error.hint) from error
    return dotted


def _suffix_of(frame: Path) -> str:
    suffix = frame.suffix.lower()
    if suffix in _KEPT:
        return suffix
    return ".tif" if suffix in RAW else ".png"
