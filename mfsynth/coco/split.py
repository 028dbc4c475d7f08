"""A split of a COCO folder: which images it lists, and where their pictures and masks are.

A split S has three places: `S/`; `panoptic_S/` or `annotations/panoptic_S/`; `annotations/panoptic_S.json`.
Each may be extracted, or still be in COCO's own zips. Instances need only `S/` and
`annotations/instances_S.json`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from mfsynth.coco.files import (
    FileRef,
    Folder,
    ZipFolder,
    checked_name,
    member_ref,
    nested_zip,
    read_errors,
    zip_members,
)
from mfsynth.coco.segments import Instance, ListedSegment
from mfsynth.errors import SourceError
from mfsynth.sample import ImageInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mfsynth.coco.files import FileTree

Masks = Literal["panoptic", "instances"]

_LONG_READ = 50_000_000
"""Size in bytes beyond which reading an annotation file takes seconds, and is announced."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a split, with everything that a worker needs to read it.

    `picture` and `mask` are None where the file is missing; `mask_name` is empty if none is listed, as with
    instances. `segments` or `instances` is what the annotations list; both are None where they list nothing.
    """

    image: ImageInfo
    picture: FileRef | None
    mask: FileRef | None = None
    mask_name: str = ""
    segments: tuple[ListedSegment, ...] | None = None
    instances: tuple[Instance, ...] | None = None

    def files(self, split: str) -> dict[str, FileRef | None]:
        """Its files by path inside the COCO folder; None for one that is missing."""
        files = {f"{split}/{self.image.file_name}": self.picture}
        if self.mask_name:
            files[f"panoptic_{split}/{self.mask_name}"] = self.mask
        return files

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
class Split:
    """A split's images by ascending id, its licenses, and its annotation file's name and SHA-256."""

    name: str
    masks: Masks
    entries: tuple[Entry, ...]
    licenses: tuple[License, ...]
    annotations: str
    annotations_sha256: str


class _Image(msgspec.Struct, frozen=True, gc=False):
    id: int
    file_name: str
    width: int
    height: int
    license: int | None = None
    coco_url: str | None = None
    flickr_url: str | None = None


class _PanopticImage(msgspec.Struct, frozen=True):
    image_id: int
    file_name: str
    segments_info: tuple[ListedSegment, ...]


class _License(msgspec.Struct, frozen=True):
    id: int
    name: str | None = None
    url: str | None = None


class _Panoptic(msgspec.Struct, frozen=True):
    images: list[_Image]
    annotations: list[_PanopticImage]
    licenses: list[_License] = []


class _Instances(msgspec.Struct, frozen=True):
    images: list[_Image]
    annotations: list[Instance]
    licenses: list[_License] = []


_File = TypeVar("_File", _Panoptic, _Instances)


def read_split(
    coco: Path,
    name: str,
    masks: Masks = "panoptic",
    *,
    cache: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Split:
    """Read a split's annotations and find its files; no picture is opened.

    Args:
        coco: Folder with the three places, extracted or in zips.
        name: The split's name.
        masks: Which annotations to use.
        cache: Folder to which a deflated inner zip is unpacked, once.
        say: Called with a line when that happens, as it takes a while.

    Raises:
        SourceError: If a place is missing or cannot be read, or the annotations are broken, contradict
            themselves or name files outside the folder.
    """
    checked_name(name, "--split")
    with read_errors(coco):
        pictures = _picture_files(coco, name)
        annotations = _annotation_file(coco, f"{masks}_{name}.json")
        mask_files = _mask_files(coco, name, cache, say) if masks == "panoptic" else None
    if annotations.size > _LONG_READ:
        say(f"reading {annotations} ({annotations.size / 1e6:.0f} MB) and looking for its files")
    text = annotations.read()
    parsed: _Panoptic | _Instances
    if mask_files is not None:
        parsed = _parse(text, _Panoptic, annotations)
        entries = _panoptic_entries(parsed, pictures, mask_files, annotations)
    else:
        parsed = _parse(text, _Instances, annotations)
        entries = _instance_entries(parsed, pictures, annotations)
    _check_unique((entry.image.id for entry in entries), "image", annotations)
    return Split(
        name=name,
        masks=masks,
        entries=tuple(sorted(entries, key=lambda entry: entry.image.id)),
        licenses=tuple(License(each.id, each.name or "", each.url or "") for each in parsed.licenses),
        annotations=f"annotations/{masks}_{name}.json",
        annotations_sha256=hashlib.sha256(text).hexdigest(),
    )


def has_split(coco: Path, name: str) -> bool:
    """Whether a COCO folder has the pictures of a split, extracted or as a zip.

    Raises:
        SourceError: If the folder cannot be searched.
    """
    with read_errors(coco):
        return (coco / name).is_dir() or (coco / f"{name}.zip").is_file()


def has_annotations(coco: Path, name: str, masks: Masks) -> bool:
    """Whether a COCO folder has the annotation file of a split, extracted or in a zip.

    Raises:
        SourceError: If the folder cannot be searched, or a zip of annotations is damaged.
    """
    with read_errors(coco):
        return _find_annotations(coco, f"{masks}_{name}.json") is not None


# --- the three places ---------------------------------------------------------------------------------


def _picture_files(coco: Path, name: str) -> FileTree:
    if (coco / name).is_dir():
        return Folder(coco / name)
    archive = coco / f"{name}.zip"
    if archive.is_file():
        return ZipFolder(archive, name, 0, zip_members(archive))
    raise SourceError(
        f"{coco} has no pictures of split {name!r}: neither {name}/ nor {name}.zip is there",
        f"fetch an official split with: mfsynth download --split {name} --coco {coco}",
    )


def _annotation_file(coco: Path, file_name: str) -> FileRef:
    found = _find_annotations(coco, file_name)
    if found is None:
        raise SourceError(
            f"{coco} has no annotations/{file_name}, neither extracted nor in a zip named *annotations*.zip",
            "put it there; those of official splits come with: mfsynth download",
        )
    return found


def _find_annotations(coco: Path, file_name: str) -> FileRef | None:
    found = Folder(coco / "annotations").find(file_name)
    if found is not None:
        return found
    for archive in _annotation_archives(coco):
        info = zip_members(archive).get(f"annotations/{file_name}")
        if info is not None:
            return member_ref(archive, info, 0, f"annotations/{file_name}")
    return None


def _mask_files(coco: Path, name: str, cache: Path, say: Callable[[str], None]) -> FileTree:
    folder = f"panoptic_{name}"
    for place in (coco / folder, coco / "annotations" / folder):
        if place.is_dir():
            return Folder(place)
        archive = place.with_name(f"{folder}.zip")
        if archive.is_file():
            return ZipFolder(archive, folder, 0, zip_members(archive))
    for archive in _annotation_archives(coco):
        info = zip_members(archive).get(f"annotations/{folder}.zip")
        if info is not None:
            path, offset, members = nested_zip(archive, info, cache, say)
            return ZipFolder(path, folder, offset, members)
    raise SourceError(
        f"{coco} has no masks of split {name!r}: neither {folder}/, annotations/{folder}/ nor a zip of them",
        "put them there, or build from --masks instances",
    )


def _annotation_archives(coco: Path) -> list[Path]:
    return sorted([*coco.glob("*annotations*.zip"), *coco.glob("annotations/*annotations*.zip")])


# --- the annotations ----------------------------------------------------------------------------------


def _parse(text: bytes, kind: type[_File], file: FileRef) -> _File:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise SourceError(f"{file} does not list a split as COCO does: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{file} is not COCO JSON: {error}", "it may be cut short: download or write it again"
        ) from error


def _panoptic_entries(parsed: _Panoptic, pictures: FileTree, masks: FileTree, file: FileRef) -> list[Entry]:
    by_image = {annotation.image_id: annotation for annotation in parsed.annotations}
    if len(by_image) < len(parsed.annotations):
        _check_unique((annotation.image_id for annotation in parsed.annotations), "annotation of image", file)
    entries = []
    for image in parsed.images:
        annotation = by_image.get(image.id)
        if annotation is None:
            entries.append(_entry(image, pictures, file))
            continue
        _check_segment_ids(annotation, file)
        name = _plain_name(annotation.file_name)
        entry = _entry(image, pictures, file)
        entries.append(
            replace(entry, mask=masks.find(name), mask_name=name, segments=annotation.segments_info)
        )
    return entries


def _instance_entries(parsed: _Instances, pictures: FileTree, file: FileRef) -> list[Entry]:
    by_image: dict[int, list[Instance]] = defaultdict(list)
    for instance in parsed.annotations:
        if not 0 < instance.id < 1 << 63:
            raise SourceError(f"{file}: instance id {instance.id} is not positive; 0 stands for void")
        by_image[instance.image_id].append(instance)
    _check_unique((instance.id for instance in parsed.annotations), "instance", file)
    return [
        replace(_entry(image, pictures, file), instances=tuple(by_image.get(image.id, ())) or None)
        for image in parsed.images
    ]


def _entry(image: _Image, pictures: FileTree, file: FileRef) -> Entry:
    if not 0 <= image.id < 10**12 or image.width < 1 or image.height < 1:
        raise SourceError(f"{file}: image {image.id} of {image.width} x {image.height} makes no sense")
    info = ImageInfo(
        id=image.id,
        file_name=image.file_name,
        width=image.width,
        height=image.height,
        license=image.license or 0,
        coco_url=image.coco_url or "",
        flickr_url=image.flickr_url or "",
    )
    return Entry(info, pictures.find(image.file_name))


def _plain_name(name: str) -> str:
    """A mask's name; some tools write `.jpg`, as in the picture's name, for a PNG."""
    return str(PurePosixPath(name).with_suffix(".png")) if name.endswith(".jpg") else name


def _check_segment_ids(annotation: _PanopticImage, file: FileRef) -> None:
    ids = [segment.id for segment in annotation.segments_info]
    if ids and not (min(ids) > 0 and max(ids) < 1 << 24):
        raise SourceError(f"{file}: image {annotation.image_id} has a segment id outside 1 to 2^24 - 1")
    if len(set(ids)) < len(ids):
        raise SourceError(f"{file}: image {annotation.image_id} lists a segment id twice")


def _check_unique(ids: Iterable[int], what: str, file: FileRef) -> None:
    repeated = [id for id, count in Counter(ids).items() if count > 1]
    if repeated:
        raise SourceError(f"{file}: {what} {repeated[0]} is listed more than once")
