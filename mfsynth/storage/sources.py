"""Remote files of either kind: on a web server, or wherever a file system of fsspec's leads."""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import sys
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from mfsynth.errors import MfsynthError, MissingExtraError, ShardError
from mfsynth.locations import scrubbed, shown
from mfsynth.storage.patience import Setback
from mfsynth.storage.remote import READ_AHEAD
from mfsynth.storage.web import BUSY, Remote, answer, client

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20
_MARKS = frozenset(
    {"size", "etag", "ETag", "LastModified", "last_modified", "mtime", "generation", "md5Hash"}
)
"""What file systems say of a file that changes with it."""
_FINAL = (
    FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, TypeError,
    ValueError, LookupError, AttributeError, NotImplementedError,
)  # fmt: skip
"""Errors of file systems that another try does not change."""

_HOPELESS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound"}
)
"""Errors of botocore, which need not be installed, that another try does not change."""
_NO_KEYS = frozenset({"NoCredentialsError", "PartialCredentialsError"})
WRITABLE = "s3://, gs://, az://"
"""How URLs of common object stores begin; with its package installed, any that fsspec knows will do."""
_END_SECONDS = 2.0
_EXTRAS = {"aiohttp": "http", "s3fs": "s3"}
"""Packages that open URLs, and the extras that install them."""


class WebSource:
    """A file on a web server. Where the server has no ranges, it is read from its start, and compared."""

    def __init__(self, url: str, timeout: float) -> None:
        self.location, self.timeout = url, timeout
        self._remote: Remote | None = None
        self._ranges = True
        self._seen = _Seen()

    @property
    def size(self) -> int | None:
        """As for `Source`."""
        return self._remote.size if self._remote and self._remote.size else None

    def pieces(self, start: int) -> Iterator[bytes]:
        """As for `Source`."""
        if start and self.size is not None and start >= self.size:
            return
        with answer(client(self.timeout), "GET", self.location, (200, 206), self._asking(start)) as response:
            whole = self._checked(response, start)
            pieces: Iterator[bytes] = response.iter_bytes()
            for piece in self._after(start, pieces) if whole and start else pieces:
                self._seen.add(piece, start)
                start += len(piece)
                if piece:
                    yield piece

    def _asking(self, start: int) -> dict[str, str]:
        """The headers of a request for what follows from a byte on."""
        if not start or not self._ranges:
            return {}
        version = self._remote.version if self._remote else ""
        return {"Range": f"bytes={start}-"} | ({"If-Range": version} if version else {})

    def _checked(self, response: Any, start: int) -> bool:
        """Whether an answer holds the whole file, after checking that it is the one that was opened."""
        remote = Remote.of(response)
        if "Content-Encoding" in response.headers:  # lengths and ranges are those of the encoded bytes
            remote, self._ranges = Remote(0, remote.version), False
        if self._remote is None:
            self._remote = remote
            self._seen.counts = response.headers.get("Accept-Ranges") != "bytes"
        whole = bool(response.status_code == 200)
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if not remote.same(self._remote) or not (whole or continues):
            raise _changed(self.location)
        return whole

    def _after(self, start: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """What follows from a byte on in a whole file, if that begins with what was read before."""
        again, missing, tail = hashlib.sha256(), start, b""
        for piece in pieces:
            head, tail = piece[:missing], piece[missing:]
            again.update(head)
            missing -= len(head)
            if not missing:
                break
        known = self._seen.is_until(start, again.digest())
        if missing or not (known if known is not None else self._remote and self._remote.version):
            raise _changed(self.location)
        return chain([tail], pieces)


class _Seen:
    """A hash of what was read from a file's start on, without a gap; `counts` says whether it is kept."""

    def __init__(self) -> None:
        self.counts = True
        self.size, self.state = 0, hashlib.sha256()

    def add(self, piece: bytes, start: int) -> None:
        """Note what was read at a byte."""
        if self.counts and start == self.size:
            self.state.update(piece)
            self.size += len(piece)

    def is_until(self, size: int, digest: bytes) -> bool | None:
        """Whether the first bytes have this hash; None if they were not all read, or more than them."""
        return self.state.digest() == digest if self.counts and self.size == size else None


class SystemSource:
    """A file of one of fsspec's file systems, opened again for each try."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.system, self._path = file_system(location)
        self._marks: dict[str, Any] | None = None
        self.size: int | None = None

    def pieces(self, start: int) -> Iterator[bytes]:
        """As for `Source`."""
        with passing(self.location):
            if self._marks is not None:
                self.system.invalidate_cache()
            with self.system.open(self._path, "rb", block_size=READ_AHEAD) as file:
                self._check(file)
                if start:
                    file.seek(start)
                while piece := file.read(_PIECE):
                    yield piece

    def _check(self, file: Any) -> None:
        """Check that a file is the one that was opened before, by what its system says of it."""
        self.size = getattr(file, "size", None)
        details = getattr(file, "details", None)
        marks = {name: details[name] for name in _MARKS & details.keys()} if isinstance(details, dict) else {}
        if self._marks is None:
            self._marks = marks
        if any(marks[name] != self._marks[name] for name in marks.keys() & self._marks.keys()):
            raise _changed(self.location)

    def copy_to(self, target: str) -> None:
        """Copy the whole file, in the way that suits its system."""
        with passing(self.location):
            self.system.get_file(self._path, target)


def unknown_scheme(location: str) -> str:
    """The scheme of a URL, or of the last in a chain, if fsspec knows no such one; else empty."""
    from fsspec.registry import known_implementations, registry

    scheme, separator, _ = location.rpartition("::")[2].partition("://")
    known = scheme in known_implementations or scheme in registry  # the second: what a program added itself
    return scheme if separator and not known else ""


def file_system(location: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it.

    Raises:
        MissingExtraError: If it needs a package that is not installed.
        ShardError: If it needs one that no extra of ours has, or nothing opens URLs of this kind.
    """
    from fsspec.core import url_to_fs

    if scheme := unknown_scheme(location):
        raise ShardError(
            f"cannot open {shown(location)}: nothing is known of {scheme}:// URLs",
            f"give a local path, or a URL that begins with {WRITABLE}, hf:// or https://",
        )
    try:
        system, path = url_to_fs(location)
    except ImportError as error:
        for package, extra in _EXTRAS.items():
            if package in str(error):
                raise MissingExtraError(package, extra) from error
        raise ShardError(
            f"cannot open {shown(location)}: {error}", "install the package that the message names"
        ) from error
    return system, path


@contextmanager
def passing(location: str) -> Iterator[None]:
    """Turn the errors of a file system that may pass into setbacks; what they are is anybody's guess."""
    try:
        yield
    except _FINAL:
        raise
    except Exception as error:
        status = getattr(error, "status", None)
        refused = isinstance(status, int) and 400 <= status < 500 and status not in BUSY
        if refused or isinstance(error, (MfsynthError, Setback)) or type(error).__name__ in _HOPELESS:
            raise
        raise Setback(scrubbed(" ".join(str(error).split()), location) or type(error).__name__) from error


def access_hint(error: BaseException) -> str:
    """What to do about an object store that wants keys, or others; empty for any other error."""
    if type(error).__name__ in _NO_KEYS:
        return "set the keys as usual for the object store, as in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return "check the keys, and what they allow" if isinstance(error, PermissionError) else ""


def _changed(location: str) -> ShardError:
    return ShardError(f"{shown(location)} changed while it was read", "read it again from the start")


@atexit.register
def _end_requests() -> None:
    """End what nobody waits for any more, as after Ctrl-C; Python would print what it was as it exits."""
    loop = getattr(sys.modules.get("fsspec.asyn"), "loop", [None])[0]
    if loop is None or not loop.is_running():
        return

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(end(), loop).result(_END_SECONDS)
