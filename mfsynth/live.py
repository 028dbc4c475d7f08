"""`mfsynth.synthesize`: scenes and samples straight from COCO, without shards. Epoch e is variant e."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import copy
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, cast, overload

from mfsynth import storage
from mfsynth.coco.image import read_image
from mfsynth.coco.split import read_split
from mfsynth.errors import OptionsError, UnusableImage
from mfsynth.options import BuildOptions, Selection, choose
from mfsynth.order import permutation, whole_number
from mfsynth.sample import Sample, Scene
from mfsynth.stream import Item, Stream, WindowRule
from mfsynth.synthesis.draw import draw
from mfsynth.synthesis.render import render as render_scene

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from mfsynth.coco.split import Entry, Masks
    from mfsynth.sample import ImageInfo

log = logging.getLogger(__name__)


@overload
def synthesize(
    coco: str | os.PathLike[str],
    split: str,
    seed: int = ...,
    *,
    epoch: int = ...,
    shuffle: int | None = ...,
    window: WindowRule | None = ...,
    render: Literal[True] = ...,
    masks: Masks = ...,
    sigma: tuple[float, float] = ...,
    noise: tuple[float, float] = ...,
    min_area: float = ...,
    licenses: Iterable[int] = ...,
    images: Iterable[int] | Selection | None = ...,
    limit: int = ...,
) -> Live[Sample]: ...


@overload
def synthesize(
    coco: str | os.PathLike[str],
    split: str,
    seed: int = ...,
    *,
    epoch: int = ...,
    shuffle: int | None = ...,
    window: WindowRule | None = ...,
    render: Literal[False],
    masks: Masks = ...,
    sigma: tuple[float, float] = ...,
    noise: tuple[float, float] = ...,
    min_area: float = ...,
    licenses: Iterable[int] = ...,
    images: Iterable[int] | Selection | None = ...,
    limit: int = ...,
) -> Live[Scene]: ...


def synthesize(
    coco: str | os.PathLike[str],
    split: str,
    seed: int = 0,
    *,
    epoch: int = 0,
    shuffle: int | None = None,
    window: WindowRule | None = None,
    render: bool = True,
    masks: Masks = "panoptic",
    sigma: tuple[float, float] = (1.0, 5.0),
    noise: tuple[float, float] = (0.0, 0.0),
    min_area: float = 0.02,
    licenses: Iterable[int] = (),
    images: Iterable[int] | Selection | None = None,
    limit: int = 0,
) -> Live[Sample] | Live[Scene]:
    """Make samples from COCO as they are asked for; the pixels are those of a build with these options.

    Args:
        coco: Folder with the COCO data, extracted or as zips.
        split: Name of the split.
        seed: Seed of every draw.
        epoch: Which epoch iteration gives; in epoch e each image comes as its variant e.
        shuffle: Seed of the order; None keeps ascending image ids.
        window: A window, or a function from scene to window; only that part is rendered.
        render: False yields Scenes instead of Samples.
        masks: `panoptic` or `instances`.
        sigma: Least and largest blur, in pixels.
        noise: Least and largest standard deviation of the noise, in units of full range.
        min_area: Each frame keeps at least this fraction in focus.
        licenses: COCO licence ids to keep; empty keeps all.
        images: Ids of the images to take; None takes all.
        limit: Only the first so many images, by id.

    Raises:
        SourceError: If the data is missing or broken.
        OptionsError: If an option makes no sense.
    """
    options = BuildOptions(
        split=split,
        masks=masks,
        seed=whole_number("seed", seed),
        sigma=_bounds("sigma", sigma),
        noise=_bounds("noise", noise),
        min_area=min_area,
        licenses=_ids("licenses", licenses),
        images=_selection(images),
        limit=whole_number("limit", limit),
    )
    source = read_split(Path(coco), split, masks, cache=storage.cache_folder(), say=log.info)
    entries, _ = choose(source, options)
    kind = Live[Sample] if render else Live[Scene]
    return kind(tuple(entries), options, epoch=epoch, shuffle=shuffle, window=window, render=render)


def _bounds(name: str, value: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = value
        return float(low), float(high)
    except (TypeError, ValueError) as error:
        raise OptionsError(f"{name} is {value!r}, it must be two numbers, least and largest") from error


def _ids(name: str, value: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(sorted(set(map(index, value))))
    except TypeError as error:
        raise OptionsError(f"{name} is {value!r}, it must be a sequence of ids") from error


def _selection(images: Iterable[int] | Selection | None) -> Selection:
    if images is None or isinstance(images, Selection):
        return images or Selection()
    take = _ids("images", images)
    if not take:
        raise OptionsError("images is empty", "None takes all")
    return Selection(take)


class Live(Stream[Item]):
    """Samples made as they are asked for; made by `mfsynth.synthesize`.

    An image whose files prove unusable is skipped with a warning in the log of `mfsynth.live`.
    """

    def __init__(
        self,
        entries: tuple[Entry, ...],
        options: BuildOptions,
        *,
        epoch: int = 0,
        shuffle: int | None = None,
        window: WindowRule | None = None,
        render: bool = True,
    ) -> None:
        super().__init__(epoch=epoch, shuffle=shuffle, window=window, render=render)
        self.entries = entries
        self.options = options

    def __len__(self) -> int:
        """Number of images whose annotations say nothing against them."""
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<mfsynth live synthesis of {self.options.split}: {len(self)} images>"

    def read(self, start: int, stop: int) -> Iterator[Item]:
        """The samples from one place in this epoch's order to another."""
        places: Iterable[int] = range(start, stop)
        if self.shuffle is not None:
            places = permutation(len(self), "order", self.shuffle, self.epoch)[start:stop].tolist()
        for place in places:
            try:
                scene = self.scene(self.entries[place])
            except UnusableImage as error:
                log.warning("image %d is skipped: %s", self.entries[place].image.id, error)
            else:
                item = render_scene(scene, self.window_of(scene)) if self.render else scene
                yield cast("Item", item)

    def select(self, keep: Callable[[ImageInfo], bool]) -> Self:
        """The same stream with those images alone that `keep` holds for."""
        other = copy(self)
        other.entries = tuple(entry for entry in self.entries if keep(entry.image))
        return other

    def scene(self, entry: Entry) -> Scene:
        """The scene of one image in this epoch.

        Raises:
            UnusableImage: If its files are missing or broken.
        """
        source = read_image(entry)
        recipe = draw(entry.image, source.infos, self.options.draw, self.epoch)
        return Scene(source.picture, source.segments, recipe)
