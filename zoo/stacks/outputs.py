"""Outputs are never inputs: what would overwrite a frame is refused before anything is fused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mfsynth.errors import OptionsError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def check_apart(outputs: Iterable[Path], frames: Iterable[Path]) -> None:
    """Check that no output is a frame, whatever its name or the link to it.

    Raises:
        OptionsError: If one is.
    """
    taken = {identity: frame for frame in frames for identity in _identities(frame)}
    for output in outputs:
        for identity in _identities(output):
            if identity in taken:
                raise OptionsError(
                    f"{output} would overwrite the frame {taken[identity]}", "give another name with -o"
                )


def check_distinct(outputs: Sequence[Path]) -> None:
    """Check that no two outputs are one file; some file systems do not tell upper from lower case.

    Raises:
        OptionsError: If two are.
    """
    taken: dict[str, Path] = {}
    for output in outputs:
        other = taken.setdefault(os.path.realpath(output).casefold(), output)
        if other is not output:
            raise OptionsError(
                f"one picture would overwrite another: {other} and {output}", "give each a name of its own"
            )


def check_writable(output: Path) -> None:
    """Check before the work that a file can be written: its folder is there or can be made.

    Raises:
        OutputError: If not.
    """
    try:
        is_folder = output.is_dir()
        folder = next(each for each in output.absolute().parents if each.exists() or each.is_symlink())
    except OSError as error:  # such as a name that is too long
        raise OutputError(f"cannot write {output}: {error.strerror}", "give another name with -o") from error
    if is_folder:
        raise OutputError(f"cannot write {output}: it is a folder", "give another name with -o")
    if not folder.is_dir():
        raise OutputError(f"cannot write {output}: {folder} is not a folder", "give another folder with -o")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {output}: {folder} is not writable", "give another folder with -o")


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder; not if either leads nowhere."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _identities(path: Path) -> list[object]:
    """What all names of a file share: the path without links and, if it is there, its place on the disk."""
    try:
        found = path.stat()
    except OSError:
        return [os.path.realpath(path)]
    return [os.path.realpath(path), (found.st_dev, found.st_ino)]
