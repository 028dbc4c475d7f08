"""`mfsynth.synthesize`: scenes and samples straight from COCO, without shards. Epoch e is variant e."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast, overload

from mfsynth import storage
from mfsynth.coco import exclusions, notes
from mfsynth.coco.image import gt_kind, read_image
from mfsynth.errors import UnusableImage
from mfsynth.options import (
    BuildOptions,
    ContentOptions,
    choose,
    content_options,
    split_of,
    with_depth,
)
from mfsynth.order import permutation
from mfsynth.sample import Sample, Scene
from mfsynth.shards.manifest import fingerprint
from mfsynth.stream import Item, Keep, Stream, WindowRule
from mfsynth.synthesis.draw import draw
from mfsynth.synthesis.render import render as render_scene
from mfsynth.synthesis.traits import traits_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from mfsynth.coco.annotations.entries import Entry
    from mfsynth.coco.image import DecodedImage
    from mfsynth.recipe import Traits

log = logging.getLogger(__name__)


@overload
def synthesize(
    coco: str | os.PathLike[str],
    split: str,
    seed: int = 0,
    *,
    epoch: int = 0,
    shuffle: int | None = None,
    window: WindowRule | None = None,
    render: Literal[True] = True,
    depth_maps: str | os.PathLike[str] | None = None,
    **content: Unpack[ContentOptions],
) -> Live[Sample]: ...
@overload
def synthesize(
    coco: str | os.PathLike[str],
    split: str,
    seed: int = 0,
    *,
    epoch: int = 0,
    shuffle: int | None = None,
    window: WindowRule | None = None,
    render: Literal[False],
    depth_maps: str | os.PathLike[str] | None = None,
    **content: Unpack[ContentOptions],
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
    depth_maps: str | os.PathLike[str] | None = None,
    **content: Unpack[ContentOptions],
) -> Live[Sample] | Live[Scene]:
    """Make samples from COCO as they are asked for; the pixels are those of a build with these options.

    Args:
        coco: Folder with the COCO data, extracted or as zips.
        split: Name of the split.
        seed: Seed of every draw.
        epoch: Which epoch iteration gives; in epoch e each image comes as its variant e.
        shuffle: Seed of the order; None keeps ascending image ids.
        window: A window, or a function from scene to window; only that part is rendered.
        render: False yields scenes, as `.scenes()` does.
        depth_maps: Folder of depth maps, named like the pictures: planes are cut from them instead of masks.
        masks: `panoptic` or `instances`.
        preset: `paper` or `realistic`: values for the options below; those that are given override it.
        sigma: Smallest and largest sigma of a Gaussian blur, in pixels.
        noise: Smallest and largest standard deviation of the noise, in units of full range.
        min_area: Each frame of a pair has at least this fraction of the picture in focus, at most 1/3. In a
            stack, as many frames as the picture allows have it.
        licenses: COCO license ids to keep; empty keeps all.
        images: Ids of the images to take; None takes all.
        limit: Take only this many images, the first by id; 0 takes all.
        orientation: Whether pictures with an orientation tag are turned upright: `auto`, `raw` or `upright`.
        frames: Frames per sample, from 2 to 32.
        planes: Planes of a scene, at least as many as frames; 0 makes one per frame, or 16 with depth maps.
        order: How segments are assigned to planes: `random`, or `layout`, a guess at their depth.
        depth: What large values mean in depth maps: `near` or `far`.
        kernel: Of the blur: `gaussian`, `disk` or `polygon`.
        radius: Smallest and largest radius of a disk or polygon, in pixels.
        boundary: `hard`, or `spread`: what is near and out of focus spreads over what is behind it.
        fill: What is put behind a near layer: the color of the `nearest` visible pixel, or `inpaint`.
        light: The values that are blurred and combined: `srgb` or `linear`.
        noise_model: `gaussian` (on sRGB values) or `poisson-gaussian` (on linear light).
        capture: `clean`, or `camera`: sensor noise and JPEG.
        breathing: Largest change of scale from the first frame to the last, in percent, with shake and
            changes of exposure in proportion.
        min_sharpness: Segments below this sharpness, in gray levels, share the plane of a neighbor.

    Returns:
        Samples; its `.scenes()` yields the scenes behind them, not rendered.

    Raises:
        SourceError: If the data is missing or broken.
        OptionsError: If an option makes no sense.
    """
    options = content_options(split, seed, **with_depth(content, depth_maps))
    maps = None if depth_maps is None else Path(depth_maps).expanduser()
    choice = choose(split_of(options, storage.path_at(coco), maps, log.info), options)
    for fault in choice.faults:
        log.warning("%s", fault.detail)
    gt = gt_kind(choice.entries)
    stream: Live[Sample] = Live(choice.entries, options, gt, epoch=epoch, shuffle=shuffle, window=window)
    return stream if render else stream.scenes()


class Live(Stream[Item]):
    """Samples made as they are asked for; see `mfsynth.synthesize`.

    An image whose files turn out to be unusable is skipped, with a warning in the log of `mfsynth.live`. That
    log also has, as information, what a build would report: which images the options leave out for what they
    show, and what was done to others, such as that they were turned.
    """

    def __init__(
        self,
        entries: tuple[Entry, ...],
        options: BuildOptions,
        gt: str = "jpg",
        *,
        epoch: int = 0,
        shuffle: int | None = None,
        window: WindowRule | None = None,
    ) -> None:
        super().__init__(epoch=epoch, shuffle=shuffle, window=window)
        self.entries = entries
        self.options = options
        self.gt = gt
        self._kept: _Kept | None = None

    def __len__(self) -> int:
        """Number of images that their annotations do not rule out."""
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<mfsynth live synthesis of {self.options.split}: {len(self)} images>"

    @property
    def fingerprint(self) -> str:
        """SHA-256, as hex text, of the options and the ids of the images."""
        return fingerprint([self.options.fingerprint, [entry.image.id for entry in self.entries]])

    def numbered(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        """The samples from one place in this epoch's order to another, each with its place."""
        numbers: Iterable[int] = range(start, stop)
        if self.shuffle is not None:
            numbers = permutation(len(self), "order", self.shuffle, self.epoch)[start:stop].tolist()
        for place, number in enumerate(numbers, start):
            entry = self.entries[number]
            try:
                scene = self.scene(entry)
            except UnusableImage as error:
                level = logging.INFO if error.reason in exclusions.CHOSEN else logging.WARNING
                log.log(level, "image %d is skipped: %s", entry.image.id, error)
            else:
                item = render_scene(scene, self.window_of(scene)) if self.renders else scene
                yield place, cast("Item", item)

    def scenes(self) -> Live[Scene]:
        """The same stream, yielding Scenes (picture, segments, recipe) that are not rendered."""
        other: Live[Any] = copy(self)
        other.renders = False
        return other

    def select(self, keep: Keep) -> Self:
        """The same stream with only the images for which `keep` returns True."""
        other = copy(self)
        other.entries = tuple(entry for entry in self.entries if keep(entry.image))
        return other

    def keeping(self, size: int) -> Self:
        """The same stream, which keeps images once they are decoded, for later epochs.

        Args:
            size: Most bytes of decoded images to keep; their arrays are read-only.
        """
        other = copy(self)
        other._kept = _Kept(size) if size else None
        return other

    def scene(self, entry: Entry) -> Scene:
        """The scene of one image in this epoch.

        Raises:
            UnusableImage: If its files are missing or broken.
        """
        known = self._kept.images.get(entry.image.id) if self._kept else None
        image, traits = known or self._decoded(entry)
        if self._kept and not known:
            self._kept.add(entry.image.id, image, traits)
        recipe = draw(entry.image, image.infos, self.options.draw, self.epoch, traits)
        return Scene(image.picture, image.segments, recipe)

    def _decoded(self, entry: Entry) -> tuple[DecodedImage, tuple[Traits, ...]]:
        image = read_image(entry, self.options.orientation, self.gt, self.options.cut)
        for code in image.notes:
            log.info("image %d: %s", entry.image.id, notes.MEANING[code])
        return image, traits_of(image.picture, image.segments, image.infos, entry.stuff, self.options.draw)


class _Kept:
    """Decoded images, and the traits of their segments, by image id, while there is room.

    No image makes room for another. All images come again in every epoch, in another order: what was used
    last is no more likely to be needed next, and if not all fit, most would be thrown out before they are.

    Attributes:
        images: By id.
        room: How many more bytes may be kept.
    """

    def __init__(self, room: int) -> None:
        self.images: dict[int, tuple[DecodedImage, tuple[Traits, ...]]] = {}
        self.room = room

    def add(self, number: int, image: DecodedImage, traits: tuple[Traits, ...]) -> None:
        """Keep an image if it still fits, without its file's bytes."""
        size = image.picture.nbytes + image.segments.nbytes
        if size <= self.room:
            self.room -= size
            for array in (image.picture, image.segments):
                array.setflags(write=False)
            self.images[number] = replace(image, data=b""), traits
