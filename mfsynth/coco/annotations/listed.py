"""A split without annotations: the pictures in its folder, whose depth maps say how large they are."""

from __future__ import annotations

import json
from posixpath import splitext
from typing import TYPE_CHECKING

from mfsynth.coco import exclusions
from mfsynth.coco.annotations.entries import Entry, Fault, Listing
from mfsynth.coco.annotations.records import MAX_ID
from mfsynth.coco.finding import names
from mfsynth.coco.finding.files import FileRef
from mfsynth.coco.finding.places import depth_map
from mfsynth.codecs import CodecError, gray_size
from mfsynth.errors import ChangedError, SourceError, UnreadableError
from mfsynth.sample import ImageInfo, sample_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.coco.finding.files import Missing
    from mfsynth.coco.finding.trees import FileTree

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def list_pictures(pictures: FileTree, maps: FileTree) -> Listing:
    """The pictures of a folder, each with its depth map.

    Ids are the names, where all of them are different whole numbers, as COCO's are; else the pictures' places
    in the order of their names, from 1. A picture has the size of its depth map, which is read for it.

    Args:
        pictures: Where the pictures are.
        maps: Where the depth maps are.

    Raises:
        ChangedError: If a depth map changes while it is read.
    """
    found = [name for name in pictures.names() if _is_picture(name)]
    listed = [name for name in found if not names.fault(name)]
    strays = (
        Fault(exclusions.STRAY, f"{names.shown(name)} {wrong}")
        for name in found
        if (wrong := names.fault(name))
    )
    entries = (
        _entry(id, name, pictures, depth_map(maps, name))
        for id, name in zip(_ids(listed), listed, strict=True)
    )
    ordered = sorted(entries, key=lambda entry: sample_key(entry.image.id, 0))
    return Listing(tuple(ordered), (), tuple(strays), (), frozenset())


def as_text(listing: Listing) -> bytes:
    """What an annotation file would say, as JSON: ids, names and sizes."""
    images = (entry.image for entry in listing.entries)
    return json.dumps([(each.id, each.file_name, each.width, each.height) for each in images]).encode()


def _is_picture(name: str) -> bool:
    return splitext(name)[1].lower() in _PICTURES and not name.startswith(".")


def _ids(listed: Sequence[str]) -> list[int]:
    stems = [splitext(name)[0] for name in listed]
    if all(stem.isascii() and stem.isdigit() and len(stem) < 20 for stem in stems):
        ids = [int(stem) for stem in stems]
        if len(set(ids)) == len(ids) and max(ids, default=0) <= MAX_ID:
            return ids
    return list(range(1, len(listed) + 1))


def _entry(id: int, name: str, pictures: FileTree, depth: FileRef | Missing) -> Entry:
    height, width, fault = 0, 0, None
    if isinstance(depth, FileRef):
        try:
            height, width = gray_size(depth.read())
        except ChangedError:
            raise
        except (CodecError, SourceError) as error:
            told = str(error).replace(str(depth), depth.name)
            unreadable = isinstance(error, UnreadableError)
            reason = exclusions.UNREADABLE if unreadable else exclusions.DEPTH_BROKEN
            fault = Fault(reason, f"depth map {depth.name}: {told}")
    else:
        fault = Fault(exclusions.DEPTH_MISSING, str(depth))
    image = ImageInfo(id, name, width, height, 0, "", "")
    return Entry(image, pictures.find(name), fault=fault, depth=depth)
