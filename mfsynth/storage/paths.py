"""A path at a URL, for code that looks for files: a few of pathlib's methods, and reading at any place."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

from mfsynth.errors import DownloadError, MfsynthError, SourceError
from mfsynth.locations import is_web, join, local_path, parent, scrubbed, shown
from mfsynth.storage.local import open_regular
from mfsynth.storage.patience import PATIENCE, Patience, Setback, patiently
from mfsynth.storage.sources import access_hint, file_system, passing

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    Answer = TypeVar("Answer")

_BUFFER = 1 << 18
"""Bytes that are asked for at once: most pictures of COCO are smaller."""
_CHANGES = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "created")
"""What file systems say of a file that changes with it, the best first."""


class Mark(NamedTuple):
    """What tells a file from one that replaces it: its size in bytes, and a number that changes with it."""

    size: int
    change: int


@dataclass(frozen=True, slots=True, order=True, repr=False)
class RemotePath:
    """A path at a URL. `str` gives it as it may be shown, `os.fspath` as it is."""

    url: str

    def __str__(self) -> str:
        return shown(self.url)

    __repr__ = __str__

    def __fspath__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(join(self.url, name))

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rpartition("/")[2]

    def with_name(self, name: str) -> RemotePath:
        """The path beside it with another name."""
        return RemotePath(join(parent(self.url), name))

    def expanduser(self) -> RemotePath:
        """The path itself: a URL has no `~`."""
        return self

    def is_dir(self) -> bool:
        """Whether there is anything inside it."""
        return self._kind() == "directory"

    def exists(self) -> bool:
        """Whether there is a file, or anything inside it."""
        return self._kind() != ""

    def glob(self, pattern: str) -> list[RemotePath]:
        """The files whose names match a pattern, which may have folders before it."""
        front, _, last = pattern.rpartition("/")
        folder = self / front if front else self
        return [folder / name for name in folder.files(deep=False) if fnmatch.fnmatchcase(name, last)]

    def files(self, *, deep: bool = True) -> dict[str, Mark]:
        """The files inside it, by name; those in folders inside it as well if `deep`."""

        def listed(system: Any, path: str) -> dict[str, Mark]:
            system.invalidate_cache()
            try:
                found = system.find(path, detail=True, **({} if deep else {"maxdepth": 1}))
            except FileNotFoundError:
                return {}
            finally:
                system.invalidate_cache()
            front = f"{path.strip('/')}/"
            names = {name.lstrip("/"): details for name, details in found.items()}
            return {
                name.removeprefix(front): _mark(details)
                for name, details in names.items()
                if name.startswith(front)
            }

        return _ask(self.url, listed)

    def _kind(self) -> str:
        def look(system: Any, path: str) -> str:
            try:
                return str(system.info(path)["type"])
            except FileNotFoundError:
                return ""

        return _ask(self.url, look, PATIENCE.brief)  # a command's first request


AnyPath = Path | RemotePath
"""A path on this machine or at a URL."""


def path_at(location: str | os.PathLike[str]) -> AnyPath:
    """A location as a path, whose `~` is the home folder.

    Raises:
        SourceError: If it is on a web server, which has no listings.
    """
    if isinstance(location, RemotePath):
        return location
    path = local_path(location)
    if path is not None:
        return path.expanduser()
    if is_web(location):
        raise SourceError(
            f"cannot look for files in {shown(location)}: a web server has no listings",
            "give a local folder, or the URL of an object store, such as s3://bucket/coco",
        )
    return RemotePath(os.fspath(location).rstrip("/"))


def open_anywhere(location: str | os.PathLike[str]) -> IO[bytes]:
    """A regular file, or one at a URL of which only the parts that are read are fetched.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.
        DownloadError: If the object store cannot be read.
    """
    path = local_path(location)
    return (
        open_regular(path) if path is not None else io.BufferedReader(_Ranges(os.fspath(location)), _BUFFER)
    )


def mark_of(file: IO[bytes]) -> Mark:
    """The mark of a file that `open_anywhere` opened, as it is now."""
    raw = getattr(file, "raw", None)
    if isinstance(raw, _Ranges):
        return raw.mark()
    status = os.fstat(file.fileno())
    return Mark(status.st_size, status.st_mtime_ns)


class _Ranges(io.RawIOBase):
    """A file at a URL, each read of which is a request."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._at = url, 0
        self._size = self.mark().size

    def mark(self) -> Mark:
        """What the object store says of it now."""

        def look(system: Any, path: str) -> Mark:
            system.invalidate_cache()
            return _mark(system.info(path))

        return _ask(self._url, look)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        start = self._at

        def fetch(system: Any, path: str) -> bytes:
            data = bytes(system.cat_file(path, start=start, end=end))
            if len(data) != end - start:
                raise Setback(f"it sent {len(data):,} of {end - start:,} bytes")
            return data

        view[: end - start] = _ask(self._url, fetch)
        self._at = end
        return end - start


def _mark(details: dict[str, Any]) -> Mark:
    change = next((str(details[name]) for name in _CHANGES if details.get(name)), "")
    return Mark(details["size"], int(hashlib.sha256(change.encode()).hexdigest()[:15], 16))


def _ask(url: str, call: Callable[[Any, str], Answer], patience: Patience = PATIENCE) -> Answer:
    """Call with the file system and the path of a URL; several times where that may help.

    Raises:
        FileNotFoundError: As the call.
        DownloadError: If the object store cannot be read.
    """

    def once() -> Answer:
        with passing(url):
            return call(system, path)

    try:
        system, path = file_system(url)
        return patiently(once, shown(url), patience)
    except (MfsynthError, FileNotFoundError):
        raise
    except Setback as setback:
        raise DownloadError(
            f"cannot read {shown(url)}: {setback} ({setback.tried})", "check the network"
        ) from setback
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        told = f"cannot read {shown(url)}: {scrubbed(text, url)}"
        raise DownloadError(told, access_hint(error)) from error
