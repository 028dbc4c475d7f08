"""One file of a split, wherever it is: on disk, in a zip, or in a zip stored inside a zip.

A `FileRef` is all that a worker process needs to read one file, so workers need not parse a zip's directory
of 118,287 entries again. It remembers the file that was planned with: another one is never read in its place.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, ClassVar, NamedTuple

from mfsynth import limits, storage
from mfsynth.coco.finding import names
from mfsynth.errors import ChangedError, SourceError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mfsynth.storage import AnyPath

STORED, DEFLATED = 0, 8
"""The methods of a zip's members that are read."""
LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_PIECE = 1 << 18
"""Bytes of a zip's member that are read at once; they inflate to 270 MB at most."""
_STALE_SECONDS = 24 * 3600
_AGAIN = "download the archive again"


class Stamp(NamedTuple):
    """What tells a file from one that replaces it: size in bytes, time of the last change in nanoseconds.

    At a URL, instead of the time, it is a number that changes with the file.
    """

    size: int
    mtime_ns: int

    @staticmethod
    def of(status: os.stat_result) -> Stamp:
        """A file's stamp."""
        return Stamp(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class FileRef:
    """Where the bytes of one file are: `path` itself, or a member of the zip at `path`, which may be a URL.

    `name` is as the annotations list it, `size` the file's, and `stamp` that of the file at `path`, the zip's
    if it is one. `start` is the offset of the member's local header in `path` (-1 for a plain file), `stored`
    the member's size in the archive; `method` and `crc` are as in the zip's directory. `fault` says why the
    file cannot be read, where this is known before it is opened.
    """

    path: str
    name: str
    size: int
    stamp: Stamp
    start: int = -1
    stored: int = 0
    method: int = STORED
    crc: int = 0
    fault: str = ""

    def read(self, limit: int = limits.FILE_BYTES) -> bytes:
        """The file's bytes; those of a zip's member are checked against its checksum.

        Args:
            limit: Largest size that is read, in bytes.

        Raises:
            ChangedError: If the file is not the one that was found, or is gone.
            DownloadError: If it is at a URL that cannot be read.
            UnreadableError: If it is not a regular file, is too large, or the system refuses to read it.
            SourceError: If it is damaged inside its archive.
        """
        size = max(self.size, self.stored)
        if size > limit and not self.fault:
            raise UnreadableError(f"cannot read {self}: it has {size:,} bytes, the limit is {limit:,}")
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes piece by piece, for a file of any size; errors are as for `read`."""
        if self.fault:
            raise UnreadableError(f"cannot read {self}: {self.fault}")
        try:
            with storage.open_anywhere(self.path) as file:
                self._check_stamp(file)
                try:
                    yield from self._pieces(file)
                finally:  # what looks like damage may be a change while it was read
                    self._check_stamp(file)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._changed("is gone") from error
        except OSError as error:
            raise UnreadableError(f"cannot read {self}: {error.strerror or error}") from error

    def _check_stamp(self, file: IO[bytes]) -> None:
        now = Stamp(*storage.mark_of(file))
        if now != self.stamp:
            sizes = f"{self.stamp.size:,} bytes then, {now.size:,} now"
            raise self._changed(f"has changed ({sizes})" if now.size != self.stamp.size else "has changed")

    def _changed(self, how: str) -> ChangedError:
        return ChangedError(
            f"{storage.shown(self.path)} {how} since its split was read",
            "leave the data unchanged, and run the same command again",
        )

    def _pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        """The bytes; a zip's member is inflated by at most a byte more than the zip's directory promises."""
        if self.start < 0:
            yield file.read(self.size)
            return
        file.seek(data_start(file, self.start, str(self)))
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        left, size, crc = self.stored, 0, 0
        while left and size <= self.size and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            if self.method == DEFLATED:
                try:
                    piece = inflater.decompress(piece, self.size + 1 - size)
                except zlib.error as error:
                    raise SourceError(f"{self} is damaged: {error}", _AGAIN) from error
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            yield piece
        if size != self.size or crc != self.crc:
            raise SourceError(f"{self} is damaged: wrong size or checksum", _AGAIN)

    def __str__(self) -> str:
        where = storage.shown(self.path)
        return where if self.start < 0 else f"{self.name} in {where}"


@dataclass(frozen=True, slots=True)
class Missing:
    """A listed file that was not found: its name as listed, the reason, and the file that lists it."""

    name: str
    reason: str
    listed_in: str = "the annotations"
    size: ClassVar[int] = -1

    def __str__(self) -> str:
        return f"{self.listed_in}: {names.shown(self.name)} {self.reason}"


def data_start(file: IO[bytes], start: int, what: str) -> int:
    """Where a zip member's bytes begin, after its local header at `start`.

    Raises:
        SourceError: If there is no local header.
    """
    file.seek(start)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise SourceError(f"{what} is not where the zip's directory says", _AGAIN)
    *_, name_length, extra_length = LOCAL_HEADER.unpack(header)
    return start + LOCAL_HEADER.size + int(name_length) + int(extra_length)


def remove_stale_scratch(cache: Path) -> None:
    """Remove what killed processes left unfinished in the cache; what is younger than a day may be in use."""
    for path in cache.glob("tmp-*"):
        with suppress(FileNotFoundError):  # another process may be cleaning up, too
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def read_errors(folder: AnyPath) -> Iterator[None]:
    """Turn errors of the disk, while a folder is searched, into ours."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error
