"""JPEG: its header and metadata, bytes to pixels and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import simplejpeg

from mfsynth import limits
from mfsynth.codecs.error import CodecError
from mfsynth.codecs.exif import exif_orientation, neutral_exif, neutral_xmp, xmp_orientation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mfsynth.sample import Picture

    Span = tuple[int, int]

_QUALITY = 95
_SCAN = b"\xff\xda"
_EXIF = b"Exif\0"  # a byte of padding follows
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_MORE_XMP_HEAD = 40  # which XMP it extends, its length, and where this piece goes


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers before a JPEG's first scan say.

    Attributes:
        precision: Bits per channel.
        height, width: In pixels.
        components: Number of channels.
        scans: Whether more scans may follow.
        pictures: Whether more pictures follow, as in an MPO.
        exif, xmp, more_xmp: From where to where in the file each piece of metadata goes.
    """

    precision: int
    height: int
    width: int
    components: int
    scans: bool
    pictures: bool = False
    exif: list[Span] = field(default_factory=list)
    xmp: list[Span] = field(default_factory=list)
    more_xmp: list[Span] = field(default_factory=list)


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG does."""
    return data[:3] == b"\xff\xd8\xff"


def jpeg_header(data: bytes) -> JpegHeader:
    """Read a JPEG's frame header, and find its metadata.

    Raises:
        CodecError: If the markers end before the first scan, or there is no frame header.
    """
    frame = None
    pictures, exif, xmp, more_xmp = False, [], [], []
    try:
        for marker, start, end in _segments(data):
            if marker == 0xDA:
                scan = data[start]
            elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                frame = (marker, *struct.unpack_from(">BHHB", data, start))
            elif marker == 0xE1 and data.startswith(_EXIF, start):
                exif.append((start + len(_EXIF) + 1, end))
            elif marker == 0xE1 and data.startswith(_XMP, start):
                xmp.append((start + len(_XMP), end))
            elif marker == 0xE1 and data.startswith(_MORE_XMP, start):
                more_xmp.append((start + len(_MORE_XMP) + _MORE_XMP_HEAD, end))
            elif marker == 0xE2 and data.startswith(b"MPF\0", start):
                pictures = True
    except (IndexError, struct.error):
        raise CodecError("the JPEG ends before its first scan") from None
    if frame is None:
        raise CodecError("the JPEG has no frame header")
    kind, precision, height, width, components = frame
    scans = kind & 3 == 2 or scan < components  # progressive, or not interleaved
    return JpegHeader(precision, height, width, components, scans, pictures, exif, xmp, more_xmp)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment up to the first scan's own, which is the last.

    Raises:
        CodecError: If there is something else between them.
        IndexError, struct.error: If the data ends before.
    """
    at, marker = 2, 0
    while marker != 0xDA:
        if data[at] != 0xFF:
            raise CodecError(f"the JPEG has no marker at byte {at}")
        while data[at] == 0xFF:  # fill bytes
            at += 1
        marker = data[at]
        (length,) = struct.unpack_from(">H", data, at + 1)
        yield marker, at + 3, min(at + 1 + length, len(data))
        at += 1 + length


def jpeg_orientation(data: bytes) -> int:
    """How the picture is turned, by its EXIF, else its XMP: 1 to 8; 1 ("as stored") if neither says.

    Raises:
        CodecError: If the markers before the first scan are broken.
    """
    header = jpeg_header(data)
    exif = (exif_orientation(data[start:end]) for start, end in header.exif)
    xmp = (xmp_orientation(data[start:end]) for start, end in (*header.xmp, *header.more_xmp))
    return next(filter(None, (*exif, *xmp)), 1)


def neutral_jpeg(data: bytes) -> bytes:
    """The same bytes with every orientation, in EXIF and XMP, set to 1 ("as stored"): all readers agree.

    Raises:
        CodecError: If the markers before the first scan are broken.
    """
    header = jpeg_header(data)
    if not (header.exif or header.xmp or header.more_xmp):
        return data
    changed = bytearray(data)
    _rewrite(changed, header.exif, neutral_exif)  # some readers join them
    for span in header.exif:
        _rewrite(changed, [span], neutral_exif)
    for span in header.xmp:
        _rewrite(changed, [span], neutral_xmp)
    _rewrite(changed, header.more_xmp, neutral_xmp)
    return bytes(changed)


def _rewrite(data: bytearray, spans: Sequence[Span], change: Callable[[bytes], bytes]) -> None:
    """Change spans, read as one, in place."""
    changed, at = change(b"".join(data[start:end] for start, end in spans)), 0
    for start, end in spans:
        data[start:end] = changed[at : at + end - start]
        at += end - start


def decode_jpeg(data: bytes, size: tuple[int, int] | None = None) -> Picture:
    """Decode a JPEG to H x W x 3, RGB, uint8, as libjpeg-turbo does it by default, orientation tags ignored.

    Whatever the decoder warns of counts as damage, even where it would go on with a guess.

    Args:
        data: The file's bytes.
        size: Height and width that it should have; None allows up to `limits.PICTURE_PIXELS`.

    Raises:
        CodecError: If it has another size, or no pixels, or too many of them or too many scans, which is
            noticed before anything is decoded; or if it is damaged or cut short.
    """
    header = jpeg_header(data)
    if size is not None and (header.height, header.width) != tuple(size):
        raise CodecError(f"the JPEG is {header.width} x {header.height}, not {size[1]} x {size[0]}")
    if header.height < 1 or header.width < 1:
        raise CodecError(f"it is a JPEG that says it is {header.width} x {header.height}")
    if header.height * header.width > limits.PICTURE_PIXELS:
        raise CodecError(
            f"it is {header.width} x {header.height}, more than {limits.PICTURE_PIXELS:,} pixels"
        )
    if header.scans and data.count(_SCAN) > limits.JPEG_SCANS:
        raise CodecError(f"the JPEG has more than {limits.JPEG_SCANS} scans")
    try:
        picture: Picture = simplejpeg.decode_jpeg(data, strict=True)
    except ValueError as error:
        raise CodecError(_damage(str(error))) from error
    return picture


def _damage(warning: str) -> str:
    """What is wrong with a JPEG that has a header, by libjpeg-turbo's first warning."""
    if "subsampling level" in warning:
        return "libjpeg-turbo does not support the JPEG's size or color sampling: save it as 4:4:4"
    return f"the JPEG is damaged: {warning.removeprefix('Corrupt JPEG data: ')}"


def encode_jpeg(picture: Picture) -> bytes:
    """Encode H x W x 3, RGB, uint8 as JPEG of quality 95, 4:4:4.

    Raises:
        CodecError: If a side is longer than `limits.JPEG_SIDE`.
    """
    if max(picture.shape[:2]) > limits.JPEG_SIDE:
        height, width = picture.shape[:2]
        raise CodecError(f"it is {width} x {height}, and no side of a JPEG can exceed {limits.JPEG_SIDE:,}")
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()
