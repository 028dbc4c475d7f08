"""`mfsynth.open`: shards of either store, local or remote, to scenes and samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal, cast, overload

from mfsynth import storage
from mfsynth.errors import MfsynthError, ShardError
from mfsynth.order import permutation
from mfsynth.sample import Recipe, Sample, Scene, Window
from mfsynth.shards import tar
from mfsynth.shards.layout import FOCUS, RECIPE, SEGMENTS, Layout
from mfsynth.shards.manifest import Manifest, data_set_at
from mfsynth.shards.tar import Packed
from mfsynth.stream import Item, Stream, WindowRule

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import numpy as np

    from mfsynth.sample import FocusMap, Picture
    from mfsynth.shards.manifest import Shard


@overload
def open(
    location: str | os.PathLike[str],
    *,
    shuffle: int | None = ...,
    epoch: int = ...,
    window: WindowRule | None = ...,
    render: Literal[True] = ...,
) -> DataSet[Sample]: ...


@overload
def open(
    location: str | os.PathLike[str],
    *,
    shuffle: int | None = ...,
    epoch: int = ...,
    window: WindowRule | None = ...,
    render: Literal[False],
) -> DataSet[Scene]: ...


def open(
    location: str | os.PathLike[str],
    *,
    shuffle: int | None = None,
    epoch: int = 0,
    window: WindowRule | None = None,
    render: bool = True,
) -> DataSet[Sample] | DataSet[Scene]:
    """Open a data set that `mfsynth build` made, of either store.

    Args:
        location: Its folder, or its manifest (a file of any name that ends in .json); a local path or any
            URL that fsspec opens.
        shuffle: Seed of the order; None keeps the manifest's order. Shards are shuffled, and the samples
            inside each.
        epoch: Each epoch has an order of its own.
        window: A window, or a function from scene to window; only that part is rendered.
        render: False yields Scenes (picture, segments, recipe) instead of Samples.

    Raises:
        ShardError: If there is no data set, or it is damaged.
        MissingExtraError: If the URL needs a package that is not installed.
        OptionsError: If the epoch is negative, or the window none.
    """
    folder, _ = data_set_at(location)
    manifest = Manifest.read(location)
    kind = DataSet[Sample] if render else DataSet[Scene]
    return kind(folder, manifest, epoch=epoch, shuffle=shuffle, window=window, render=render)


class DataSet(Stream[Item]):
    """A data set on disk or at a URL; made by `mfsynth.open`."""

    def __init__(
        self,
        folder: str,
        manifest: Manifest,
        *,
        epoch: int = 0,
        shuffle: int | None = None,
        window: WindowRule | None = None,
        render: bool = True,
    ) -> None:
        super().__init__(epoch=epoch, shuffle=shuffle, window=window, render=render)
        self.folder = folder
        self.manifest = manifest

    def __len__(self) -> int:
        """Number of samples."""
        return self.manifest.samples

    def __repr__(self) -> str:
        layout = self.manifest.layout
        return f"<mfsynth data set {self.folder}: {len(self)} samples, {layout.store} store>"

    def read(self, start: int, stop: int) -> Iterator[Item]:
        """The samples from one place in this epoch's order to another."""
        for number, low, high in self._spans(start, stop):
            shard = self.manifest.shards[number]
            for packed in self._packed(shard, self._order(shard, number), low, high):
                yield self._item(packed, shard.name)

    def open_shard(self, number: int) -> AbstractContextManager[IO[bytes]]:
        """A shard's bytes as a stream, for readers of their own, such as webdataset's."""
        return storage.open_file(storage.join(self.folder, self.manifest.shards[number].name))

    def _spans(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Which samples of which shards, in this epoch's order of shards: (shard, first, end)."""
        shards = self.manifest.shards
        numbers: Sequence[int] = range(len(shards))
        if self.shuffle is not None:
            numbers = permutation(len(shards), "order", self.shuffle, self.epoch).tolist()
        before = 0
        for number in numbers:
            low, high = max(start - before, 0), min(stop - before, shards[number].samples)
            if low < high:
                yield number, low, high
            before += shards[number].samples

    def _order(self, shard: Shard, number: int) -> np.ndarray | None:
        if self.shuffle is None:
            return None
        return permutation(shard.samples, "order", self.shuffle, self.epoch, number)

    def _packed(self, shard: Shard, order: np.ndarray | None, low: int, high: int) -> Iterator[Packed]:
        location = storage.join(self.folder, shard.name)
        if order is None:
            yield from _in_order(location, shard, low, high)
            return
        with storage.local_copy(location) as path, path.open("rb") as file:
            places = tar.index(file, shard.name)
            _check_count(shard, len(places))
            for place in order[low:high]:
                yield tar.sample_at(file, places[place], shard.name)

    def _item(self, packed: Packed, shard: str) -> Item:
        layout = self.manifest.layout
        with _naming(shard, packed.key):
            scene = read_scene(packed, layout)
        if not self.render:
            return scene  # type: ignore[return-value]
        window = self.window_of(scene)
        window = window.check(*scene.size) if window else None
        with _naming(shard, packed.key):
            return read_sample(packed, layout, scene, window)  # type: ignore[return-value]


def decode(sample: Mapping[str, Any]) -> Scene:
    """The scene of a sample as webdataset gives it, members undecoded; of either store.

    >>> webdataset.WebDataset("val2017-000000.tar").map(mfsynth.decode)  # doctest: +SKIP

    Args:
        sample: `__key__`, and the members' bytes by field.

    Raises:
        ShardError: If a member is missing or broken.
    """
    kind = "jpg" if "gt.jpg" in sample else "png"
    with _naming(str(sample.get("__url__", "a shard")), str(sample.get("__key__", "?"))):
        return read_scene(Packed(sample["__key__"], dict(sample)), Layout("recipe", kind))


@contextmanager
def _naming(shard: str, key: str) -> Iterator[None]:
    """Errors in a sample's bytes, with the names of shard and sample."""
    try:
        yield
    except KeyError as error:
        raise ShardError(f"{shard}: sample {key} has no member {error}", "run `mfsynth verify`") from error
    except MfsynthError as error:
        raise ShardError(f"{shard}: sample {key}: {error}", "run `mfsynth verify`") from error


def read_scene(packed: Packed, layout: Layout) -> Scene:
    """Decode a sample's picture, segment map and recipe."""
    from mfsynth.codecs import decode_png

    recipe = Recipe.from_json(packed.members[RECIPE])
    picture = _decode(packed.members[layout.gt_field], layout.gt)
    segments = decode_png(packed.members[SEGMENTS])
    if segments.shape != picture.shape[:2]:
        raise ShardError(f"the picture is {picture.shape[:2]}, its segment map {segments.shape}")
    return Scene(picture, segments, recipe)


def read_sample(packed: Packed, layout: Layout, scene: Scene, window: Window | None) -> Sample:
    """Decode a sample's frames, or render them where the store holds recipes; only a window of them."""
    from mfsynth.codecs import decode_png
    from mfsynth.synthesis.render import render

    if layout.store == "recipe":
        return render(scene, window)
    height, width = scene.size
    window = window or Window(0, 0, height, width)
    cut = window.slices
    frames = tuple(_decode(packed.members[field], layout.frame)[cut] for field in layout.frame_fields)
    focus = cast("FocusMap", decode_png(packed.members[FOCUS]))[cut]
    recipe = scene.recipe
    return Sample(
        recipe.key,
        frames,
        focus,
        scene.picture[cut],
        scene.segments[cut],
        recipe,
        window,
    )


def _decode(data: bytes, kind: str) -> Picture:
    from mfsynth.codecs import decode_picture, decode_png

    return cast("Picture", decode_png(data)) if kind == "png" else decode_picture(data)


def _in_order(location: str, shard: Shard, low: int, high: int) -> Iterator[Packed]:
    """A shard's samples from `low` to `high` as they lie: from one stream, or by seeking in a local file."""
    if low and not storage.is_url(location):
        with storage.open_file(location) as file:
            places = tar.index(file, shard.name)
            _check_count(shard, len(places))
            yield from (tar.sample_at(file, place, shard.name) for place in places[low:high])
        return
    number = -1
    with storage.open_file(location) as file:
        for number, packed in enumerate(tar.samples(file, shard.name)):
            if low <= number < high:
                yield packed
            if number + 1 == high < shard.samples:
                return
    _check_count(shard, number + 1)


def _check_count(shard: Shard, found: int) -> None:
    if found != shard.samples:
        raise ShardError(
            f"{shard.name} holds {found} samples, the manifest says {shard.samples}", "run `mfsynth verify`"
        )
