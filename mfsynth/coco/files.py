"""Files of a split, wherever they are: in a folder, in a zip, or in a zip stored inside a zip.

A `FileRef` is all that a worker process needs to read one file, so workers need not parse a zip's directory
of 118,287 entries again.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import struct
import tempfile
import time
import zipfile
import zlib
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 1
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class FileRef:
    """Where the bytes of one file are: `path` itself, or a member of the zip at `path`.

    `start` is the offset of the member's local header in `path` (-1 for a plain file), `size` the size of the
    file, `stored` the member's size in the archive; `method` and `crc` are as in the zip's directory.
    """

    path: str
    name: str
    size: int
    start: int = -1
    stored: int = 0
    method: int = 0
    crc: int = 0

    def read(self) -> bytes:
        """The file's bytes; those of a zip's member are checked against its checksum.

        Raises:
            SourceError: If the file no longer exists, cannot be read, or is damaged inside its archive.
        """
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123 - a Path for each of 118,287 files takes noticeable time
                return file.read() if self.start < 0 else self._member(file)
        except OSError as error:
            raise SourceError(f"cannot read {self}: {error.strerror or error}") from error
        except (struct.error, zlib.error) as error:
            raise SourceError(f"cannot read {self}: {error}") from error

    def _member(self, file: IO[bytes]) -> bytes:
        file.seek(self.start)
        signature, *_, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        if signature != b"PK\x03\x04":
            raise SourceError(f"{self} is not where the zip's directory says", "download the archive again")
        file.seek(name_length + extra_length, os.SEEK_CUR)
        data = file.read(self.stored)
        if self.method == zipfile.ZIP_DEFLATED:
            data = zlib.decompress(data, wbits=-zlib.MAX_WBITS)
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise SourceError(f"{self} is damaged: wrong size or checksum", "download the archive again")
        return data

    def __str__(self) -> str:
        return self.path if self.start < 0 else f"{self.name} in {self.path}"


class FileTree(ABC):
    """A folder of files, on disk or in a zip; names are relative, with forward slashes."""

    @abstractmethod
    def find(self, name: str) -> FileRef | None:
        """The file with that name; None if there is none."""


@dataclass(frozen=True)
class Folder(FileTree):
    """A folder on disk."""

    root: Path

    def find(self, name: str) -> FileRef | None:
        """The file with that name; None if there is none.

        Raises:
            SourceError: If the name leads outside the folder, or the folder cannot be searched.
        """
        path = os.path.join(self.root, checked_name(name, str(self.root)))  # noqa: PTH118 - as above
        try:
            return FileRef(path, name, os.stat(path).st_size)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise SourceError(f"cannot look for {path}: {error.strerror}") from error


class ZipFolder(FileTree):
    """A folder inside a zip, or inside a zip that is stored in a zip at `offset`."""

    def __init__(self, path: Path, folder: str, offset: int, members: dict[str, zipfile.ZipInfo]) -> None:
        self.path, self.folder, self.offset, self.members = path, folder, offset, members

    def find(self, name: str) -> FileRef | None:
        """The file with that name; None if there is none."""
        info = self.members.get(f"{self.folder}/{checked_name(name, str(self.path))}")
        return None if info is None else member_ref(self.path, info, self.offset, name)


def checked_name(name: str, where: str) -> str:
    """A relative file name that stays inside its folder.

    Raises:
        SourceError: If it is absolute, or leads outside.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
        raise SourceError(
            f"{where}: the file name {name!r} leads outside its folder",
            "do not use this data: it is malformed",
        )
    return name


def member_ref(path: Path, info: zipfile.ZipInfo, offset: int, name: str) -> FileRef:
    """A zip's member as a FileRef; `offset` is where the zip begins in the file at `path`.

    Raises:
        SourceError: If the member is encrypted or compressed by a method other than deflate.
    """
    _check_method(path, info)
    start = offset + info.header_offset
    return FileRef(str(path), name, info.file_size, start, info.compress_size, info.compress_type, info.CRC)


def _check_method(path: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceError(
            f"{info.filename} in {path} is encrypted or uses compression method {info.compress_type}",
            "pack it again with plain deflate, or extract it",
        )


def zip_members(path: Path, offset: int = 0, length: int | None = None) -> dict[str, zipfile.ZipInfo]:
    """The directory of a zip, or of a zip stored inside another at an offset.

    Raises:
        SourceError: If it is not a zip, or is cut short.
    """
    try:
        with path.open("rb") as file:
            inner = file if length is None else _Slice(file, offset, length)
            with zipfile.ZipFile(inner) as archive:
                return {info.filename: info for info in archive.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{path} is not a whole zip: {error}", "download it again") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def nested_zip(
    path: Path, info: zipfile.ZipInfo, cache: Path, say: Callable[[str], None]
) -> tuple[Path, int, dict[str, zipfile.ZipInfo]]:
    """The directory of a zip inside the zip at `path`, read in place if stored, else unpacked to the cache.

    Returns:
        The file that holds the inner zip, its offset in that file, and its members.

    Raises:
        SourceError: If it is encrypted, damaged, or cannot be unpacked to the cache.
    """
    _check_method(path, info)
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(info.header_offset)
            *_, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        offset = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        return path, offset, zip_members(path, offset, info.file_size)
    unpacked = _unpack(path, info, cache, say)
    return unpacked, 0, zip_members(unpacked)


def _unpack(path: Path, info: zipfile.ZipInfo, cache: Path, say: Callable[[str], None]) -> Path:
    """Unpack a deflated member to the cache, once, under a hash of the archive, the member and its CRC."""
    identity = f"{path.resolve()} {info.filename} {info.CRC} {info.file_size}"
    target = (
        cache / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}-{PurePosixPath(info.filename).name}"
    )
    try:
        if target.exists() and target.stat().st_size == info.file_size:
            return target
        say(f"unpacking {info.filename} from {path} to {target}, once")
        cache.mkdir(parents=True, exist_ok=True)
        remove_stale_scratch(cache)
        _extract(path, info, target)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(
            f"cannot unpack {info.filename} from {path} to {cache}: {error}",
            "make sure that the cache is writable, or set XDG_CACHE_HOME to a folder that is",
        ) from error
    return target


def _extract(path: Path, info: zipfile.ZipInfo, target: Path) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix="tmp-")
    try:
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(path) as archive, archive.open(info) as member:
            while chunk := member.read(1 << 20):
                out.write(chunk)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def remove_stale_scratch(cache: Path) -> None:
    """Remove what killed processes left unfinished in the cache; what is younger than a day may be in use."""
    for path in cache.glob("tmp-*"):
        with suppress(FileNotFoundError):  # another process may be cleaning up, too
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def read_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk, while a folder is searched, into ours."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"cannot read {folder}: {error}") from error


class _Slice(io.RawIOBase):
    """A part of an open file, as a file of its own."""

    def __init__(self, file: IO[bytes], offset: int, length: int) -> None:
        self._file, self._offset, self._length, self._at = file, offset, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._length - self._at)
        self._file.seek(self._offset + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data
