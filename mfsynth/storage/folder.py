"""What a folder that is written to can do, on this machine or at a URL: both are used in the same way."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

NOT_A_FILE = -1
"""The size that a listing gives of a folder, or of a link that leads nowhere."""


class Hold(Protocol):
    """A name that this process holds, until it is released or the process ends."""

    def check(self) -> None:
        """Check that nobody took it over.

        Raises:
            OutputError: If somebody did, because this process was silent for long.
        """

    def release(self) -> None:
        """Let others have it; its file is removed."""


class Folder(Protocol):
    """A folder that is written to. Names are relative, with `/`; files appear whole or not at all.

    `str` gives it as it may be shown. It can be pickled. A local one raises OSError where the disk fails, one
    at a URL OutputError where the object store does.
    """

    @property
    def location(self) -> str:
        """The folder, for functions that read: a local path or URL, which may contain a key."""

    @property
    def shown(self) -> Path | str:
        """The folder, for reports."""

    @property
    def durable(self) -> bool:
        """Whether a file that is there is as it was written; a disk may lose its end in a crash."""

    @property
    def apart(self) -> bool:
        """Whether each machine has scratch files of its own, not in the folder."""

    @property
    def room(self) -> str:
        """What to do where there is no space left for scratch files."""

    def obstacle(self, name: str = "") -> str:
        """Why the folder, or one in it, cannot be used as a folder, such as "a file"; empty if it can."""

    def exists(self) -> bool:
        """Whether there is such a folder; an object store has every one."""

    def prepare(self) -> None:
        """Make the folder, and the one for scratch files, where there are none."""

    def listing(self) -> dict[str, int]:
        """Size of each file in the folder and in that for scratch files, by name; empty for none."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def read(self, name: str) -> bytes | None:
        """A small file's bytes; None if there is none."""

    def write(self, name: str, data: bytes, label: str = "") -> None:
        """Write a small file; `label` is as for `scratch`."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file unless there is one; whether there is one with these bytes now."""

    def scratch(self, label: str = "") -> AbstractContextManager[IO[bytes]]:
        """A new local file to write; it is removed at the end. Its name begins with `tmp-` and the label."""

    def publish(self, file: IO[bytes], name: str) -> None:
        """Put a scratch file under its final name, and check that it arrived."""

    def move(self, old: str, new: str) -> None:
        """Give a file another name."""

    def sync(self, name: str) -> None:
        """Wait until a file's bytes are where a crash does not lose them."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def sweep(self, labels: Iterable[str] = ("",)) -> None:
        """Remove the scratch files with some labels that killed processes left."""

    def close(self, *, parts: bool) -> None:
        """Remove the folder for scratch files if it is empty; that of a data set only with `parts`."""

    def hold(self, name: str, say: Callable[[str], None]) -> Hold | None:
        """Hold a name against other processes and, where locks are shared, machines; None if another does.

        Raises:
            OSError: If the file system has no locks.
        """
