"""Make one shard, in one process, from a job that can be pickled and sent anywhere."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from mfsynth import codecs, limits
from mfsynth.building.folder import disk_errors
from mfsynth.building.origin import packages
from mfsynth.building.parts import Exclusion, Part, scratch_name, whole_part, write_part
from mfsynth.building.report import STRICT_HINT
from mfsynth.coco import exclusions
from mfsynth.coco.finding.files import FileRef
from mfsynth.coco.image import gt_member, read_image
from mfsynth.engine import check_versions
from mfsynth.errors import BuildError, ChangedError, SourceError, UnusableImage
from mfsynth.sample import Scene
from mfsynth.shards.layout import CERTAIN, FOCUS, NEAREST, RECIPE, SEGMENTS, shard_name
from mfsynth.shards.manifest import Shard
from mfsynth.shards.writer import ShardWriter
from mfsynth.synthesis.draw import Draws
from mfsynth.synthesis.render import render
from mfsynth.synthesis.traits import traits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mfsynth.building.origin import Origin
    from mfsynth.coco.annotations.entries import Entry
    from mfsynth.coco.finding.files import Missing
    from mfsynth.coco.image import DecodedImage
    from mfsynth.options import BuildOptions
    from mfsynth.shards.layout import Layout
    from mfsynth.storage import Folder

    Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a process needs to make one shard.

    `there` is the size of the shard that the folder has already, with a side file; None if it has none.
    """

    options: BuildOptions
    layout: Layout
    index: int
    entries: tuple[Entry, ...]
    origin: Origin
    out: Folder
    strict: bool = False
    there: int | None = None

    @property
    def name(self) -> str:
        """The shard's name."""
        return shard_name(self.options.split, self.index)


def make_shard(job: Job, advance: Advance) -> tuple[Part, bool]:
    """Make a shard and its side file, each completely or not at all; a complete shard is kept.

    A shard none of whose images can be used is not written, since other readers refuse an empty one.

    Args:
        job: What to make.
        advance: Called with the number of samples done since the last call.

    Returns:
        The content of the side file, and whether the shard was made now.

    Raises:
        ChangedError: If a picture or mask is no longer the one that the build was planned with.
        OutputError: If the folder cannot be written.
        BuildError: If the disk is full, an image is unusable and the job is strict, or this machine, which
            may have joined a cluster late, would make other bytes than the one that planned the build.
    """
    check_versions(f"this machine ({platform.node()})", packages(job.options), job.origin.packages)
    with disk_errors(job.out, job.name):
        images = [entry.image.id for entry in job.entries]
        kept = None
        if job.there is not None:
            kept = whole_part(job.out, job.name, images, job.options.variants, job.origin, job.there)
        if kept is not None and not (job.strict and kept.left_out):
            advance(len(job.entries) * job.options.variants)
            return kept, False
        return _make_shard(job, advance), True


def _make_shard(job: Job, advance: Advance) -> Part:
    cv2.setNumThreads(1)
    licenses: Counter[int] = Counter()
    excluded = []
    noted: dict[str, list[int]] = defaultdict(list)
    with job.out.scratch(scratch_name(job.name)) as file:
        writer = ShardWriter(file)
        for entry in job.entries:
            try:
                image = _write_image(writer, entry, job, advance)
            except UnusableImage as error:
                if job.strict:
                    raise BuildError(
                        f"image {entry.image.id} cannot be used: {error}", STRICT_HINT
                    ) from error
                excluded.append(_exclusion(entry, error, job.options.split))
                advance(job.options.variants)
            else:
                licenses[entry.image.license] += job.options.variants
                for code in image.notes:
                    noted[code].append(entry.image.id)
        shard = writer.publish(job.out, job.name) if licenses else Shard(job.name, 0, "", 0)
    notes = {code: tuple(ids) for code, ids in sorted(noted.items())}
    counts = dict(sorted(licenses.items()))
    return write_part(job.out, Part(shard, counts, tuple(excluded), noted=notes, origin=job.origin))


def _write_image(writer: ShardWriter, entry: Entry, job: Job, advance: Advance) -> DecodedImage:
    """Write all variants of an image, or none: whatever can fail fails before the first is yielded."""
    image = read_image(entry, job.options.orientation, job.layout.gt, job.options.cut)
    for key, members in encode_image(image, entry, job.options, job.layout):
        writer.add(key, members)
        advance(1)
    return image


def encode_image(
    image: DecodedImage, entry: Entry, options: BuildOptions, layout: Layout
) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Key and members of each sample of an image, one for each variant.

    Raises:
        UnusableImage: Before the first sample, if one of its variants cannot be used.
    """
    _check_side(image, layout)
    gt = gt_member(image, layout.gt)
    segments = codecs.encode_png(image.segments)
    drawing = options.draw
    traits = traits_of(image.picture, image.segments, image.infos, entry.stuff, drawing)
    draws = Draws(entry.image, image.infos, drawing, traits)
    for recipe in [draws.recipe(variant) for variant in range(options.variants)]:
        scene = Scene(image.picture, image.segments, recipe)
        yield recipe.key, encode_scene(scene, gt, segments, layout)


def _check_side(image: DecodedImage, layout: Layout) -> None:
    side = max(image.picture.shape[:2])
    if layout.store == "pairs" and layout.frame == "jpg" and side > limits.JPEG_SIDE:
        told = f"{image.name} has a side of {side:,} pixels, a JPEG has {limits.JPEG_SIDE:,} at most"
        raise UnusableImage(exclusions.JPEG_SIZE, f"{told}: use --format png")


def encode_scene(scene: Scene, gt: bytes, segments: bytes, layout: Layout) -> list[tuple[str, bytes]]:
    """The members of a sample; frames are rendered if the store holds pairs.

    Args:
        scene: The scene to encode.
        gt: The ground truth's member.
        segments: The segment map's member.
        layout: Which members there are.
    """
    members = [(RECIPE, scene.recipe.to_json()), (layout.gt_field, gt), (SEGMENTS, segments)]
    if layout.store == "pairs":
        sample = render(scene)
        encode = codecs.encode_png if layout.frame == "png" else codecs.encode_jpeg
        maps = {FOCUS: sample.focus, NEAREST: sample.nearest, CERTAIN: sample.certain}
        members += [(field, codecs.encode_png(maps[field])) for field in layout.map_fields]
        members += zip(layout.frame_fields, map(encode, sample.frames), strict=True)
    return members


def _exclusion(entry: Entry, error: UnusableImage, split: str) -> Exclusion:
    files = {} if error.reason == exclusions.MIN_AREA else entry.files(split)
    return Exclusion(
        entry.image.id, error.reason, error.message, {name: file_hash(file) for name, file in files.items()}
    )


def file_hash(file: FileRef | Missing | None) -> str:
    """SHA-256 of a picture, mask or depth map; else "missing" or "unreadable".

    Raises:
        ChangedError: If it is no longer the file that was found.
    """
    if not isinstance(file, FileRef):
        return "missing"
    try:
        return hashlib.sha256(file.read()).hexdigest()
    except ChangedError:
        raise
    except SourceError:
        return "unreadable"
