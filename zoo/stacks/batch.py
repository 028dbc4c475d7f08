"""A folder of stacks: found by subfolders and names, and fused one after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2

from mfsynth.errors import MfsynthError, OptionsError, OutputError
from mfsynth.storage import write
from zoo.errors import FrameError
from zoo.pictures.kinds import is_picture
from zoo.stacks.files import fuse_files
from zoo.stacks.outputs import check_apart, same_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zoo.fusing.fusion import FusionNetwork
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.report import FusedFile

MARK = ".fused"
"""A file in a folder of results that lies among the stacks: the next batch does not take it for a stack."""
_FRAME = re.compile(r"(?P<stack>.+?)[-_ .]?(?:[A-Za-z]|\d+)")


def find_stacks(folder: Path) -> dict[str, list[Path]]:
    """The stacks in a folder, by name, frames in the order of their names.

    Each subfolder with pictures is a stack, unless a batch wrote them. Pictures in the folder itself form
    stacks by their names without the last letter or number: `bee-A.jpg` and `bee-B.jpg`, or `leaf_01.png` to
    `leaf_12.png`.

    Raises:
        FrameError: If there are none.
    """
    stacks: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), key=_as_counted):
        if (path / MARK).is_file():
            continue
        if path.is_dir():
            frames = [each for each in sorted(path.iterdir(), key=_as_counted) if is_picture(each)]
            if frames:
                stacks.setdefault(path.name, []).extend(frames)
        elif is_picture(path):
            match = _FRAME.fullmatch(path.stem)
            stacks.setdefault(match["stack"] if match else path.stem, []).append(path)
    if not stacks:
        raise FrameError(
            f"{folder} holds no stacks",
            "put each stack into its own folder, or name the frames NAME_1, NAME_2, …",
        )
    return stacks


def fuse_folder(
    model: FusionNetwork,
    folder: Path,
    out: Path,
    options: FuseOptions,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[list[FusedFile], dict[str, str]]:
    """Fuse every stack in a folder, each to a PNG of its name in `out`; a failure does not stop the others.

    If `out` lies in the folder, it is marked, so that it is never taken for a stack.

    Returns:
        What was fused, and the errors by the names of their stacks.

    Raises:
        OptionsError: If a result would overwrite a frame, or go among frames.
    """
    among = _is_among(folder, out)
    stacks = find_stacks(folder)
    outputs = {name: out / f"{name}.png" for name in stacks}
    check_apart([*outputs.values()], (frame for frames in stacks.values() for frame in frames))
    if among:
        write(out / MARK, b"what mfsynth fuse --batch wrote\n")
    done: list[FusedFile] = []
    errors: dict[str, str] = {}
    for number, (name, paths) in enumerate(stacks.items()):
        progress(number, len(stacks))
        try:
            _check_new(outputs[name], done)
            done.append(fuse_files(model, paths, outputs[name], options, say=say))
        except (MfsynthError, cv2.error, MemoryError, RuntimeError) as error:  # RuntimeError is torch's
            errors[name] = str(error)
    progress(len(stacks), len(stacks))
    return done, errors


def _is_among(folder: Path, out: Path) -> bool:
    """Whether the folder to fill is a subfolder of a folder of stacks, or will be.

    Raises:
        OptionsError: If it holds pictures that an earlier batch did not write: it is a stack.
    """
    if not any(each.is_dir() and same_file(each, out) for each in folder.iterdir()):
        return same_file(out.parent, folder)
    if not (out / MARK).is_file() and any(map(is_picture, out.iterdir())):
        raise OptionsError(
            f"{out} holds frames, and results would go among them", "give another folder with -o"
        )
    return True


def _check_new(output: Path, done: Sequence[FusedFile]) -> None:
    """Check that a result does not overwrite another: some file systems do not tell `Bee` from `bee`."""
    for each in done:
        if each.output.name.casefold() == output.name.casefold() and same_file(each.output, output):
            raise OutputError(f"{output} would overwrite {each.output}", "rename one of the stacks")


def _as_counted(path: Path) -> list[tuple[int, str]]:
    """A sort key that orders numbers in names by value: 2 before 10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"(\d+)", path.name)]
