"""Remote shards, kept in a local folder that the processes of a machine share."""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import filelock

from mfsynth import storage
from mfsynth.errors import MfsynthError, OptionsError, ShardError
from mfsynth.locks import open_shared, share_lock, try_lock
from mfsynth.shards.checked import CheckedStream, MismatchError, wrong_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.shards.manifest import Manifest, Shard

FOLDER_VARIABLE = "MFSYNTH_CACHE"
SIZE_VARIABLE = "MFSYNTH_CACHE_SIZE"
WAIT = 60.0
"""Seconds to wait for room, or for the lock of the folder, before giving up."""
_LIMIT = f"cache_size, --cache-size or {SIZE_VARIABLE}"
_POLL = 0.1
_PIECE = 1 << 20
_COPY = re.compile(r"[0-9a-f]{64}\.(tar|part)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(I?)B?")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger(__name__)

_compared: set[tuple[int, int, int, int]] = set()
"""Copies whose hash this process has compared: device, inode, size, time of the last change."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of shards, each named by its SHA-256, so that none is ever taken for another.

    `HASH.tar` is whole. `HASH.part` is on its way, and locked by the process that downloads it. Who reads a
    shard shares a lock on it; what is locked is not removed. The system frees the locks of processes that
    end, however they end.

    Args:
        folder: On a disk of this machine.
        limit: Most bytes that it may hold: the least recently used shards make room. None is no limit.
    """

    folder: Path
    limit: int | None = None

    @staticmethod
    def of(folder: str | os.PathLike[str] | None, limit: int | str | None) -> Cache | None:
        """The cache that a user names, else the environment; None if neither does.

        Args:
            folder: A local path; None takes $MFSYNTH_CACHE.
            limit: A number of bytes, or a text such as "50GB"; None takes $MFSYNTH_CACHE_SIZE.

        Raises:
            OptionsError: If the folder is at a URL, or the limit makes no sense.
        """
        named = os.environ.get(FOLDER_VARIABLE) if folder is None else folder
        if not named:
            if limit is not None:
                raise OptionsError(
                    "the cache has a limit but no folder", f"name it, or set {FOLDER_VARIABLE}"
                )
            return None
        path = storage.local_path(named)
        if path is None:
            raise OptionsError(f"{storage.shown(named)} is a URL", "name a local folder for the cache")
        path = path.expanduser() if folder is None else path
        return Cache(path.absolute(), _limit_of_environment() if limit is None else bytes_of(limit))

    def ready_for(self, manifest: Manifest) -> Cache:
        """This cache, with its folder made if needed, and emptied down to the limit.

        Raises:
            OptionsError: If the limit is smaller than a shard.
            ShardError: If the folder cannot be made.
        """
        largest = max(manifest.shards, key=lambda shard: shard.size, default=None)
        if largest and self.limit is not None and largest.size > self.limit:
            raise OptionsError(
                f"a cache of {self.limit:,} bytes cannot hold {largest.name}, which has {largest.size:,}",
                f"raise its limit ({_LIMIT})",
            )
        with self._naming("shards"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._make_room(0)
        return self

    @contextmanager
    def open(self, folder: str, shard: Shard, *, check: bool) -> Iterator[IO[bytes]]:
        """A shard at its beginning, in a local file that is kept while the block runs; downloaded if needed.

        Args:
            folder: The data set's URL.
            shard: What the manifest says of it.
            check: Compare the hash of a copy that is there already with the manifest's, once in each process.
                A wrong copy is replaced. What is downloaded is always compared.

        Raises:
            ShardError: If it is not there, cannot be read or kept, or its hash differs twice in a row.
        """
        with self._naming(shard.name):
            file = self._found(shard, check=check)
            while file is None and (file := self._fetched(folder, shard, check=check)) is None:
                time.sleep(_POLL)  # another process downloads it
        with file:
            yield file

    def find(self, shard: Shard, *, check: bool) -> IO[bytes] | None:
        """A shard's copy, which is kept until it is closed; None if there is none, or a wrong one.

        Raises:
            ShardError: If the folder cannot be read.
        """
        with self._naming(shard.name):
            return self._found(shard, check=check)

    def _found(self, shard: Shard, *, check: bool) -> IO[bytes] | None:
        file = open_shared(self._copy(shard))
        if file is None:
            return None
        if problem := _problem(file, shard, check=check):
            file.close()
            _removed(self._copy(shard))
            log.warning("the copy of %s in the cache %s: downloading it again", shard.name, problem)
            return None
        os.utime(file.fileno(), ns=(time.time_ns(), os.fstat(file.fileno()).st_mtime_ns))
        return file

    def _fetched(self, folder: str, shard: Shard, *, check: bool) -> IO[bytes] | None:
        """A shard, downloaded; None if another process does that."""
        part = self._copy(shard).with_suffix(".part")
        descriptor = try_lock(part)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "r+b") as target:
            try:
                if file := self._found(shard, check=check):  # it has come meanwhile
                    part.unlink()
                    return file
                self._download(storage.join(folder, shard.name), shard, target)
                with self._alone():
                    part.replace(self._copy(shard))
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            _compared.add(_stamp(target))
            share_lock(target)
            return self._found(shard, check=check)

    def _download(self, location: str, shard: Shard, target: IO[bytes]) -> None:
        try:
            self._transfer(location, shard, target)
        except MismatchError as error:
            log.warning("%s: downloading it once more", error.message)
            self._transfer(location, shard, target)

    def _transfer(self, location: str, shard: Shard, target: IO[bytes]) -> None:
        self._reserve(shard, target)
        with storage.open_file(location) as file:
            stream = CheckedStream(file, shard)
            while target.tell() <= shard.size and (piece := stream.read(_PIECE)):
                target.write(piece)
            stream.finish()
        target.flush()
        os.fsync(target.fileno())

    def _reserve(self, shard: Shard, target: IO[bytes]) -> None:
        """Give the file its size before its bytes, so that other processes count it."""
        target.seek(0)
        target.truncate()
        until = time.monotonic() + WAIT
        while True:
            with self._alone():
                if self._make_room(shard.size):
                    target.truncate(shard.size)
                    return
            if time.monotonic() > until:
                raise ShardError(
                    f"the shards that are being read leave no room for {shard.name} in the cache "
                    f"{self.folder} of {self.limit:,} bytes",
                    f"raise its limit ({_LIMIT}), or use fewer loader workers",
                )
            time.sleep(_POLL)

    def _make_room(self, size: int) -> bool:
        """Whether so many bytes fit in, once what killed processes left and the oldest shards are removed."""
        copies = sorted(self._copies())
        room = float("inf") if self.limit is None else self.limit - sum(copy.size for copy in copies)
        for copy in copies:
            if (copy.partial or room < size) and _removed(copy.path):
                room += copy.size
        return room >= size

    def _copies(self) -> Iterator[_Copy]:
        for path in self.folder.iterdir():
            if _COPY.fullmatch(path.name):
                with suppress(FileNotFoundError):  # a download has failed meanwhile
                    status = path.stat()
                    yield _Copy(status.st_atime_ns, status.st_size, path)

    def _alone(self) -> filelock.BaseFileLock:
        """Keeps other processes from making room, or publishing a shard, while the block runs."""
        return filelock.FileLock(self.folder / ".lock", timeout=WAIT)

    def _copy(self, shard: Shard) -> Path:
        return self.folder / f"{shard.sha256}.tar"

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        """Turn the errors of the folder's disk into ours."""
        try:
            yield
        except MfsynthError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:  # also: no such path, no locks
            reason = getattr(error, "strerror", None) or error
            full = getattr(error, "errno", None) in _FULL
            raise ShardError(
                f"cannot keep {what} in the cache {self.folder}: {reason}",
                f"free some space, or give it a lower limit ({_LIMIT})" if full else "choose another folder",
            ) from error


class _Copy(NamedTuple):
    """A shard in the folder, whole or not; they sort by last use."""

    used: int
    size: int
    path: Path

    @property
    def partial(self) -> bool:
        return self.path.suffix == ".part"


def bytes_of(size: int | str) -> int:
    """A number of bytes, from itself or from a text with a unit.

    >>> bytes_of("50GB"), bytes_of("1.5 kB"), bytes_of("1GiB"), bytes_of(7)
    (50000000000, 1500, 1073741824, 7)

    Raises:
        OptionsError: If it is not one, or not positive.
    """
    match = _SIZE.fullmatch(str(size).strip().upper())
    power = " KMGT".index(match[2] or " ") if match else 0
    number = int(float(match[1]) * (1024 if match[3] else 1000) ** power) if match else 0
    if number < 1:
        raise OptionsError(f"{size!r} is not a size", "write a number of bytes, or a text such as 50GB")
    return number


def _limit_of_environment() -> int | None:
    size = os.environ.get(SIZE_VARIABLE)
    try:
        return bytes_of(size) if size else None
    except OptionsError as error:
        raise OptionsError(f"{SIZE_VARIABLE}: {error.message}", error.hint) from error


def _problem(file: IO[bytes], shard: Shard, *, check: bool) -> str:
    """What is wrong with a copy, in words; without `check` only its size is compared."""
    if check and _stamp(file) not in _compared:
        problem = wrong_bytes(file, shard)
        if not problem:
            _compared.add(_stamp(file))
        return problem
    size = os.fstat(file.fileno()).st_size
    return "" if size == shard.size else f"has {size} bytes, the manifest says {shard.size}"


def _stamp(file: IO[bytes]) -> tuple[int, int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _removed(path: Path) -> bool:
    """Remove a copy that no process uses; whether it was one."""
    descriptor = try_lock(path)
    if descriptor is None:
        return False
    try:
        path.unlink()
    finally:
        os.close(descriptor)
    return True
