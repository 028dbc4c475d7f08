"""One process at a time works on a folder, or on a file.

Lock files of folders are in the user's cache, never in the folder itself. Those for jobs on several machines
(`mfsynth.building.claims`) are the exception. For a folder in an object store, a lock file keeps off the
other processes of this machine only; `mfsynth.storage.claim` does the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import filelock
import platformdirs

from mfsynth.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lock_path(place: Path | str) -> Path:
    """The lock file for a folder or file; every spelling of a path gives the same. A text is a URL."""
    name = place if isinstance(place, str) else os.path.normcase(place.resolve())
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return platformdirs.user_cache_path("mfsynth") / "locks" / f"{digest}.lock"


@contextmanager
def locked(path: Path | str, what: str) -> Iterator[None]:
    """Keep this user's other processes off `path` while the block runs; a killed process frees its lock.

    Args:
        path: The folder or file to work on; it need not exist yet. A text is a URL, as it may be shown.
        what: A name for the work, for the error, such as "download".

    Raises:
        OutputError: If another process holds the lock (this does not wait), or no lock can be made.
    """
    file = lock_path(path)
    lock = filelock.FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:  # is an OSError, too
        raise OutputError(
            f"another {what} is working on {path}", "wait until it has finished, or choose another folder"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise OutputError(
            f"cannot lock {path}: {error}",
            f"make {file.parent} writable, or set XDG_CACHE_HOME to a folder that is",
        ) from error
    try:
        yield
    finally:
        lock.release()


def try_lock(file: Path) -> int | None:
    """A descriptor that holds a lock on a file, which is created if needed.

    It also holds against other machines if the file system shares locks, as NFS does. It lasts
    until the descriptor is closed, at the latest by the end of the process.

    Returns:
        The descriptor; None if another process holds the lock.

    Raises:
        OSError: If the file cannot be opened, or its file system has no locks.
    """
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has removed it: lock the file that is there now


def open_shared(file: Path) -> IO[bytes] | None:
    """A file opened for reading; until it is closed, `try_lock` gets no lock on it, in any process.

    Returns:
        The file; None if there is none.

    Raises:
        OSError: If it cannot be opened, or its file system has no locks.
    """
    while True:
        try:
            opened = file.open("rb")
        except FileNotFoundError:
            return None
        try:
            share_lock(opened)
            if _is_at(file, opened.fileno()):
                return opened
        except BaseException:
            opened.close()
            raise
        opened.close()  # removed or replaced meanwhile


def share_lock(file: IO[bytes]) -> None:
    """Lock an open file for reading, or keep a lock that `try_lock` got for reading only."""
    fcntl.flock(file, fcntl.LOCK_SH)


def _is_at(file: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
