"""The packed samples of a data set: in stored order, by place, and by key."""

from __future__ import annotations

import weakref
from bisect import bisect_right
from contextlib import ExitStack
from functools import partial
from itertools import accumulate
from operator import index
from typing import IO, TYPE_CHECKING, Any, cast

from mfsynth import storage
from mfsynth.errors import MissingSampleError, OptionsError
from mfsynth.sample import sample_key
from mfsynth.shards import tar
from mfsynth.shards.checked import CheckedStream, check_file
from mfsynth.shards.recipes import check_count, open_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.shards.cache import Cache
    from mfsynth.shards.manifest import Manifest, Shard
    from mfsynth.shards.tar import Packed

OPEN_SHARDS = 32
"""How many local shards, each with its index, a data set keeps open for access by place or key."""
OPEN_COPIES = 1
"""How many remote shards it keeps local copies of, for the same purpose."""


def in_order(
    folder: str, shard: Shard, low: int, high: int, *, check: bool, cache: Cache | None
) -> Iterator[Packed]:
    """A shard's samples from `low` to `high` in stored order: from one stream, or by seeking in a local file.

    Args:
        folder: The data set's folder.
        shard: What the manifest says of it.
        low: The first place.
        high: The place after the last.
        check: Compare its hash with the manifest's: of a local file before the first sample, of a remote one
            after the last, if it is read to its end.
        cache: Where a remote shard is copied to first, and then read as a local one.

    Raises:
        ShardError: If the shard is damaged, or holds fewer or more samples than the manifest says.
    """
    remote = storage.is_url(folder) and cache is None
    if low and not remote:
        opened = OpenShard(folder, shard, check=check, cache=cache)
        yield from (opened[place] for place in range(low, high))
        return
    number = -1
    with open_shard(folder, shard, check=check, cache=cache) as file:
        stream = CheckedStream(file, shard) if check and remote else None
        source = cast("IO[bytes]", stream or file)
        for number, packed in enumerate(tar.samples(source, shard.name, shard.size)):
            if low <= number < high:
                yield packed
            if number + 1 == high < shard.samples:
                return
        check_count(shard, number + 1)
        if stream:
            stream.finish()


class OpenShard:
    """A shard whose samples are read by place; a remote one is copied first. `check` compares its hash.

    Threads and forked processes may share it. Without a cache, the copy has no name, so it disappears with
    the last process that has it open, however that ends.

    Raises:
        ShardError: If the shard is not there, damaged, or holds fewer or more samples than the manifest says.
    """

    def __init__(self, folder: str, shard: Shard, *, check: bool, cache: Cache | None) -> None:
        self.name = shard.name
        opened = ExitStack()
        weakref.finalize(self, opened.close)
        if cache:
            self._file = opened.enter_context(cache.open(folder, shard, check=check))
        else:
            with storage.local_copy(storage.join(folder, shard.name)) as path:
                self._file = opened.enter_context(storage.open_file(str(path)))
            if check:
                check_file(self._file, shard)
        self._places = tar.index(self._file, shard.name, shard.size)
        check_count(shard, len(self._places))
        self._numbers = {place.key: number for number, place in enumerate(self._places)}

    def __getitem__(self, place: int) -> Packed:
        return tar.sample_at(self._file, self._places[place], self.name)

    def find(self, key: str) -> Packed | None:
        """The sample with a key; None if there is none."""
        return self[self._numbers[key]] if key in self._numbers else None


class Shelf:
    """A data set's samples by place and by key; a few shards stay open. A pickled one starts with none."""

    def __init__(self, folder: str, manifest: Manifest, *, check: bool, cache: Cache | None) -> None:
        self.folder, self.manifest, self.check, self.cache = folder, manifest, check, cache
        self._ends = list(accumulate(shard.samples for shard in manifest.shards))
        self._first_keys: dict[int, str] = {}
        self._open: dict[int, OpenShard] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Shelf, check=self.check, cache=self.cache), (self.folder, self.manifest)

    def by_place(self, place: int) -> tuple[str, Packed]:
        """A shard's name and the sample at a place of the manifest's order, from the end if negative.

        Raises:
            MissingSampleError: If it is beyond the end.
            OptionsError: If it is not a whole number.
            ShardError: If the shard is damaged.
        """
        total = self.manifest.samples
        try:
            number = index(place)
        except TypeError as error:
            raise OptionsError(f"{place!r} is neither the place nor the key of a sample") from error
        if not -total <= number < total:
            raise MissingSampleError(
                f"{self.folder} has no sample at place {number}", f"its number of samples is {total}"
            )
        number %= total
        shard = bisect_right(self._ends, number)
        opened = self._opened(shard)
        return opened.name, opened[number - self._ends[shard] + self.manifest.shards[shard].samples]

    def by_key(self, key: str) -> tuple[str, Packed]:
        """A shard's name and the sample of a key: keys ascend within a shard and from shard to shard.

        Raises:
            MissingSampleError: If there is none.
            ShardError: If the shard is damaged.
        """
        filled = [number for number, shard in enumerate(self.manifest.shards) if shard.samples]
        after = bisect_right(filled, key, key=self._first_key)
        if after:
            opened = self._opened(filled[after - 1])
            if packed := opened.find(key):
                return opened.name, packed
        raise MissingSampleError(
            f"{self.folder} has no sample {key!r}", f"keys look like {sample_key(139, 0)!r}"
        )

    def _opened(self, number: int) -> OpenShard:
        """A shard, opened now or before; the least recently used one makes room."""
        opened = self._open.pop(number, None)
        if opened is None:
            kept = OPEN_COPIES if storage.is_url(self.folder) else OPEN_SHARDS
            surplus = max(0, len(self._open) + 1 - kept)
            for old in list(self._open)[:surplus]:
                self._open.pop(old, None)  # another thread may have been faster
            shard = self.manifest.shards[number]
            opened = OpenShard(self.folder, shard, check=self.check, cache=self.cache)
        self._open[number] = opened
        return opened

    def _first_key(self, number: int) -> str:
        if number not in self._first_keys:
            shard = self.manifest.shards[number]
            copy = self.cache.find(shard, check=self.check) if self.cache else None
            with copy or open_shard(self.folder, shard, check=False) as file:
                self._first_keys[number] = tar.first_key(file, shard.name, shard.size)
        return self._first_keys[number]
