"""Who works in an object store, which has no locks: a small object that its holder renews.

It is made under the condition that there is none, so only one of several processes makes it. A killed process
leaves it. Whether its holder is alive is found out without comparing clocks:

- On the same machine, a lock file beside the claim tells at once, as it is free when its holder is killed.
- From another machine, the claim is watched. Its holder renews it every 20 seconds; one that has not changed
  for 90 seconds is taken over.

A holder that was only suspended sees that before it seals, and does not. Until then it may write shards;
those of a build with the same options have the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mfsynth import locks
from mfsynth.errors import MfsynthError, OutputError
from mfsynth.locations import join, shown

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

RENEWED = 20.0
"""Seconds after which a holder renews its claim."""
SILENT = 90.0
"""Seconds without a change after which a claim's holder counts as dead."""
_LOOK = 2.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Objects(Protocol):
    """What a claim needs of a folder in an object store; see `mfsynth.storage.folder.Folder`."""

    @property
    def location(self) -> str:
        """The folder's URL."""

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is none."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one; whether there is one with these bytes now."""

    def replace(self, name: str, data: bytes) -> None:
        """Write a file."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def claim(objects: Objects, name: str, say: Callable[[str], None]) -> Claim | None:
    """Claim a name in an object store; None if another process holds it.

    Args:
        objects: The folder.
        name: The claim's object.
        say: Told if it has to be watched, which takes up to 90 seconds.

    Raises:
        OutputError: If the object store cannot be read or written.
        OSError: If no lock file can be made on this machine.
    """
    file = locks.lock_path(shown(join(objects.location, name)))
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = locks.try_lock(file)
    if lock is None:
        return None
    mine = Claim(objects, name, file, lock)
    try:
        while True:  # look first: some stores do not know the condition that creating makes
            seen = objects.read(name)
            if seen is None:
                if objects.create(name, mine.content()):
                    break
            elif not _is_dead(objects, name, seen, mine.owner, say):
                mine.unlock()
                return None
            elif objects.read(name) == seen:  # else someone else was faster
                objects.remove(name)
    except MfsynthError:  # the object store does not answer
        mine.unlock()
        raise
    except BaseException:  # such as a Ctrl-C, whose request may have made it
        mine.release()
        raise
    mine.start()
    return mine


def _is_dead(objects: Objects, name: str, seen: bytes, owner: str, say: Callable[[str], None]) -> bool:
    """Whether the holder of a claim is gone: at once for one of this machine, else by watching its claim."""
    if _owner(seen) == owner:  # its lock file is ours now
        return True
    since = time.monotonic()
    say(f"another machine has claimed {objects}: waiting for up to {SILENT:.0f} s to see whether it is alive")
    while time.monotonic() - since < SILENT:
        time.sleep(_LOOK)
        now = objects.read(name)
        if now is None:
            return True
        if now != seen:
            return False
    return True


def _owner(content: bytes) -> str:
    try:
        return str(json.loads(content)["owner"])
    except (ValueError, TypeError, KeyError):
        return ""


def _own_id(folder: Path) -> str:
    """Tells who shares the lock files: a hash, so that no name of a machine is stored."""
    status = folder.stat()
    boot = _BOOT.read_text() if _BOOT.is_file() else ""
    text = f"{socket.gethostname()} {boot} {os.getuid()} {status.st_dev} {status.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Claim:
    """A claim in a bucket, renewed by a thread until it is released."""

    objects: Objects
    name: str
    file: Path
    lock: int
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    beats: int = 0
    lost: bool = False
    owner: str = ""
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.owner = _own_id(self.file.parent)

    def content(self) -> bytes:
        """What the object holds; it is different after each renewal."""
        return json.dumps({"owner": self.owner, "token": self.token, "beats": self.beats}).encode()

    def start(self) -> None:
        """Begin to renew it."""
        self._thread = threading.Thread(target=self._renew, name="claim", daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._done.wait(RENEWED):
            try:
                if self._is_ours():
                    self.beats += 1
                    self.objects.replace(self.name, self.content())
            except MfsynthError:  # the build itself will fail where this lasts
                continue

    def _is_ours(self) -> bool:
        there = self.objects.read(self.name)
        self.lost = self.lost or there is None or self.token.encode() not in there
        return not self.lost

    def check(self) -> None:
        """As for `Hold`."""
        self._stop()
        if not self._is_ours():
            raise OutputError(
                f"another build has taken over {self.objects}; nothing was sealed",
                "wait until it has finished, then run `mfsynth verify`",
            )
        self.start()

    def release(self) -> None:
        """As for `Hold`."""
        self._stop()
        try:
            if self._is_ours():
                self.objects.remove(self.name)
        except MfsynthError as error:  # the next build on this machine knows that it is free
            log.warning("cannot give up the claim on %s: %s", self.objects, error)
        finally:
            self.unlock()

    def unlock(self) -> None:
        """Let other processes of this machine claim the name."""
        self.file.unlink(missing_ok=True)
        os.close(self.lock)

    def _stop(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        self._done = threading.Event()
