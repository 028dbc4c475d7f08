"""Reading users' picture files, upright and at their full depth: which reader reads which file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zoo.errors import PictureError
from zoo.pictures import avif, common, heif, raw
from zoo.pictures.picture import BROKEN, EXPORT, PictureFile, Refusal
from zoo.pictures.raw import AS_SHOT
from zoo.pictures.tiff import is_tiff, pages_in, read_page, read_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zoo.pictures.raw import Development

HEAD = 64
"""The bytes at a file's beginning that readers know it by."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads picture files of some kinds. Its functions raise `Refusal` or one of `BROKEN`.

    Args:
        knows: Whether a file is of these kinds, from its first `HEAD` bytes and its suffix in lower case.
        read: Reads a file that holds one picture.
        pages: The pages of a file that are frames of a stack, in order. None where a file holds one picture.
        read_page: Reads one of these pages.
    """

    knows: Callable[[bytes, str], bool]
    read: Callable[[Path], PictureFile]
    pages: Callable[[Path], tuple[int, ...]] | None = None
    read_page: Callable[[Path, int], PictureFile] | None = None


def readers(development: Development) -> tuple[Reader, ...]:
    """All readers; the first that knows a file reads it."""
    return (
        Reader(heif.knows, heif.read),
        Reader(avif.knows, avif.read),
        Reader(raw.knows, partial(raw.read, development=development)),
        Reader(is_tiff, read_tiff, pages_in, read_page),
        Reader(lambda _head, _suffix: True, common.read),
    )


def read_picture(path: Path, development: Development = AS_SHOT) -> PictureFile:
    """Read a picture of any known kind, turned upright by its orientation tag.

    16 bits stay 16 bits, and a TIFF's floats become float32. An ICC profile of another color model than
    the pixels' is dropped. EXIF, XMP and IPTC are kept as they are, upright.

    Args:
        path: The file.
        development: How it is developed, if it is RAW.

    Raises:
        PictureError: If the file is missing, empty, cut short or not a picture, holds more than one picture,
            has an alpha channel, or holds other numbers, or numbers that are not finite.
    """
    with reading(path, development) as reader:
        return reader.read(path)


@contextmanager
def reading(path: Path, development: Development = AS_SHOT) -> Iterator[Reader]:
    """The reader of a file; what it raises becomes an error that names the file.

    Raises:
        PictureError: If the file cannot be opened, is empty, or is refused.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    try:
        if not head:
            raise Refusal("it is empty")
        yield next(reader for reader in readers(development) if reader.knows(head, path.suffix.lower()))
    except Refusal as refusal:
        raise PictureError(f"cannot read {path}: {refusal}", refusal.hint) from refusal.__cause__
    except BROKEN as error:
        raise PictureError(f"cannot read {path}: {error}", EXPORT) from error
    except MemoryError as error:
        raise PictureError(f"cannot read {path}: it does not fit into memory", "make it smaller") from error
