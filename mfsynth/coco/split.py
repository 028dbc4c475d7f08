"""A split of a COCO folder: which images it lists, and where their pictures and masks are.

A split S has three places: `S/`; `panoptic_S/` or `annotations/panoptic_S/`; `annotations/panoptic_S.json`.
Each may be extracted, or still be in COCO's own zips. Instances need only `S/` and
`annotations/instances_S.json`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mfsynth.coco.annotations import read_instances, read_panoptic
from mfsynth.coco.document import read_text
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
from mfsynth.console import count
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.coco.annotations import Entry, Fault, License
    from mfsynth.coco.files import FileTree

Masks = Literal["panoptic", "instances"]

_LONG_READ = 50_000_000
"""Size in bytes beyond which reading an annotation file takes seconds, and is announced."""


@dataclass(frozen=True)
class Split:
    """A split's images in the order of their samples' keys, its licenses, and its annotation file.

    Attributes:
        name: The split's name.
        masks: Which annotations were read.
        entries: The images. Those with a fault cannot be used.
        licenses: The table of licenses.
        annotations: The annotation file's path inside the COCO folder.
        annotations_sha256: Its SHA-256.
        strays: Records in it that belong to no image.
    """

    name: str
    masks: Masks
    entries: tuple[Entry, ...]
    licenses: tuple[License, ...]
    annotations: str
    annotations_sha256: str
    strays: tuple[Fault, ...] = ()


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
        SourceError: If a place is missing or cannot be read, the annotations do not list a split, or
            they name files outside the folder.
    """
    checked_name(name, "--split")
    with read_errors(coco):
        pictures = _picture_files(coco, name)
        annotations = _annotation_file(coco, f"{masks}_{name}.json")
        mask_files = _mask_files(coco, name, cache, say) if masks == "panoptic" else None
    if annotations.size > _LONG_READ:
        say(f"reading {annotations} ({annotations.size / 1e6:.0f} MB) and looking for its files")
    text = read_text(annotations)
    if mask_files is not None:
        listing = read_panoptic(text, pictures, mask_files, str(annotations))
    else:
        listing = read_instances(text, pictures, str(annotations))
    if listing.unlisted:
        images = f"{count(listing.unlisted, 'image')} that it does not list"
        say(f"{annotations} has annotations of {images}: they are ignored")
    return Split(
        name=name,
        masks=masks,
        entries=listing.entries,
        licenses=listing.licenses,
        annotations=f"annotations/{masks}_{name}.json",
        annotations_sha256=hashlib.sha256(text).hexdigest(),
        strays=listing.strays,
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
