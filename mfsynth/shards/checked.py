"""Whether a shard is what the manifest says: a file before it is read, a stream at its end."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING

from mfsynth.errors import ShardError

if TYPE_CHECKING:
    from mfsynth.shards.manifest import Shard

_PIECE = 1 << 20
_known: set[tuple[int, int, int, int, int, str]] = set()
"""Files whose hash this process has compared: device, inode, size, both times of the last change, SHA-256."""


def wrong_bytes(file: IO[bytes], shard: Shard) -> str:
    """What is wrong with the size or hash of a local file, in words; empty if nothing is.

    Every byte is read, each time. The file's position is neither used nor changed.
    """
    stamp = _stamp(file, shard)
    size = os.fstat(file.fileno()).st_size
    if size != shard.size:
        return _wrong_size(size, shard)
    state, at = hashlib.sha256(), 0
    while piece := os.pread(file.fileno(), _PIECE, at):
        state.update(piece)
        at += len(piece)
    if state.hexdigest() != shard.sha256:
        return _wrong_hash(state.hexdigest(), shard)
    if _stamp(file, shard) == stamp:
        _known.add(stamp)
    return ""


def check_file(file: IO[bytes], shard: Shard) -> None:
    """Compare size and hash of a local file with the manifest's, once in each process.

    Raises:
        ShardError: If they differ (MismatchError), or the file cannot be read.
    """
    try:
        problem = "" if _stamp(file, shard) in _known else wrong_bytes(file, shard)
    except OSError as error:
        raise ShardError(f"cannot read {shard.name}: {error.strerror or error}") from error
    if problem:
        raise _error(problem, shard)


class MismatchError(ShardError):
    """A shard's size or hash is not what the manifest says."""


class CheckedStream:
    """A remote shard as a stream, hashed as it is read.

    Args:
        file: The shard, at its beginning.
        shard: What the manifest says of it.

    Raises:
        MismatchError: If its size is known, and not the manifest's.
    """

    def __init__(self, file: IO[bytes], shard: Shard) -> None:
        self._file, self._shard = file, shard
        self._state, self._size = hashlib.sha256(), 0
        size = getattr(file, "size", None)
        if size is not None and size != shard.size:
            raise _error(_wrong_size(size, shard), shard)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        piece = self._file.read(size)
        self._state.update(piece)
        self._size += len(piece)
        return piece

    def finish(self) -> None:
        """Read what is left, and compare size and hash with the manifest's.

        Raises:
            MismatchError: If they differ.
        """
        while self._size <= self._shard.size and self.read(_PIECE):
            pass
        if self._size != self._shard.size:
            raise _error(_wrong_size(self._size, self._shard), self._shard)
        if self._state.hexdigest() != self._shard.sha256:
            raise _error(_wrong_hash(self._state.hexdigest(), self._shard), self._shard)


def _stamp(file: IO[bytes], shard: Shard) -> tuple[int, int, int, int, int, str]:
    status = os.fstat(file.fileno())
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_size, *times, shard.sha256


def _wrong_size(size: int, shard: Shard) -> str:
    return f"has {size} bytes, the manifest says {shard.size}"


def _wrong_hash(sha256: str, shard: Shard) -> str:
    return f"has the SHA-256 {sha256}, the manifest says {shard.sha256}"


def _error(problem: str, shard: Shard) -> MismatchError:
    return MismatchError(
        f"{shard.name} {problem}", "run `mfsynth verify` on it, or fetch it again from where it was published"
    )
