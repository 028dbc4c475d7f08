"""One image of a split, read and decoded: its bytes, picture and segments, common to all its variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfsynth import codecs
from mfsynth.coco import exclusions
from mfsynth.coco.segments import instance_segments, panoptic_segments
from mfsynth.errors import SourceError, UnusableImage

if TYPE_CHECKING:
    from mfsynth.coco.annotations import Entry
    from mfsynth.coco.files import FileRef
    from mfsynth.sample import Picture, SegmentInfo, SegmentMap


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An image, decoded; `data` is the picture's file (a JPEG's orientation tag set to 1)."""

    name: str
    data: bytes
    picture: Picture
    segments: SegmentMap
    infos: tuple[SegmentInfo, ...]


def read_image(entry: Entry) -> DecodedImage:
    """Read and decode an image's picture and mask.

    Raises:
        UnusableImage: If a file is missing or broken, or they do not fit together. The message names files by
            their path in the split: it goes into side files, which are the same wherever the data is.
    """
    name = entry.image.file_name
    data = _bytes(entry.picture, exclusions.PICTURE_MISSING, exclusions.PICTURE_BROKEN, name)
    try:
        data = _checked_jpeg(data, name) if codecs.is_jpeg(data) else data
        picture = codecs.decode_picture(data)
    except codecs.CodecError as error:
        raise UnusableImage(exclusions.PICTURE_BROKEN, f"{name}: {error}") from error
    size = (entry.image.height, entry.image.width)
    if picture.shape[:2] != size:
        raise UnusableImage(
            exclusions.SIZE,
            f"{name} is {picture.shape[1]} x {picture.shape[0]}, the annotations say {size[1]} x {size[0]}",
        )
    segments, infos = _segments(entry, size)
    return DecodedImage(name, data, picture, segments, infos)


def gt_member(image: DecodedImage, kind: str) -> bytes:
    """The ground truth's member: the file's own bytes for `jpg`, the picture encoded again for `png`.

    Raises:
        UnusableImage: If a JPEG is asked for and the file is not one, whatever its name says.
    """
    if kind == "png":
        return codecs.encode_png(image.picture)
    if not codecs.is_jpeg(image.data):
        raise UnusableImage(exclusions.PICTURE_KIND, f"{image.name} is named like a JPEG but is not one")
    return image.data


def _bytes(file: FileRef | None, missing: str, broken: str, name: str) -> bytes:
    if file is None:
        raise UnusableImage(missing, f"{name} is not there")
    try:
        return file.read()
    except SourceError as error:
        reason = exclusions.UNREADABLE if isinstance(error.__cause__, OSError) else broken
        raise UnusableImage(reason, str(error).replace(str(file), file.name)) from error


def _checked_jpeg(data: bytes, name: str) -> bytes:
    header = codecs.jpeg_header(data)
    if header.components == 4:
        raise UnusableImage(exclusions.CMYK, f"{name} has four channels (CMYK)")
    if header.precision != 8:
        raise UnusableImage(exclusions.DEPTH, f"{name} has {header.precision} bits per channel")
    return codecs.upright_jpeg(data, header)


def _segments(entry: Entry, size: tuple[int, int]) -> tuple[SegmentMap, tuple[SegmentInfo, ...]]:
    if entry.instances is not None:
        return instance_segments(entry.instances, size)
    name = f"the mask of image {entry.image.id}"
    mask = _bytes(entry.mask, exclusions.MASK_MISSING, exclusions.MASK_BROKEN, name)
    try:
        return panoptic_segments(mask, entry.segments or (), size)
    except UnusableImage as error:
        raise UnusableImage(error.reason, f"mask {entry.mask_name}: {error}") from error
