"""Who makes which shards of a folder: several parts at once, but no shard twice, and no build beside them.

The claims are files in `.parts` itself, since the jobs of an array may run on different machines. On a file
system they are locked, in an object store their holders renew them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfsynth.building.ranges import ShardRange
from mfsynth.errors import OutputError
from mfsynth.shards.layout import CLAIM, in_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mfsynth.storage import Folder

EVERY_SHARD = ShardRange(0, 10**12)
"""What a whole build, and the end of one, claims."""
_NAME = re.compile(rf"{re.escape(in_parts(CLAIM))}(\d{{1,12}})-(\d{{1,13}})", re.ASCII)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was found in a folder once its shards were claimed.

    Args:
        there: Size of each file, by name.
        check: Raises OutputError if another build has taken over meanwhile.
    """

    there: dict[str, int]
    check: Callable[[], None]


@contextmanager
def claimed(out: Folder, shards: ShardRange, say: Callable[[str], None]) -> Iterator[Claimed]:
    """Keep others off some shards while the block runs; a killed process frees its claim.

    Args:
        out: The data set's folder, prepared.
        shards: The shards to work on.
        say: Told if the file system has no locks. The block runs all the same: shards are written completely
            or not at all, so that the worst is work done twice. Also told if a claim is watched.

    Raises:
        OutputError: If another process works on one of them, or the object store cannot be written.
        OSError: If the folder cannot be written.
    """
    own = in_parts(f"{CLAIM}{shards.first}-{shards.stop}")
    try:
        hold = out.hold(own, say)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        out.remove(own)
        say(f"the file system of {out} has no locks: take care that no two jobs make the same shards")
        yield Claimed(out.listing(), lambda: None)
        return
    if hold is None:
        raise _busy(out, shards)
    try:
        there = out.listing()
        for name, other in _claims(there):
            if name != own and other.overlaps(shards):
                stale = out.hold(name, say)
                if stale is None:  # its holder is alive
                    raise _busy(out, other)
                stale.release()
        yield Claimed(there, hold.check)
    finally:
        hold.release()


def _claims(there: Iterable[str]) -> list[tuple[str, ShardRange]]:
    found = [(name, _NAME.fullmatch(name)) for name in there]
    return [(name, ShardRange(int(match[1]), int(match[2]))) for name, match in found if match]


def _busy(out: Folder, shards: ShardRange) -> OutputError:
    if shards == EVERY_SHARD:
        return OutputError(
            f"another build is working on {out}", "wait until it has finished, or choose another folder"
        )
    return OutputError(
        f"another build is making shards {shards} of {out}",
        "wait until it has finished; jobs that run at once need ranges that do not overlap",
    )
