"""The only module that uses fsspec. Reads local files and URLs alike; writes local files atomically."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mfsynth.errors import MfsynthError, MissingExtraError, OutputError, ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ_AHEAD = 8 << 20


def cache_folder() -> Path:
    """The per-user cache folder: downloads, the drawn demo split, unpacked archives, locks."""
    import platformdirs

    return platformdirs.user_cache_path("mfsynth")


def is_url(location: str | os.PathLike[str]) -> bool:
    """Whether a location is a URL that fsspec opens, rather than a local path."""
    return "://" in os.fspath(location)


def shown(location: str | os.PathLike[str]) -> str:
    """A location fit to be shown, recorded or published: URLs without user, password, query and fragment.

    Signed URLs have their key in the query. Whatever names a location outside this process uses this.

    >>> shown("https://ann:secret@example.org/set?X-Signature=abc")
    'https://example.org/set'
    >>> shown("sets/val2017")
    'sets/val2017'
    """
    return "::".join(map(_without_secrets, os.fspath(location).split("::")))


def _without_secrets(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def join(folder: str | os.PathLike[str], name: str) -> str:
    """The location of a file in a folder, as a local path or URL."""
    folder = os.fspath(folder)
    if not is_url(folder):
        return str(Path(folder, name))
    return folder + name if folder.endswith("/") else f"{folder}/{name}"


def parent(location: str) -> str:
    """The folder of a file, as a local path or URL."""
    if not is_url(location):
        return str(Path(location).parent)
    folder = location[: location.rindex("/")]
    return f"{folder}/" if folder.endswith("/") else folder


@contextmanager
def open_file(location: str) -> Iterator[IO[bytes]]:
    """A file opened for reading from its start; local files seek cheaply, remote ones read ahead.

    Raises:
        ShardError: If it does not exist or cannot be read.
        MissingExtraError: If the URL's protocol needs a package that is not installed.
    """
    with _naming(location):
        file = _open(location)
    with file:
        yield _Guarded(file, location)  # type: ignore[misc]


def read(location: str) -> bytes:
    """The bytes of a file.

    Raises:
        ShardError: If it does not exist or cannot be read.
    """
    with open_file(location) as file:
        return file.read()


@contextmanager
def local_copy(location: str) -> Iterator[Path]:
    """A local path to the file's content: the file itself if it is local, else a temporary copy.

    Raises:
        ShardError: If a remote file does not exist or cannot be read.
        MissingExtraError: If the URL's protocol needs a package that is not installed.
    """
    if not is_url(location):
        yield Path(location)
        return
    with tempfile.TemporaryDirectory(prefix="mfsynth-") as folder:
        target = Path(folder, "copy")
        with _naming(location):
            system, path = _file_system(location)
            system.get_file(path, str(target))
        yield target


def digest(data: bytes | Path, state: Any = None) -> str:
    """SHA-256 of bytes or of a file, as hex text; `state` is another hash to use, already started."""
    state = hashlib.sha256() if state is None else state
    if isinstance(data, bytes):
        state.update(data)
        return str(state.hexdigest())
    with data.open("rb") as file:
        while part := file.read(1 << 20):
            state.update(part)
    return str(state.hexdigest())


def put(path: Path, data: bytes, scratch: Path) -> None:
    """Write a local file completely or not at all: to a temporary file in `scratch`, synced, then renamed."""
    with scratch_file(scratch) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        publish(file, path)


def write(output: Path, data: bytes) -> None:
    """Write a file completely or not at all; its folder is created if needed.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        put(output, data, output.parent)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error


@contextmanager
def scratch_file(folder: Path) -> Iterator[IO[bytes]]:
    """A new file `tmp-*` in a folder, removed at the end unless it was published."""
    handle, name = tempfile.mkstemp(prefix="tmp-", dir=folder)
    try:
        with os.fdopen(handle, "wb", buffering=1 << 20) as file:
            Path(name).chmod(0o666 & ~_umask())
            yield _Named(file, name)  # type: ignore[misc]
    finally:
        Path(name).unlink(missing_ok=True)


def publish(file: IO[bytes], path: Path) -> None:
    """Give a scratch file its final name."""
    file.flush()
    Path(file.name).replace(path)


def sync(path: Path) -> None:
    """Wait until the bytes of a local file have reached the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


class _Named:
    """An open file that knows its path (one from `os.fdopen` knows only its descriptor)."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.write, self.flush, self.fileno = file.write, file.flush, file.fileno


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Guarded:
    """An open file that names its location in errors."""

    def __init__(self, file: IO[bytes], location: str) -> None:
        self._file = file
        self._location = location

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:
            raise _unreadable(self._location, error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _naming(location: str) -> Iterator[None]:
    """Turn the errors of the library behind a protocol, of whatever class, into ours."""
    try:
        yield
    except MfsynthError:
        raise
    except Exception as error:
        raise _unreadable(location, error) from error


def _open(location: str) -> IO[bytes]:
    if not is_url(location):
        return Path(location).open("rb")
    system, path = _file_system(location)
    file: IO[bytes] = system.open(path, "rb", block_size=_READ_AHEAD)
    return file


def _file_system(location: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(location)
    except ImportError as error:
        if "aiohttp" in str(error):
            raise MissingExtraError("aiohttp", "http") from error
        raise ShardError(
            f"cannot open {location}: {error}", "install the package that the message names"
        ) from error
    return system, path


def _unreadable(location: str, error: BaseException) -> ShardError:
    # fsspec also raises FileNotFoundError for a refused connection; only the cause shows which it was.
    while isinstance(error, FileNotFoundError) and error.__cause__ and not _is_404(error.__cause__):
        error = error.__cause__
    if isinstance(error, FileNotFoundError):
        return ShardError(f"{location} is not there")
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, OSError) and text else f"{type(error).__name__}: "
    return ShardError(f"cannot read {location}: {kind}{text}".removesuffix(": "))


def _is_404(error: BaseException) -> bool:
    return getattr(error, "status", None) == 404
