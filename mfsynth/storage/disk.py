"""A folder on this machine that is written to, and scratch files."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mfsynth import locks
from mfsynth.errors import OutputError
from mfsynth.storage import local
from mfsynth.storage.folder import NOT_A_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from mfsynth.storage.folder import Hold

_TRIES = 100


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder on this machine; see `Folder`. Files get their names by renaming, on the same file system."""

    path: Path
    inside: str = ""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def location(self) -> str:
        """As for `Folder`."""
        return str(self.path)

    @property
    def shown(self) -> Path:
        """As for `Folder`."""
        return self.path

    @property
    def durable(self) -> bool:
        """As for `Folder`."""
        return False

    @property
    def apart(self) -> bool:
        """As for `Folder`."""
        return False

    @property
    def room(self) -> str:
        """As for `Folder`."""
        return "free some space"

    def obstacle(self, name: str = "") -> str:
        """As for `Folder`. A link to a folder will do for the folder itself, not for one inside it."""
        path = self.path / name
        if name and path.is_symlink():
            return "a symbolic link"
        return ("not a folder" if name else "a file") if path.exists() and not path.is_dir() else ""

    def exists(self) -> bool:
        """As for `Folder`."""
        return self.path.is_dir()

    def prepare(self) -> None:
        """As for `Folder`."""
        self._scratch.mkdir(parents=True, exist_ok=True)

    def listing(self) -> dict[str, int]:
        """As for `Folder`."""
        found = {}
        for front in dict.fromkeys(("", f"{self.inside}/" if self.inside else "")):
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path / front) as entries:
                for each in entries:
                    found[front + each.name] = each.stat().st_size if each.is_file() else NOT_A_FILE
        return found

    def has(self, name: str) -> bool:
        """As for `Folder`."""
        return (self.path / name).exists()

    def read(self, name: str) -> bytes | None:
        """As for `Folder`."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes, label: str = "") -> None:
        """As for `Folder`; the bytes are synced."""
        local.put(self.path / name, data, self._scratch, label)

    def create(self, name: str, data: bytes) -> bool:
        """As for `Folder`; whoever writes it holds a lock."""
        if not self.has(name):
            self.write(name, data)
        return self.read(name) == data

    def scratch(self, label: str = "") -> AbstractContextManager[IO[bytes]]:
        """As for `Folder`."""
        return local.scratch_file(self._scratch, label)

    def publish(self, file: IO[bytes], name: str) -> None:
        """As for `Folder`; the bytes may not have reached the disk yet, see `sync`."""
        local.publish(file, self.path / name)

    def move(self, old: str, new: str) -> None:
        """As for `Folder`."""
        (self.path / old).replace(self.path / new)

    def sync(self, name: str) -> None:
        """As for `Folder`."""
        local.sync(self.path / name)

    def remove(self, name: str) -> None:
        """As for `Folder`."""
        (self.path / name).unlink(missing_ok=True)

    def sweep(self, labels: Iterable[str] = ("",)) -> None:
        """As for `Folder`."""
        sweep(self._scratch, labels)

    def close(self, *, parts: bool) -> None:
        """As for `Folder`."""
        if parts:
            with suppress(OSError):  # someone else put something there
                self._scratch.rmdir()

    def hold(self, name: str, say: Callable[[str], None]) -> Hold | None:
        """As for `Folder`: a file that is locked, so that it is free again when its holder is killed."""
        path = self.path / name
        lock = locks.try_lock(path)
        return None if lock is None else _Lock(path, lock)

    @property
    def _scratch(self) -> Path:
        return self.path / self.inside


@dataclass(frozen=True, slots=True)
class _Lock:
    """A locked file."""

    path: Path
    lock: int

    def check(self) -> None:
        """A lock that is held cannot be taken over."""

    def release(self) -> None:
        """As for `Hold`."""
        self.path.unlink(missing_ok=True)
        os.close(self.lock)


def sweep(folder: Path, labels: Iterable[str]) -> None:
    """Remove the scratch files in a folder whose names begin with `tmp-` and one of some labels."""
    starts = tuple(f"tmp-{label}" for label in labels)
    for path in folder.glob("tmp-*"):
        if path.name.startswith(starts):
            path.unlink(missing_ok=True)


@contextmanager
def scratch_in(folder: Path, label: str) -> Iterator[IO[bytes]]:
    """A scratch file in a folder of this user's own, which is made if needed.

    Raises:
        OutputError: If the folder belongs to somebody else.
    """
    with ExitStack() as opened:
        yield _opened(opened, folder, label)


def _opened(opened: ExitStack, folder: Path, label: str) -> IO[bytes]:
    """Until the file is in it, the folder is empty, and another job of this user may remove it."""
    for left in reversed(range(_TRIES)):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                raise OutputError(f"{folder} belongs to another user", "set TMPDIR to a folder of your own")
            return opened.enter_context(local.scratch_file(folder, label))
        except (FileExistsError, FileNotFoundError):
            if not left:
                raise
    raise AssertionError("the last try returns or raises")
