"""A split of a COCO folder: which images it lists, and where their pictures and masks are.

A split S has three places: `S/` or `images/S/`; `panoptic_S/` or `annotations/panoptic_S/`;
`annotations/panoptic_S.json`. Each may be extracted, or still be in COCO's own zips. Instances need only the
pictures and `annotations/instances_S.json`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mfsynth.coco.annotations.document import read_text
from mfsynth.coco.annotations.entries import read_instances, read_panoptic
from mfsynth.coco.finding.files import read_errors
from mfsynth.coco.finding.names import checked_name
from mfsynth.coco.finding.places import annotation_file, mask_files, picture_files
from mfsynth.console import count, some

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.coco.annotations.entries import Entry, Fault, License

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
        SourceError: If a place is missing or cannot be read, or the annotations do not list a split.
    """
    checked_name(name, "--split")
    with read_errors(coco):
        listed_in = f"{masks}_{name}.json"
        pictures = picture_files(coco, name, listed_in)
        annotations = annotation_file(coco, listed_in)
        mask_tree = mask_files(coco, name, listed_in, cache, say) if masks == "panoptic" else None
    if annotations.size > _LONG_READ:
        say(f"reading {annotations} ({annotations.size / 1e6:.0f} MB) and looking for its files")
    text = read_text(annotations)
    if mask_tree is not None:
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
