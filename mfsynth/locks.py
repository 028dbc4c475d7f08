"""One process at a time works on a folder. Lock files are in the user's cache, never in the folder itself."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import filelock
import platformdirs

from mfsynth.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lock_path(path: Path) -> Path:
    """The lock file for a folder or file; every spelling of `path` gives the same."""
    name = os.path.normcase(path.resolve())
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return platformdirs.user_cache_path("mfsynth") / "locks" / f"{digest}.lock"


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Keep this user's other processes off `path` while the block runs; a killed process frees its lock.

    Args:
        path: The folder or file to work on; it need not exist yet.
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
