"""JPEG: its header and orientation, bytes to pixels and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import simplejpeg

from mfsynth import limits
from mfsynth.codecs.error import CodecError
from mfsynth.codecs.exif import exif_directory

if TYPE_CHECKING:
    from mfsynth.sample import Picture

_QUALITY = 95
_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers before a JPEG's first scan say; `scans` is whether more scans may follow.

    `orientation_at` is the offset of the EXIF orientation's value in the file (0 without one),
    `orientation_order` its byte order as `struct` spells it.
    """

    precision: int = 0
    components: int = 0
    scans: bool = False
    orientation: int = 1
    orientation_at: int = 0
    orientation_order: str = ">"


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG does."""
    return data[:3] == b"\xff\xd8\xff"


def jpeg_header(data: bytes) -> JpegHeader:
    """Read a JPEG's frame header and EXIF orientation.

    Raises:
        CodecError: If the markers end before the first scan, or there is no frame header.
    """
    found: dict[str, int | str] = {}
    at = 2
    try:
        while True:
            marker, at = _next_marker(data, at)
            if marker == 0xDA:  # start of scan
                found["scans"] = found.get("scans", 0) or data[at + 2] < int(found.get("components", 0))
                break
            (length,) = struct.unpack_from(">H", data, at)
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
                found |= {"precision": data[at + 2], "components": data[at + 7]}
                found["scans"] = marker & 3 == 2
            elif marker == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0" and "orientation" not in found:
                found |= _exif_orientation(data, at + 8, at + length)
            at += length
    except (IndexError, struct.error):
        raise CodecError("the JPEG ends before its first scan") from None
    if "precision" not in found:
        raise CodecError("the JPEG has no frame header")
    return JpegHeader(**found)  # type: ignore[arg-type]


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at or after an offset, fill bytes skipped, and the offset after it."""
    if data[at] != 0xFF:
        raise CodecError(f"the JPEG has no marker at byte {at}")
    while data[at] == 0xFF:
        at += 1
    return data[at], at + 1


def _exif_orientation(data: bytes, start: int, end: int) -> dict[str, int | str]:
    """The orientation in the EXIF between two offsets, if there is one."""
    directory = exif_directory(data[start:end])
    if directory is None or not directory.orientations:
        return {}
    at = start + directory.orientations[0]
    (value,) = struct.unpack_from(directory.order + "H", data, at)
    return {"orientation": value, "orientation_at": at, "orientation_order": directory.order}


def upright_jpeg(data: bytes, header: JpegHeader) -> bytes:
    """The same bytes with the orientation tag, if there is one, set to 1 ("as stored")."""
    if header.orientation == 1:
        return data
    at = header.orientation_at
    return data[:at] + struct.pack(header.orientation_order + "H", 1) + data[at + 2 :]


def decode_jpeg(data: bytes) -> Picture:
    """Decode a JPEG to H x W x 3, RGB, uint8, as libjpeg-turbo does it by default, orientation tags ignored.

    Whatever the decoder warns of counts as damage, even where it would go on with a guess.

    Raises:
        CodecError: If the bytes are damaged or cut short.
    """
    if jpeg_header(data).scans and data.count(_SCAN) > limits.JPEG_SCANS:
        raise CodecError(f"the JPEG has more than {limits.JPEG_SCANS} scans")
    try:
        picture: Picture = simplejpeg.decode_jpeg(data, strict=True)
    except ValueError as error:
        raise CodecError(_damage(str(error))) from error
    return picture


def _damage(warning: str) -> str:
    """What is wrong with a JPEG that has a header, by libjpeg-turbo's first warning."""
    if "subsampling level" in warning:
        return "the JPEG's size or color sampling is one that libjpeg-turbo does not take: save it as 4:4:4"
    return f"the JPEG is damaged: {warning.removeprefix('Corrupt JPEG data: ')}"


def encode_jpeg(picture: Picture) -> bytes:
    """Encode H x W x 3, RGB, uint8 as JPEG of quality 95, 4:4:4."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()
