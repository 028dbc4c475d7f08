"""PNG, where a build spends most of its time: written by our own filter and ISA-L, read back directly."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyspng
from isal import isal_zlib

from mfsynth.codecs.error import CodecError
from mfsynth.codecs.picture import opencv_decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.uint8] | NDArray[np.uint16]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOR_TYPE = {1: 0, 3: 2}
_PNG_UP = 2
# Level 1 instead of 0: a tenth more time, a quarter less on disk. Higher levels cost more than they save.
_DEFLATE_LEVEL = 1


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
            *png_chunk(b"IDAT", _deflated(rows.data.cast("B"))),
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


def _deflated(rows: memoryview) -> bytes:
    """A zlib stream: its first byte as it is, the rest compressed with that byte as history.

    Where a stream starts without history, ISA-L's levels 1 and 2 on x86 hash a register that they never set
    (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm): the same rows give other bytes in some processes. A
    stream that starts with a dictionary never gets there. Here the dictionary is the byte before, which
    a decoder has, too; the rest of ISA-L's state is set before it is read.
    """
    compressor = isal_zlib.compressobj(_DEFLATE_LEVEL, wbits=-isal_zlib.MAX_WBITS, zdict=rows[:1])
    return b"".join(
        (
            b"\x78\x01",  # zlib, a window of 32 KiB
            b"\x00\x01\x00\xfe\xff",  # a stored block of one byte
            rows[:1],
            compressor.compress(rows[1:]),
            compressor.flush(),
            struct.pack(">I", isal_zlib.adler32(rows)),
        )
    )


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
    array = opencv_decode(data, cv2.IMREAD_UNCHANGED)
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
