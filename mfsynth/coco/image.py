"""One image of a split, read and decoded: its bytes, picture and segments, common to all its variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mfsynth import codecs
from mfsynth.coco import exclusions, notes
from mfsynth.coco.finding.files import Missing
from mfsynth.coco.masks.depth import depth_segments
from mfsynth.coco.masks.segments import instance_segments, panoptic_segments
from mfsynth.coco.orientation import Orientation, turn_of
from mfsynth.codecs import kinds
from mfsynth.errors import ChangedError, SourceError, UnreadableError, UnusableImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mfsynth.coco.annotations.entries import Entry
    from mfsynth.coco.finding.files import FileRef
    from mfsynth.coco.masks.depth import DepthCut
    from mfsynth.sample import Picture, SegmentInfo, SegmentMap

_JPEG_NAMES = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An image, decoded.

    Attributes:
        name: The picture's file name.
        data: Its file, a JPEG's orientation tags set to 1; what was encoded of it if it was turned and the
            ground truth is JPEG.
        picture: H x W x 3, RGB, uint8.
        segments: H x W.
        infos: What each segment is.
        notes: Codes from `mfsynth.coco.notes`.
    """

    name: str
    data: bytes
    picture: Picture
    segments: SegmentMap
    infos: tuple[SegmentInfo, ...]
    notes: tuple[str, ...] = ()


def gt_kind(entries: Iterable[Entry]) -> Literal["jpg", "png"]:
    """The kind of the ground truth's members: `jpg` if every picture is named like a JPEG, else `png`."""
    names = (entry.image.file_name.lower() for entry in entries)
    return "jpg" if all(name.endswith(_JPEG_NAMES) for name in names) else "png"


def read_image(
    entry: Entry, orientation: Orientation = "auto", gt: str = "jpg", cut: DepthCut | None = None
) -> DecodedImage:
    """Read and decode an image's picture and its mask or depth map.

    Args:
        entry: Which.
        orientation: Whether a picture with an orientation tag is turned upright.
        gt: The kind of ground truth that it becomes: `jpg` or `png`.
        cut: How a depth map is cut into layers; needed where there is one.

    Raises:
        UnusableImage: If a file is missing or broken, or they do not fit together. The message names files by
            their path in the split: it goes into side files, which are the same wherever the data is.
        ChangedError: If a file is no longer the one that was found.
    """
    name = entry.image.file_name
    file = _bytes(entry.picture, exclusions.PICTURE_MISSING, exclusions.PICTURE_BROKEN)
    try:
        _check_kind(file, name, gt)
        tag = codecs.orientation_of(file)
        turn = turn_of(entry.image, codecs.picture_size(file), tag, orientation)
        data, picture = _decoded(file, turn, gt)
        noted = tuple(_notes(file, tag, turn))
    except codecs.CodecError as error:
        raise UnusableImage(exclusions.PICTURE_BROKEN, f"{name}: {error}") from error
    size = (entry.image.height, entry.image.width)
    if picture.shape[:2] != size:
        raise UnusableImage(exclusions.SIZE, f"{name} does not have the size that its own header gives")
    segments, infos = _layers(entry.depth, cut, size) if entry.depth and cut else _segments(entry, size)
    return DecodedImage(name, data, picture, segments, infos, noted)


def gt_member(image: DecodedImage, kind: str) -> bytes:
    """The ground truth's member: the file's own bytes for `jpg`, the picture encoded again for `png`."""
    return codecs.encode_png(image.picture) if kind == "png" else image.data


def _check_kind(data: bytes, name: str, gt: str) -> None:
    kind = codecs.kind_of(data)
    if kind in kinds.NOTHING:
        raise UnusableImage(exclusions.PICTURE_BROKEN, f"{name} is {kind}")
    if kind not in kinds.PICTURES:
        told = f"{name} is {kind}; mfsynth reads JPEG, PNG, WebP and BMP: {kinds.remedy(kind)}"
        raise UnusableImage(exclusions.PICTURE_KIND, told)
    if kind == kinds.JPEG:
        header = codecs.jpeg_header(data)
        if header.components == 4:
            raise UnusableImage(exclusions.CMYK, f"{name} has four channels (CMYK)")
        if header.precision != 8:
            raise UnusableImage(exclusions.DEPTH, f"{name} has {header.precision} bits per channel")
    elif gt == "jpg":
        told = f"{name} is {kind} by its content: rename it, in the annotations too, or convert it to JPEG"
        raise UnusableImage(exclusions.PICTURE_KIND, told)


def _notes(data: bytes, tag: int, turn: int) -> Iterator[str]:
    if tag != 1:
        yield notes.STORED if turn == 1 else notes.UPRIGHT
    if codecs.is_transparent(data):
        yield notes.TRANSPARENT
    if codecs.is_jpeg(data) and codecs.jpeg_header(data).pictures:
        yield notes.SEVERAL


def _decoded(data: bytes, turn: int, gt: str) -> tuple[bytes, Picture]:
    """The picture's file, which any reader shows as stored, and its pixels; turned from an orientation."""
    data = codecs.neutral_jpeg(data) if codecs.is_jpeg(data) else data
    picture = codecs.decode_picture(data)
    if turn == 1:
        return data, picture
    picture = codecs.turned(picture, turn)
    if gt == "png":
        return data, picture
    data = codecs.encode_jpeg(picture)
    return data, codecs.decode_jpeg(data)  # the frames are made of what the ground truth shows


def _bytes(file: FileRef | Missing, missing: str, broken: str) -> bytes:
    if isinstance(file, Missing):
        raise UnusableImage(missing, str(file))
    try:
        return file.read()
    except ChangedError:  # no fact about the image: what was planned is not what is there
        raise
    except SourceError as error:
        reason = exclusions.UNREADABLE if isinstance(error, UnreadableError) else broken
        raise UnusableImage(reason, str(error).replace(str(file), file.name)) from error


def _layers(
    depth: FileRef | Missing, cut: DepthCut, size: tuple[int, int]
) -> tuple[SegmentMap, tuple[SegmentInfo, ...]]:
    data = _bytes(depth, exclusions.DEPTH_MISSING, exclusions.DEPTH_BROKEN)
    try:
        return depth_segments(data, cut, size)
    except UnusableImage as error:
        raise UnusableImage(error.reason, f"depth map {depth.name}: {error}") from error


def _segments(entry: Entry, size: tuple[int, int]) -> tuple[SegmentMap, tuple[SegmentInfo, ...]]:
    if entry.instances is not None:
        return instance_segments(entry.instances, size)
    listed = entry.mask or Missing(entry.mask_name, "is not listed")
    mask = _bytes(listed, exclusions.MASK_MISSING, exclusions.MASK_BROKEN)
    kind = codecs.kind_of(mask)
    if kind != kinds.PNG and kind not in kinds.NOTHING:
        told = f"mask {entry.mask_name} is {kind}; masks are PNGs, which keep every segment's id"
        raise UnusableImage(exclusions.MASK_BROKEN, told)
    try:
        return panoptic_segments(mask, entry.segments or (), size)
    except UnusableImage as error:
        raise UnusableImage(error.reason, f"mask {entry.mask_name}: {error}") from error
