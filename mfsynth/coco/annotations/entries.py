"""From an annotation file to the entries of a split: every listed image with what the annotations say of it.

A record that cannot be used costs its image: the entry says why. What belongs to no image is counted apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from mfsynth import limits
from mfsynth.coco import exclusions
from mfsynth.coco.annotations.records import MAX_ID, MAX_SEGMENT_ID, MaskRecord, read_records
from mfsynth.coco.finding.files import Missing
from mfsynth.coco.finding.places import depth_map
from mfsynth.coco.masks.outlines import has_outline
from mfsynth.coco.masks.segments import Instance
from mfsynth.coco.words import quoted
from mfsynth.console import count
from mfsynth.sample import ImageInfo, sample_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mfsynth.coco.annotations.records import ImageRecord, Records
    from mfsynth.coco.finding.files import FileRef
    from mfsynth.coco.finding.trees import FileTree
    from mfsynth.coco.masks.segments import ListedSegment


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with records of the annotations: a reason from `exclusions`, and which record it is."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a split, with everything that a worker needs to read it.

    `picture`, `mask` and `depth` are Missing where they are not found. `mask` is None and `mask_name` empty
    if none is listed, as with instances. `segments` or `instances` is what the annotations list; both are
    None where they list nothing. `depth` is the depth map that takes the place of all these, None without.
    An entry with a `fault` cannot be used, and only its image's id is sure. `skipped` is about instances that
    are not among `instances`. `stuff` are the ids of the categories that are stuff, such as sky and grass.
    """

    image: ImageInfo
    picture: FileRef | Missing
    mask: FileRef | Missing | None = None
    mask_name: str = ""
    segments: tuple[ListedSegment, ...] | None = None
    instances: tuple[Instance, ...] | None = None
    fault: Fault | None = None
    skipped: tuple[Fault, ...] = ()
    stuff: frozenset[int] = frozenset()
    depth: FileRef | Missing | None = None

    def files(self, split: str) -> dict[str, FileRef | Missing]:
        """Its files by folder and name, as listed."""
        files = {f"{split}/{self.image.file_name}": self.picture}
        if self.mask is not None:
            files[f"panoptic_{split}/{self.mask_name}"] = self.mask
        if self.depth is not None:
            files[f"depth_{split}/{self.depth.name}"] = self.depth
        return files

    @property
    def missing(self) -> Missing | None:
        """The first of its files that was not found."""
        files = (self.picture, self.mask, self.depth)
        return next((file for file in files if isinstance(file, Missing)), None)

    @property
    def missing_reason(self) -> str:
        """Why the image cannot be used if a file is missing: the reason from `exclusions`."""
        reasons = (exclusions.PICTURE_MISSING, exclusions.MASK_MISSING, exclusions.DEPTH_MISSING)
        return reasons[(self.picture, self.mask, self.depth).index(self.missing)]

    @property
    def listed_areas(self) -> list[float | None]:
        """The areas of its segments in the annotations; None where they give none."""
        return [segment.area for segment in self.segments or self.instances or ()]


@dataclass(frozen=True, slots=True)
class License:
    """A license in COCO's table."""

    id: int
    name: str
    url: str


@dataclass(frozen=True)
class Listing:
    """What an annotation file lists.

    Attributes:
        entries: The images, in the order of their samples' keys.
        licenses: The table of licenses.
        strays: Records that belong to no image.
        unlisted: Ids of images that have annotations, but are not listed.
        stuff: Ids of the categories that are stuff; None if the categories cannot be read.
    """

    entries: tuple[Entry, ...]
    licenses: tuple[License, ...]
    strays: tuple[Fault, ...]
    unlisted: tuple[int, ...]
    stuff: frozenset[int] | None


def read_panoptic(text: bytes, pictures: FileTree, masks: FileTree, where: str) -> Listing:
    """The images of a panoptic annotation file, with their pictures and masks.

    Args:
        text: The file's bytes.
        pictures: Where the pictures are.
        masks: Where the masks are.
        where: The file, for errors.

    Raises:
        SourceError: If the text is not one JSON document, or has no list of images or annotations.
    """
    records = read_records(text, MaskRecord, where)
    by_image: dict[int, MaskRecord] = {}
    for each in records.annotations:
        if by_image.setdefault(each.image_id, each) != each:
            records.faults.setdefault(each.image_id, "it has two annotations, and they differ")

    def completed(entry: Entry) -> Entry:
        record = by_image.get(entry.image.id)
        if record is None:
            return entry
        segments = _without_void(record.segments_info)
        fault = _segments_fault([segment.id for segment in segments])
        if fault:
            return replace(entry, fault=Fault(exclusions.BAD_RECORD, fault))
        name = _plain_name(record.file_name)
        return replace(entry, mask=masks.find(name), mask_name=name, segments=segments)

    return _listing(records, pictures, completed, by_image.keys())


def read_instances(text: bytes, pictures: FileTree, where: str) -> Listing:
    """The images of an instance annotation file, with their pictures.

    Ids only tell instances apart: those of an image that do not, or are not positive, are replaced by the
    instances' order. An instance without an outline is skipped.

    Args:
        text: The file's bytes.
        pictures: Where the pictures are.
        where: The file, for errors.

    Raises:
        SourceError: If the text is not one JSON document, or has no list of images or annotations.
    """
    records = read_records(text, Instance, where)
    by_image: dict[int, list[Instance]] = defaultdict(list)
    for each in records.annotations:
        by_image[each.image_id].append(each)

    def completed(entry: Entry) -> Entry:
        listed = by_image.get(entry.image.id)
        return _with_instances(entry, _numbered(listed)) if listed else entry

    return _listing(records, pictures, completed, by_image.keys())


def read_images(text: bytes, pictures: FileTree, maps: FileTree, masks: str, where: str) -> Listing:
    """The images of an annotation file, with their pictures and depth maps; its masks are not needed.

    Args:
        text: The file's bytes.
        pictures: Where the pictures are.
        maps: Where the depth maps are.
        masks: `panoptic` or `instances`: what the file is of.
        where: The file, for errors.

    Raises:
        SourceError: If the text is not one JSON document, or has no list of images or annotations.
    """
    kind: type[MaskRecord | Instance] = MaskRecord if masks == "panoptic" else Instance
    records: Records[Any] = read_records(text, kind, where)

    def completed(entry: Entry) -> Entry:
        return replace(entry, depth=depth_map(maps, entry.image.file_name))

    return _listing(records, pictures, completed, ())


def _listing(
    records: Records[MaskRecord] | Records[Instance],
    pictures: FileTree,
    completed: Callable[[Entry], Entry],
    annotated: Iterable[int],
) -> Listing:
    images: dict[int, ImageRecord] = {}
    for image in records.images:
        if images.setdefault(image.id, image) != image:
            records.faults.setdefault(image.id, "it is listed twice, and the two records differ")
    entries = []
    for id in sorted(images, key=lambda id: sample_key(id, 0)):
        image, fault = images[id], records.faults.get(id) or _size_fault(images[id])
        if fault:
            unsought = Missing(image.file_name, "is not looked for")
            entries.append(Entry(_info(image), unsought, fault=Fault(exclusions.BAD_RECORD, fault)))
        else:
            found = pictures.find(image.file_name)
            entries.append(completed(Entry(_info(image), found, stuff=records.stuff or frozenset())))
    return Listing(
        tuple(entries),
        tuple(License(each.id, each.name or "", each.url or "") for each in records.licenses),
        tuple(Fault(exclusions.STRAY, detail) for detail in records.strays),
        tuple(sorted(set(annotated) - images.keys())),
        records.stuff,
    )


def _info(image: ImageRecord) -> ImageInfo:
    return ImageInfo(
        id=image.id,
        file_name=image.file_name,
        width=image.width,
        height=image.height,
        license=image.license or 0,
        coco_url=image.coco_url or "",
        flickr_url=image.flickr_url or "",
    )


def _size_fault(image: ImageRecord) -> str:
    if image.width * image.height <= limits.PICTURE_PIXELS:
        return ""
    return f"{image.width} x {image.height} is more than {limits.PICTURE_PIXELS:,} pixels"


def _plain_name(name: str) -> str:
    """A mask's name; some tools write `.jpg`, as in the picture's name, for a PNG."""
    return str(PurePosixPath(name).with_suffix(".png")) if name.endswith(".jpg") else name


def _without_void(segments: tuple[ListedSegment, ...]) -> tuple[ListedSegment, ...]:
    """The segments; some tools list void among them, with its id 0."""
    return tuple(each for each in segments if each.id) if any(not each.id for each in segments) else segments


def _segments_fault(ids: list[int]) -> str:
    if len(ids) > limits.SEGMENTS:
        return f"it lists {len(ids):,} segments, the limit is {limits.SEGMENTS:,}"
    outside = [id for id in ids if not 0 < id <= MAX_SEGMENT_ID]
    if outside:
        return f"it lists segment id {quoted(outside[0])}, which is not between 1 and 2^24 - 1"
    twice = [id for id, times in Counter(ids).items() if times > 1] if len(set(ids)) < len(ids) else []
    return f"it lists segment id {twice[0]} twice" if twice else ""


# --- instances ----------------------------------------------------------------------------------------


def _numbered(instances: list[Instance]) -> list[Instance]:
    """The instances with ids that tell them apart."""
    ids = {instance.id for instance in instances}
    if len(ids) == len(instances) and min(ids) > 0 and max(ids) <= MAX_ID:
        return instances
    return [msgspec.structs.replace(each, id=number) for number, each in enumerate(instances, 1)]


def _with_instances(entry: Entry, instances: list[Instance]) -> Entry:
    if len(instances) > limits.SEGMENTS:
        text = f"it has {len(instances):,} instances, the limit is {limits.SEGMENTS:,}"
        return replace(entry, fault=Fault(exclusions.BAD_RECORD, text))
    used = tuple(each for each in instances if has_outline(each.segmentation))
    if not used:
        have = "has" if len(instances) == 1 else "have"
        text = f"its {count(len(instances), 'instance')} {have} no outline; a box is not enough"
        return replace(entry, fault=Fault(exclusions.NO_OUTLINE, text))
    without = sorted({each.id for each in instances} - {each.id for each in used})
    skipped = (
        Fault(exclusions.BOX_ONLY, f"instance {id} has no outline; a box is not enough") for id in without
    )
    return replace(entry, instances=used, skipped=tuple(skipped))
