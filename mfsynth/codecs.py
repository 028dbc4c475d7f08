"""Bytes to arrays and back: JPEG, PNG, and the PNG path where a build spends most of its time.

Arrays are RGB (or one channel); OpenCV's BGR does not leave this module.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pyspng
from isal import isal_zlib

from mfsynth.errors import MfsynthError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture

    Array = NDArray[np.uint8] | NDArray[np.uint16]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOR_TYPE = {1: 0, 3: 2}
_PNG_UP = 2
_ORIENTATION = (0x0112, 3)  # the tag, and its kind: two bytes
# Level 1 instead of 0: a tenth more time, a quarter less on disk. Higher levels cost more than they save.
_DEFLATE_LEVEL = 1

_JPEG_QUALITY = 95
_IMREAD_PICTURE = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


class CodecError(MfsynthError, ValueError):
    """Bytes that do not decode to the array they should hold."""


# --- JPEG -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers before a JPEG's first scan say.

    `orientation_at` is the offset of the EXIF orientation's value in the file (0 without one),
    `orientation_order` its byte order as `struct` spells it.
    """

    precision: int = 0
    components: int = 0
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
                break
            (length,) = struct.unpack_from(">H", data, at)
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
                found |= {"precision": data[at + 2], "components": data[at + 7]}
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


@dataclass(frozen=True, slots=True)
class ExifDirectory:
    """The first directory of EXIF data, which says how the picture is turned.

    Attributes:
        order: Byte order, as `struct` spells it.
        orientations: Offset of the orientation's two bytes; more than one if the tag is repeated.
        end: Offset after the last entry; beyond the data if the directory is cut short.
    """

    order: str
    orientations: tuple[int, ...]
    end: int


def exif_directory(exif: bytes) -> ExifDirectory | None:
    """The first directory of EXIF data, a TIFF structure; None if there is none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
    except struct.error:
        return None
    end = start + 2 + 12 * count
    entries = range(start + 2, min(end, len(exif) - 11), 12)
    found = [at for at in entries if struct.unpack_from(order + "HH", exif, at) == _ORIENTATION]
    return ExifDirectory(order, tuple(at + 8 for at in found), end)


def upright_jpeg(data: bytes, header: JpegHeader) -> bytes:
    """The same bytes with the orientation tag, if there is one, set to 1 ("as stored")."""
    if header.orientation == 1:
        return data
    at = header.orientation_at
    return data[:at] + struct.pack(header.orientation_order + "H", 1) + data[at + 2 :]


def decode_picture(data: bytes) -> Picture:
    """Decode any picture that OpenCV reads to H x W x 3, RGB, uint8, orientation tags ignored.

    Gray becomes three equal channels, 16 bits become their upper 8, palettes become colors, and alpha is
    dropped. A JPEG is decoded as libjpeg-turbo does it by default.

    Raises:
        CodecError: If the bytes are broken, cut short or of an unknown kind.
    """
    return _opencv_decode(data, _IMREAD_PICTURE)


def encode_jpeg(picture: Picture) -> bytes:
    """Encode H x W x 3, RGB, uint8 as JPEG of quality 95, 4:4:4."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _opencv_decode(data: bytes, flags: int) -> NDArray[np.uint8]:
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:  # such as too many pixels
        raise CodecError(f"OpenCV does not decode it: {error.err}") from error
    if array is None:
        raise CodecError("it is broken, cut short or not a picture" if data else "it is empty")
    return cast("NDArray[np.uint8]", array)


# --- PNG --------------------------------------------------------------------------------------------


def encode_png(array: Array) -> bytes:
    """Encode H x W (uint8 or uint16) or H x W x 3 (uint8) as PNG, the same bytes for the same pixels.

    Every row is stored as its difference from the row above ("up"), compressed by ISA-L: several times
    faster than libpng at a similar size. Equal bytes are promised only for one build of ISA-L and one family
    of processors; equal pixels always.
    """
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    rows = _filtered_rows(array.astype(array.dtype.newbyteorder(">"), copy=False).view(np.uint8), height)
    header = struct.pack(">IIBBBBB", width, height, 8 * array.itemsize, _PNG_COLOR_TYPE[channels], 0, 0, 0)
    return b"".join(
        (
            _PNG_SIGNATURE,
            *png_chunk(b"IHDR", header),
            *png_chunk(b"IDAT", isal_zlib.compress(rows, _DEFLATE_LEVEL)),
            *png_chunk(b"IEND", b""),
        )
    )


def _filtered_rows(array: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    flat = array.reshape(height, -1)
    rows = np.empty((height, 1 + flat.shape[1]), np.uint8)
    rows[:, 0] = _PNG_UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    return rows


def png_chunk(name: bytes, data: bytes) -> tuple[bytes, ...]:
    """A PNG chunk, as parts that can be joined: length, name, data, checksum."""
    crc = isal_zlib.crc32(data, isal_zlib.crc32(name))
    return struct.pack(">I", len(data)), name, data, struct.pack(">I", crc)


def decode_png(data: bytes) -> Array:
    """Decode a PNG to H x W (uint8 or uint16) or H x W x 3 (uint8, RGB).

    A PNG from `encode_png` is decoded directly; OpenCV decodes all others.

    Raises:
        CodecError: If the bytes are broken or cut short.
    """
    own = _decode_own_png(data)
    if own is not None:
        return own
    array = _opencv_decode(data, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if array.ndim == 3 else array  # type: ignore[return-value]


def _decode_own_png(data: bytes) -> Array | None:
    """The pixels of a PNG from `encode_png`; None for another program's PNG."""
    if data[:16] != _PNG_SIGNATURE + b"\0\0\0\rIHDR" or data[37:41] != b"IDAT" or len(data) < 57:
        return None
    width, height, depth, color, *rest = struct.unpack_from(">IIBBBBB", data, 16)
    (length,) = struct.unpack_from(">I", data, 33)
    if rest != [0, 0, 0] or 41 + length + 16 != len(data) or (depth, color) not in ((8, 0), (16, 0), (8, 2)):
        return None
    _check_crc(data, 12, 17)
    _check_crc(data, 37, 4 + length)
    stride = width * (3 if color == 2 else depth // 8)
    try:
        rows = np.frombuffer(isal_zlib.decompress(data[41 : 41 + length]), np.uint8)
    except isal_zlib.error as error:  # type: ignore[misc]
        raise CodecError(f"the PNG does not decompress: {error}") from error
    if rows.size != height * (1 + stride):
        raise CodecError(f"the PNG holds {rows.size} bytes, {width} x {height} need {height * (1 + stride)}")
    rows = rows.reshape(height, 1 + stride)
    if not (rows[:, 0] == _PNG_UP).all():
        return None
    pixels = np.add.accumulate(rows[:, 1:], axis=0, dtype=np.uint8)
    if depth == 16:
        return pixels.view(">u2").astype(np.uint16)
    return pixels.reshape(height, width, 3) if color == 2 else pixels


def _check_crc(data: bytes, start: int, length: int) -> None:
    stored = struct.unpack_from(">I", data, start + length)[0]
    if isal_zlib.crc32(data[start : start + length]) != stored:
        raise CodecError(f"the PNG's {data[start : start + 4].decode()} chunk has a wrong checksum")


def decode_ids(data: bytes) -> NDArray[np.uint32]:
    """Decode a panoptic PNG to its segment ids, H x W, uint32: R + 256 G + 65536 B.

    Raises:
        CodecError: If the bytes are not a PNG, are broken or cut short.
    """
    if data[:8] != _PNG_SIGNATURE:
        raise CodecError("it is empty" if not data else "it is not a PNG")
    if not data.endswith(b"IEND\xaeB`\x82"):
        raise CodecError("the PNG is cut short")
    try:
        rgba: NDArray[np.uint8] = pyspng.load(data, format="RGBA")
    except (RuntimeError, ValueError) as error:
        raise CodecError(f"the PNG does not decode: {error}") from error
    ids: NDArray[np.uint32] = rgba.view("<u4")[..., 0]
    return ids & np.uint32(0xFFFFFF)
