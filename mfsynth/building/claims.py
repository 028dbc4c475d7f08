"""Who makes which shards of a folder: several parts at once, but no shard twice, and no build beside them.

The locks are files in `.parts` itself, since the jobs of an array may run on different machines.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mfsynth.building.ranges import ShardRange
from mfsynth.errors import OutputError
from mfsynth.locks import try_lock
from mfsynth.shards.layout import CLAIM, PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EVERY_SHARD = ShardRange(0, 10**12)
"""What a whole build, and the end of one, claims."""
_NAME = re.compile(rf"{CLAIM}(\d{{1,12}})-(\d{{1,13}})", re.ASCII)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def claimed(out: Path, shards: ShardRange, say: Callable[[str], None]) -> Iterator[None]:
    """Keep others off some shards while the block runs; a killed process frees its claim.

    Args:
        out: The data set's folder, with `.parts` in it.
        shards: The shards to work on.
        say: Told if the file system has no locks. The block runs all the same: shards are written completely
            or not at all, so that the worst is work done twice.

    Raises:
        OutputError: If another process works on one of them (this does not wait).
        OSError: If the folder cannot be written.
    """
    own = out / PARTS / f"{CLAIM}{shards.first}-{shards.stop}"
    try:
        lock = try_lock(own)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        own.unlink(missing_ok=True)
        say(f"the file system of {out} has no locks: take care that no two jobs make the same shards")
        yield
        return
    if lock is None:
        raise _busy(out, shards)
    try:
        for path, other in _claims(out):
            if path != own and other.overlaps(shards):
                _remove_stale(out, path, other)
        yield
    finally:
        own.unlink(missing_ok=True)
        os.close(lock)


def _claims(out: Path) -> list[tuple[Path, ShardRange]]:
    found = [(path, _NAME.fullmatch(path.name)) for path in (out / PARTS).iterdir()]
    return [(path, ShardRange(int(match[1]), int(match[2]))) for path, match in found if match]


def _remove_stale(out: Path, path: Path, shards: ShardRange) -> None:
    """Remove the claim of a process that was killed; raise if it is alive."""
    lock = try_lock(path)
    if lock is None:
        raise _busy(out, shards)
    path.unlink(missing_ok=True)
    os.close(lock)


def _busy(out: Path, shards: ShardRange) -> OutputError:
    if shards == EVERY_SHARD:
        return OutputError(
            f"another build is working on {out}", "wait until it has finished, or choose another folder"
        )
    return OutputError(
        f"another build is making shards {shards} of {out}",
        "wait until it has finished; jobs that run at once need ranges that do not overlap",
    )
