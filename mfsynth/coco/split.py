"""A split of a COCO folder: which images it lists, and where their pictures and masks are.

A split S has three places: `S/` or `images/S/`; `panoptic_S/` or `annotations/panoptic_S/`;
`annotations/panoptic_S.json`. Each may be extracted, or still be in COCO's own zips. Instances need only the
pictures and `annotations/instances_S.json`. With depth maps, masks are not needed, and where there is no
annotation file, the pictures in the folder are listed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mfsynth.coco.annotations.document import read_text
from mfsynth.coco.annotations.entries import read_images, read_instances, read_panoptic
from mfsynth.coco.annotations.listed import as_text, list_pictures
from mfsynth.coco.finding.files import read_errors
from mfsynth.coco.finding.names import checked_name
from mfsynth.coco.finding.places import (
    annotation_file,
    depth_files,
    has_annotations,
    mask_files,
    picture_files,
)
from mfsynth.console import count, some

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.coco.annotations.entries import Entry, Fault, License
    from mfsynth.coco.finding.trees import FileTree
    from mfsynth.storage import AnyPath

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
        annotations: The annotation file's path inside the COCO folder; the pictures' folder, such as `mine/`,
            if they are listed without one.
        annotations_sha256: Its SHA-256, or that of the pictures' ids, names and sizes.
        strays: Records in it that belong to no image.
        stuff: Ids of the categories that are stuff; None if the categories cannot be read.
    """

    name: str
    masks: Masks
    entries: tuple[Entry, ...]
    licenses: tuple[License, ...]
    annotations: str
    annotations_sha256: str
    strays: tuple[Fault, ...] = ()
    stuff: frozenset[int] | None = frozenset()


def read_split(
    coco: AnyPath,
    name: str,
    masks: Masks = "panoptic",
    *,
    depth_maps: AnyPath | None = None,
    cache: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Split:
    """Read a split's annotations and find its files; no picture is opened.

    Args:
        coco: Folder with the three places, extracted or in zips; it may be at a URL.
        name: The split's name.
        masks: Which annotations to use.
        depth_maps: Folder of depth maps, which take the place of masks.
        cache: Folder to which a deflated inner zip is unpacked, once.
        say: Called with a line when that happens, as it takes a while.

    Raises:
        SourceError: If a place is missing or cannot be read, or the annotations do not list a split.
    """
    checked_name(name, "--split")
    with read_errors(coco):
        listed_in = f"{masks}_{name}.json"
        pictures = picture_files(coco, name, listed_in)
        maps = depth_files(depth_maps, name) if depth_maps is not None else None
        if maps is not None and not has_annotations(coco, listed_in):
            return _listed(name, masks, pictures, maps, say)
        annotations = annotation_file(coco, listed_in)
        needed = masks == "panoptic" and maps is None
        mask_tree = mask_files(coco, name, listed_in, cache, say) if needed else None
    if annotations.size > _LONG_READ:
        say(f"reading {annotations} ({annotations.size / 1e6:.0f} MB) and looking for its files")
    text = read_text(annotations)
    if maps is not None:
        listing = read_images(text, pictures, maps, masks, str(annotations))
    elif mask_tree is not None:
        listing = read_panoptic(text, pictures, mask_tree, str(annotations))
    else:
        listing = read_instances(text, pictures, str(annotations))
    if listing.unlisted:
        images = f"{count(len(listing.unlisted), 'image')} that it does not list ({some(listing.unlisted)})"
        say(f"{annotations} has annotations for {images}: they are ignored")
    return Split(
        name=name,
        masks=masks,
        entries=listing.entries,
        licenses=listing.licenses,
        annotations=f"annotations/{masks}_{name}.json",
        annotations_sha256=hashlib.sha256(text).hexdigest(),
        strays=listing.strays,
        stuff=listing.stuff,
    )


def _listed(name: str, masks: Masks, pictures: FileTree, maps: FileTree, say: Callable[[str], None]) -> Split:
    """A split that has no annotation file."""
    listing = list_pictures(pictures, maps)
    found = count(len(listing.entries), "picture")
    say(f"there is no annotations/{masks}_{name}.json: taking all of {name}/, {found}")
    return Split(
        name=name,
        masks=masks,
        entries=listing.entries,
        licenses=(),
        annotations=f"{name}/",
        annotations_sha256=hashlib.sha256(as_text(listing)).hexdigest(),
        strays=listing.strays,
    )
