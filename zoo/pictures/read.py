"""Reading users' picture files, upright and at their full depth: which reader reads which file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zoo.errors import PictureError
from zoo.pictures import avif, common, heif, raw
from zoo.pictures.picture import BROKEN, EXPORT, PictureFile, Refusal
from zoo.pictures.raw import AS_SHOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo.pictures.raw import Development

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


def readers(development: Development) -> tuple[Reader, ...]:
    """All readers; the first that knows a file reads it."""
    return (
        Reader(heif.knows, heif.read),
        Reader(avif.knows, avif.read),
        Reader(raw.knows, partial(raw.read, development=development)),
        Reader(lambda _head, _suffix: True, common.read),
    )


def read_picture(path: Path, development: Development = AS_SHOT) -> PictureFile:
    """Read a picture of any known kind, turned upright by its orientation tag.

    Args:
        path: The file.
        development: How it is developed, if it is RAW.

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
        known = (each for each in readers(development) if each.knows(head, path.suffix.lower()))
        return next(known).read(path)
    except Refusal as refusal:
        raise PictureError(f"cannot read {path}: {refusal}", refusal.hint) from refusal.__cause__
    except BROKEN as error:
        raise PictureError(f"cannot read {path}: {error}", EXPORT) from error
