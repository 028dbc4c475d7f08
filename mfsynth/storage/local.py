"""Local files: only regular ones are read, and what is written is written completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mfsynth.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def cache_folder() -> Path:
    """The per-user cache folder: downloads, the drawn demo split, unpacked archives, locks."""
    import platformdirs

    return platformdirs.user_cache_path("mfsynth")


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything; False for a path that nothing can have."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file; False for a path that no file can have, such as a too long one."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder; False for a path that no folder can have."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def irregular(status: os.stat_result) -> str:
    """Why something is not a regular file; empty if it is one."""
    kind = stat.S_IFMT(status.st_mode)
    return "" if kind == stat.S_IFREG else f"it is {_KINDS.get(kind, 'something else')}, not a regular file"


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A regular file, opened for reading; a pipe or a device might never end, or never answer.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.
        ValueError: If no file can have this path.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if wrong := irregular(status):
        os.close(descriptor)
        raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL, wrong, str(path))
    return os.fdopen(descriptor, "rb")


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


def put(path: Path, data: bytes, scratch: Path, name: str = "") -> None:
    """Write a local file completely or not at all: to a temporary file in `scratch`, synced, then renamed."""
    with scratch_file(scratch, name) as file:
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
    except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {output}: {reason}") from error


@contextmanager
def scratch_file(folder: Path, name: str = "") -> Iterator[IO[bytes]]:
    """A new file `tmp-{name}*` in a folder, removed at the end unless it was published."""
    handle, name = tempfile.mkstemp(prefix=f"tmp-{name}", dir=folder)
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
