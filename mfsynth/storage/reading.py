"""Reading files, local and remote: as a stream, as a whole, and as a local copy."""

from __future__ import annotations

import io
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mfsynth import limits
from mfsynth.errors import MfsynthError, NotThereError, ShardError
from mfsynth.locations import is_url, is_web, local_path, scrubbed, shown
from mfsynth.storage.local import open_regular
from mfsynth.storage.patience import PATIENCE, Patience, Setback, patiently
from mfsynth.storage.remote import RemoteFile
from mfsynth.storage.sources import SystemSource, WebSource, access_hint
from mfsynth.storage.web import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUFFER = 1 << 20
_GONE = (404, 410)


@contextmanager
def open_file(location: str, patience: Patience = PATIENCE) -> Iterator[IO[bytes]]:
    """A file opened for reading from its start. A remote one goes on where its connection broke.

    Local files seek cheaply. Remote ones are made for reading on: seeking far, or back, is another request.

    Args:
        location: A local path, or a URL.
        patience: When to give up on a server.

    Raises:
        ShardError: If it does not exist, is not a regular file, cannot be read, or changes while it is read.
        MissingExtraError: If the URL's protocol needs a package that is not installed.
    """
    with _naming(location):
        file = _open(location, patience)
    with file:
        yield _Guarded(file, location)  # type: ignore[misc]


def read(location: str, limit: int = limits.DOCUMENT_BYTES, patience: Patience = PATIENCE) -> bytes:
    """The bytes of a document.

    Args:
        location: A local path, or a URL.
        limit: What the file may hold at most, in bytes.
        patience: When to give up on a server; a first answer is waited for briefly only.

    Raises:
        ShardError: If it does not exist, cannot be read, or is larger.
    """
    parts, size = [], 0
    with open_file(location, patience.brief) as file:
        declared = _size_of(file)
        while size <= limit and declared <= limit and (part := file.read(_BUFFER)):
            parts.append(part)
            size += len(part)
    if max(size, declared) > limit:
        raise _too_large(location, limit)
    return b"".join(parts)


@contextmanager
def local_copy(location: str, limit: int | None = None, patience: Patience = PATIENCE) -> Iterator[Path]:
    """A local path to the file's content: the file itself if it is local, else a temporary copy.

    Args:
        location: A local path, or a URL.
        limit: What a copy may hold at most, in bytes.
        patience: When to give up on a server.

    Raises:
        ShardError: If a remote file does not exist, cannot be read or kept, or is larger.
        MissingExtraError: If the URL's protocol needs a package that is not installed.
    """
    path = local_path(location)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mfsynth-") as folder:
        target = Path(folder, "copy")
        if is_web(location):
            _copy(location, target, limit, patience)
        else:
            with _naming(location):
                source = SystemSource(location)
                patiently(lambda: source.copy_to(str(target)), shown(location), patience)
        if limit is not None and target.stat().st_size > limit:
            raise _too_large(location, limit)
        yield target


def _copy(location: str, target: Path, limit: int | None, patience: Patience) -> None:
    """Stream a file into a local one, until it is larger than it may be."""
    with open_file(location, patience) as file, _keeping(location, target), target.open("wb") as copy:
        while part := file.read(_BUFFER):
            copy.write(part)
            if limit is not None and copy.tell() > limit:
                return


@contextmanager
def _keeping(location: str, target: Path) -> Iterator[None]:
    """Blame the disk for its own errors."""
    try:
        yield
    except MfsynthError:
        raise
    except OSError as error:
        raise ShardError(
            f"cannot save a copy of {shown(location)} in {target.parent.parent}: {error.strerror or error}",
            "free some space, or set TMPDIR to another folder",
        ) from error


def _too_large(location: str, limit: int) -> ShardError:
    return ShardError(
        f"{shown(location)} is larger than the limit of {limit:,} bytes",
        "check that it is the right file",
    )


class _Guarded:
    """An open file that names its location in errors."""

    def __init__(self, file: IO[bytes], location: str) -> None:
        self._file = file
        self._location = location

    def read(self, size: int = -1) -> bytes:
        try:  # not by `_naming`, which costs more than a short read
            return self._file.read(size)
        except MfsynthError:
            raise
        except Exception as error:
            raise _unreadable(self._location, error) from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _naming(self._location):
            return self._file.seek(offset, whence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _open(location: str, patience: Patience) -> IO[bytes]:
    path = local_path(location)
    if path is not None:
        return open_regular(path)
    source = WebSource(location, patience.timeout) if is_web(location) else SystemSource(location)
    return io.BufferedReader(RemoteFile(source, patience), _BUFFER)


def _size_of(file: IO[bytes]) -> int:
    """The size of an open file, 0 if it is not known."""
    raw = getattr(file, "raw", None)
    if isinstance(raw, RemoteFile):
        return raw.source.size or 0
    return os.fstat(file.fileno()).st_size


@contextmanager
def _naming(location: str) -> Iterator[None]:
    """Turn the errors of whatever is behind a protocol, of whatever class, into ours."""
    try:
        yield
    except MfsynthError:
        raise
    except Exception as error:
        raise _unreadable(location, error) from error


def _unreadable(location: str, error: BaseException) -> ShardError:
    # fsspec also raises FileNotFoundError for a refused connection; only the cause shows which it was.
    while isinstance(error, FileNotFoundError) and error.__cause__ and not _is_404(error.__cause__):
        error = error.__cause__
    where = shown(location)
    if isinstance(error, FileNotFoundError) or (isinstance(error, Refused) and error.status in _GONE):
        return NotThereError(f"{where} is not there")
    text = " ".join(str(error).split())
    if isinstance(error, Setback):
        return ShardError(f"cannot read {where}: {text} ({error.tried})", "check the network")
    if isinstance(error, Refused):
        return ShardError(f"cannot read {where}: {text}")
    if isinstance(error, OSError) and error.filename is not None:
        text = error.strerror or text
    kind = "" if isinstance(error, OSError) and text else f"{type(error).__name__}: "
    hint = access_hint(error) if is_url(location) else ""
    return ShardError(f"cannot read {where}: {kind}{scrubbed(text, location)}".removesuffix(": "), hint)


def _is_404(error: BaseException) -> bool:
    answer = getattr(error, "response", None)  # of botocore's errors
    told = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
    return 404 in (getattr(error, "status", None), told.get("HTTPStatusCode"))
