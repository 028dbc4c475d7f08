"""`mfsynth.open`: from shards of either store, local or remote, to scenes and samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from typing import IO, TYPE_CHECKING, Any, Literal, Self, overload

from mfsynth import storage
from mfsynth.errors import MfsynthError, ShardError
from mfsynth.order import permutation
from mfsynth.sample import Sample, Scene
from mfsynth.shards.access import OpenShard, Shelf, in_order
from mfsynth.shards.cache import Cache
from mfsynth.shards.layout import GT_FIELDS, RECIPE
from mfsynth.shards.manifest import Manifest, data_set_at, fingerprint
from mfsynth.shards.recipes import open_shard, read_recipe, recipes
from mfsynth.shards.tar import Packed
from mfsynth.stream import Item, Keep, Stream, WindowRule

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from mfsynth.sample import Recipe


@overload
def open(
    location: str | os.PathLike[str],
    *,
    shuffle: int | None = None,
    epoch: int = 0,
    window: WindowRule | None = None,
    render: Literal[True] = True,
    check: bool = True,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int | str | None = None,
) -> DataSet[Sample]: ...
@overload
def open(
    location: str | os.PathLike[str],
    *,
    shuffle: int | None = None,
    epoch: int = 0,
    window: WindowRule | None = None,
    render: Literal[False],
    check: bool = True,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int | str | None = None,
) -> DataSet[Scene]: ...
def open(
    location: str | os.PathLike[str],
    *,
    shuffle: int | None = None,
    epoch: int = 0,
    window: WindowRule | None = None,
    render: bool = True,
    check: bool = True,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int | str | None = None,
) -> DataSet[Sample] | DataSet[Scene]:
    """Open a data set that `mfsynth build` made, of either store.

    Args:
        location: Its folder, or its manifest (a file of any name that ends in .json); a local path or any
            URL that fsspec opens.
        shuffle: Seed of the order; None keeps the manifest's order. Shards are shuffled, and the samples
            inside each.
        epoch: Each epoch has an order of its own.
        window: A window, or a function from scene to window; only that part is rendered.
        render: False yields scenes, as `.scenes()` does.
        check: Compare each shard's SHA-256 with the manifest's: of a local shard, or a copy of a remote one,
            before its first sample, once in each process; of a remote shard that is read as a stream at
            its end, if it is read that far. False reads without: faster for a few samples of large shards.
        cache: A local folder that keeps copies of remote shards for later epochs and other processes of this
            machine; shards are downloaded as a whole when they are first read. None takes $MFSYNTH_CACHE;
            without either, nothing is kept. Local data sets are read in place.
        cache_size: The most that the folder may hold, as a number of bytes or a text such as "50GB"; the
            least recently used shards make room. None takes $MFSYNTH_CACHE_SIZE, else there is no limit.

    Returns:
        Samples; its `.scenes()` yields the scenes behind them, not rendered.

    Raises:
        ShardError: If there is no data set, or it is damaged.
        MissingExtraError: If the URL needs a package that is not installed.
        OptionsError: If the epoch is negative, the window is not one, or the cache's limit is no size, or
            too small for a shard.
    """
    kept = Cache.of(cache, cache_size)
    folder, _ = data_set_at(location)
    manifest = Manifest.read(location)
    kept = kept.ready_for(manifest) if kept and storage.is_url(folder) else None
    data: DataSet[Sample] = DataSet(
        folder, manifest, epoch=epoch, shuffle=shuffle, window=window, check=check, cache=kept
    )
    return data if render else data.scenes()


class DataSet(Stream[Item]):
    """A data set on disk or at a URL; made by `mfsynth.open`.

    It can be pickled (if its window and selection can), and holds no pictures.
    """

    def __init__(
        self,
        folder: str,
        manifest: Manifest,
        *,
        epoch: int = 0,
        shuffle: int | None = None,
        window: WindowRule | None = None,
        check: bool = True,
        cache: Cache | None = None,
    ) -> None:
        super().__init__(epoch=epoch, shuffle=shuffle, window=window)
        self.folder = folder
        self.manifest = manifest
        self.check = check
        self.cache = cache
        self.keeps: tuple[Keep, ...] = ()
        self._shelf = Shelf(folder, manifest, check=check, cache=cache)

    def __len__(self) -> int:
        """Number of samples, including those that `select` leaves out: only their recipes tell."""
        return self.manifest.samples

    def __repr__(self) -> str:
        layout = self.manifest.layout
        return f"<mfsynth data set {storage.shown(self.folder)}: {len(self)} samples, {layout.store} store>"

    def __getitem__(self, which: int | str) -> Item:
        """One sample: by its place in the manifest's order, from the end if negative, or by its key.

        Neither `shuffle` nor `epoch` nor `select` matters. A local shard is read as a whole only once, to
        check its hash; a remote one is copied to the cache, or to a temporary file that is kept until another
        shard is asked for.

        Raises:
            MissingSampleError: If there is none. It is a KeyError, an IndexError and an OptionsError.
            ShardError: If the shard is damaged.
        """
        shard, packed = self._shelf.by_key(which) if isinstance(which, str) else self._shelf.by_place(which)
        return self._item(packed, shard)

    @property
    def fingerprint(self) -> str:
        """SHA-256, as hex text, of the shards' hashes and numbers of samples."""
        return fingerprint([[shard.sha256, shard.samples] for shard in self.manifest.shards])

    def numbered(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        """The samples from one place in this epoch's order to another, each with its place."""
        for number, first, low, high in self._spans(start, stop):
            shard = self.manifest.shards[number]
            for place, packed in enumerate(self._packed(number, low, high), first + low):
                if self._keeps(packed, shard.name):
                    yield place, self._item(packed, shard.name)

    def scenes(self) -> DataSet[Scene]:
        """The same stream, yielding Scenes (picture, segments, recipe) that are not rendered."""
        other: DataSet[Any] = copy(self)
        other.renders = False
        return other

    def select(self, keep: Keep) -> Self:
        """The same stream with only the images for which `keep` returns True, as their recipes list them.

        What is left out keeps its place in the order, and counts in `len`.
        """
        other = copy(self)
        other.keeps = (*self.keeps, keep)
        return other

    @property
    def selects(self) -> bool:
        """Whether a selection leaves out places that `len` counts."""
        return bool(self.keeps)

    def recipes(self) -> Iterator[Recipe]:
        """Every recipe, in the manifest's order; no picture is read.

        Raises:
            ShardError: If a shard is damaged.
        """
        return recipes(self.folder, self.manifest, check=self.check, cache=self.cache)

    def open_shard(self, number: int) -> AbstractContextManager[IO[bytes]]:
        """A shard's bytes as a stream, for other readers, such as webdataset."""
        return open_shard(self.folder, self.manifest.shards[number], check=self.check, cache=self.cache)

    def _spans(self, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
        """Which samples of which shards, in this epoch's order of shards.

        Each as (shard, place of its first sample, first sample to read, end).
        """
        shards = self.manifest.shards
        numbers: Sequence[int] = range(len(shards))
        if self.shuffle is not None:
            numbers = permutation(len(shards), "order", self.shuffle, self.epoch).tolist()
        before = 0
        for number in numbers:
            low, high = max(start - before, 0), min(stop - before, shards[number].samples)
            if low < high:
                yield number, before, low, high
            before += shards[number].samples

    def _packed(self, number: int, low: int, high: int) -> Iterator[Packed]:
        """A shard's samples from one place in this epoch's order of them to another."""
        shard = self.manifest.shards[number]
        if self.shuffle is None:
            return in_order(self.folder, shard, low, high, check=self.check, cache=self.cache)
        # First, as it proves the number of samples.
        opened = OpenShard(self.folder, shard, check=self.check, cache=self.cache)
        order = permutation(shard.samples, "order", self.shuffle, self.epoch, number)
        return (opened[place] for place in order[low:high].tolist())

    def _keeps(self, packed: Packed, shard: str) -> bool:
        if not self.keeps:
            return True
        with _naming(shard, packed.key):
            image = read_recipe(packed.key, packed.members[RECIPE]).image
        return all(keep(image) for keep in self.keeps)

    def _item(self, packed: Packed, shard: str) -> Item:
        from mfsynth.shards.pixels import read_sample, read_scene

        layout = self.manifest.layout
        with _naming(shard, packed.key):
            scene = read_scene(packed, layout)
        if not self.renders:
            return scene  # type: ignore[return-value]
        window = self.window_of(scene)
        window = window.check(*scene.size) if window else None
        with _naming(shard, packed.key):
            return read_sample(packed, layout, scene, window)  # type: ignore[return-value]


def decode(sample: Mapping[str, Any]) -> Scene:
    """The scene of a sample as webdataset yields it, members undecoded; for either store.

    >>> webdataset.WebDataset("val2017-000000.tar").map(mfsynth.decode)  # doctest: +SKIP

    Args:
        sample: `__key__`, and the members' bytes by field.

    Raises:
        ShardError: If a member is missing or broken.
    """
    from mfsynth.shards.pixels import scene_of

    gt = next((field for field in GT_FIELDS if field in sample), GT_FIELDS[0])
    with _naming(str(sample.get("__url__", "a shard")), str(sample.get("__key__", "?"))):
        packed = Packed(sample["__key__"], dict(sample))
        return scene_of(packed, read_recipe(packed.key, packed.members[RECIPE]), gt)


@contextmanager
def _naming(shard: str, key: str) -> Iterator[None]:
    """Turn errors in a sample's bytes into ours, with the names of shard and sample."""
    try:
        yield
    except KeyError as error:
        raise ShardError(f"{shard}: sample {key} has no member {error}", "run `mfsynth verify`") from error
    except MfsynthError as error:
        raise ShardError(f"{shard}: sample {key}: {error}", "run `mfsynth verify`") from error
