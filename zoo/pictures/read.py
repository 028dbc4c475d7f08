"""Reading users' picture files, upright and at their full depth: which reader reads which file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import PictureError
from zoo.pictures import common
from zoo.pictures.picture import BROKEN, EXPORT, PictureFile, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = 64
"""The bytes at a file's beginning that readers know it by."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads picture files of some kinds.

    Args:
        knows: Whether a file is of these kinds, from its first `HEAD` bytes and its suffix in lower case.
        read: Reads a file. It raises `Refusal` or one of `BROKEN`.
    """

    knows: Callable[[bytes, str], bool]
    read: Callable[[Path], PictureFile]


READERS: tuple[Reader, ...] = (Reader(lambda _head, _suffix: True, common.read),)
"""The first that knows a file reads it."""


def read_picture(path: Path) -> PictureFile:
    """Read a picture of any known kind, turned upright by its orientation tag.

    Raises:
        PictureError: If the file is missing, empty, cut short or not a picture, holds more than one picture,
            has an alpha channel, or holds floats or integers of other than 8 or 16 bits.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    try:
        if not head:
            raise Refusal("it is empty")
        return _reader(head, path.suffix.lower()).read(path)
    except Refusal as refusal:
        raise PictureError(f"cannot read {path}: {refusal}", refusal.hint) from refusal.__cause__
    except BROKEN as error:
        raise PictureError(f"cannot read {path}: {error}", EXPORT) from error


def _reader(head: bytes, suffix: str) -> Reader:
    return next(reader for reader in READERS if reader.knows(head, suffix))
