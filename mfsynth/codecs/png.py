"""PNG, where a build spends most of its time: our own filter and ISA-L write it, ISA-L and libspng read most.

What is read is checked first: the declared size, every checksum, and that it inflates to what it declares.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import cv2
import numpy as np
import pyspng
from isal import igzip_lib, isal_zlib

from mfsynth.codecs.error import CodecError
from mfsynth.codecs.opencv import opencv_decode
from mfsynth.limits import PICTURE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.uint8] | NDArray[np.uint16]

Form = Literal["L", "RGB", "RGBA"]
Data = TypeVar("Data", bound="bytes | memoryview")

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
_COLORS = {GRAY: "gray", RGB: "RGB", PALETTE: "palette", GRAY_ALPHA: "gray and alpha", RGBA: "RGBA"}
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {GRAY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8), RGB: (8, 16), GRAY_ALPHA: (8, 16), RGBA: (8, 16)}
# Column and row where each pass of an interlaced PNG starts, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_FORMS: dict[tuple[int, int], Form] = {(8, GRAY): "L", (8, RGB): "RGB"}  # by depth and color
_DECODER = "pyspng: could not decode image: "
_UP = 2
_ZLIB = b"\x78\x01"  # how a zlib stream begins that has a window of 32 KiB and no dictionary
# Level 1 instead of 0: a tenth more time, a quarter less on disk. Higher levels cost more than they save.
_DEFLATE_LEVEL = 1


# --- writing ------------------------------------------------------------------------------------------


def encode_png(array: Array) -> bytes:
    """Encode H x W (uint8 or uint16) or H x W x 3 (uint8) as PNG, the same bytes for the same pixels.

    Every row is stored as its difference from the row above ("up"), compressed by ISA-L: several times
    faster than libpng at a similar size. Equal bytes are promised only for one build of ISA-L and one family
    of processors; equal pixels always.
    """
    height, width = array.shape[:2]
    color = {1: GRAY, 3: RGB}[array.shape[2] if array.ndim == 3 else 1]
    rows = _filtered_rows(array.astype(array.dtype.newbyteorder(">"), copy=False).view(np.uint8), height)
    header = PngHeader(width, height, 8 * array.itemsize, color)
    return join_png(header, *_deflated(rows.data.cast("B")))


def _filtered_rows(array: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    flat = array.reshape(height, -1)
    rows = np.empty((height, 1 + flat.shape[1]), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    return rows


def _deflated(rows: memoryview) -> tuple[bytes | memoryview, ...]:
    """A zlib stream: its first byte as it is, the rest compressed with that byte as history.

    Where a stream starts without history, ISA-L's levels 1 and 2 on x86 hash a register that they never set
    (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm): the same rows give other bytes in some processes. A
    stream that starts with a dictionary never gets there. Here the dictionary is the byte before, which
    a decoder has, too; the rest of ISA-L's state is set before it is read.
    """
    compressor = isal_zlib.compressobj(_DEFLATE_LEVEL, wbits=-isal_zlib.MAX_WBITS, zdict=rows[:1])
    return (
        _ZLIB,
        *_stored(rows[:1]),
        compressor.compress(rows[1:]),
        compressor.flush(),
        struct.pack(">I", isal_zlib.adler32(rows)),
    )


def _stored(data: bytes | memoryview, *, last: bool = False) -> tuple[bytes, bytes | memoryview]:
    """A block of a zlib stream that holds its data as they are, up to 65,535 bytes."""
    return struct.pack("<BHH", last, len(data), 0xFFFF - len(data)), data


def join_png(header: PngHeader, *stream: bytes | memoryview) -> bytes:
    """A PNG of a header and the zlib stream that belongs to it, which may come in parts."""
    fields = (header.width, header.height, header.depth, header.color, 0, 0, header.interlaced)
    return b"".join(
        (
            _SIGNATURE,
            *png_chunk(b"IHDR", struct.pack(">IIBBBBB", *fields)),
            *png_chunk(b"IDAT", *stream),
            *png_chunk(b"IEND"),
        )
    )


def png_chunk(name: bytes, *data: Data) -> tuple[bytes | Data, ...]:
    """A PNG chunk, as parts that can be joined: length, name, data (in parts, too), checksum."""
    crc = isal_zlib.crc32(name)
    for part in data:
        crc = isal_zlib.crc32(part, crc)
    return struct.pack(">I", sum(map(len, data))), name, *data, struct.pack(">I", crc)


# --- what a PNG says about itself ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PngHeader:
    """What a PNG's first chunk says.

    Attributes:
        width: In pixels.
        height: In pixels.
        depth: Bits per sample: 1, 2, 4, 8 or 16.
        color: GRAY, RGB, PALETTE, GRAY_ALPHA or RGBA.
        interlaced: Whether its pixels come in seven passes.
    """

    width: int
    height: int
    depth: int
    color: int
    interlaced: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def kind(self) -> str:
        """In words, such as "an 8-bit palette PNG"."""
        return f"{'an' if self.depth == 8 else 'a'} {self.depth}-bit {_COLORS[self.color]} PNG"

    @property
    def inflated(self) -> int:
        """Bytes of its rows, filter bytes included."""
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        sizes = (
            (-(-(self.width - left) // across), -(-(self.height - top) // down))
            for left, top, across, down in passes
        )
        bits = self.depth * _CHANNELS[self.color]
        return sum(
            rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0
        )


@dataclass(frozen=True, slots=True)
class PngFile:
    """A PNG's chunks, as far as they decide its pixels, with their checksums verified.

    Attributes:
        header: What the first chunk says.
        palette: Three bytes per color; empty without one.
        stream: The compressed rows.
    """

    header: PngHeader
    palette: bytes
    stream: bytes | memoryview


def png_header(data: bytes) -> PngHeader:
    """Read a PNG's header; nothing else is looked at.

    Raises:
        CodecError: If the bytes do not begin as a PNG does.
    """
    if data[:8] != _SIGNATURE:
        raise CodecError("it is not a PNG" if data else "it is empty")
    if len(data) < 33:
        raise CodecError("the PNG is cut short")
    if data[8:16] != b"\0\0\0\rIHDR":
        raise CodecError("the PNG does not begin with a header")
    _check_crc(memoryview(data), 12, 17)
    width, height, depth, color, compression, filters, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if not 0 < width < 1 << 31 or not 0 < height < 1 << 31:
        raise CodecError(f"the PNG says that it is {width} x {height}")
    if depth not in _DEPTHS.get(color, ()) or compression or filters or interlace > 1:
        raise CodecError("the PNG has a header that the format does not allow")
    return PngHeader(width, height, depth, color, bool(interlace))


def read_png(data: bytes, size: tuple[int, int] | None = None) -> PngFile:
    """Take a PNG apart: the size is compared first, then every critical chunk's checksum.

    What stands after its last chunk is ignored.

    Args:
        data: The file's bytes.
        size: Height and width that it should have; None allows up to `limits.PICTURE_PIXELS`.

    Raises:
        CodecError: If it has another size, or is broken or cut short.
    """
    header = png_header(data)
    if size is not None and header.size != tuple(size):
        raise CodecError(f"the PNG is {header.width} x {header.height}, not {size[1]} x {size[0]}")
    if header.width * header.height > PICTURE_PIXELS:
        raise CodecError(
            f"the PNG is {header.width} x {header.height}; at most {PICTURE_PIXELS:,} pixels are read"
        )
    palette, parts = b"", []
    for name, content in _chunks(memoryview(data)):
        if name == b"PLTE":
            palette = bytes(content)
        elif name == b"IDAT":
            parts.append(content)
    return PngFile(header, palette, parts[0] if len(parts) == 1 else b"".join(parts))


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk up to the last; critical ones are checked."""
    at, name = 8, b""
    while name != b"IEND":
        if len(data) < at + 12:
            raise CodecError("the PNG is cut short")
        length, name = struct.unpack_from(">I4s", data, at)
        if len(data) < at + 12 + length:
            raise CodecError("the PNG is cut short")
        if not name[0] & 0x20:  # an upper-case letter: nothing decodes without this chunk
            if name not in _CRITICAL:
                raise CodecError(f"the PNG has an unknown critical chunk, {name!r}")
            _check_crc(data, at + 4, 4 + length)
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _check_crc(data: memoryview, start: int, length: int) -> None:
    (stored,) = struct.unpack_from(">I", data, start + length)
    if isal_zlib.crc32(data[start : start + length]) != stored:
        raise CodecError(f"the PNG's {bytes(data[start : start + 4]).decode()} chunk has a wrong checksum")


def inflate(png: PngFile, most: int) -> list[bytes]:
    """The rows of a PNG, filter bytes included, with their Adler-32 verified.

    Never more is inflated than the header declares, and nothing is allocated far ahead of what is inflated.

    Args:
        png: From `read_png`.
        most: Bytes of each part that is returned.

    Raises:
        CodecError: If they do not inflate, or to another amount than the header declares.
    """
    declared, total, parts = png.header.inflated, 0, []
    decompressor, stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB), png.stream
    while not decompressor.eof:
        try:
            part: bytes = decompressor.decompress(stream, min(most, declared + 1 - total))
        except igzip_lib.error as error:  # type: ignore[misc]
            raise CodecError(f"the PNG does not decompress: {error}") from error
        total += len(part)
        if total > declared:
            raise CodecError(f"the PNG inflates to more than the {declared} bytes that it declares")
        if not part:
            break
        parts.append(part)
        stream = b""  # the decompressor keeps the rest
    if total < declared or not decompressor.eof:
        raise CodecError(f"the PNG's pixels are cut short: {total} of {declared} bytes")
    return parts


def pixels_of(png: PngFile, form: Form) -> NDArray[np.uint8]:
    """The pixels of a PNG of 8 bits per sample: inflated by ISA-L, verified, and unfiltered by libspng.

    Args:
        png: From `read_png`.
        form: What is returned, as pyspng names it.

    Returns:
        H x W or H x W x C, uint8.

    Raises:
        CodecError: If it does not inflate, or to another amount than the header declares, or has a row whose
            filter does not exist.
    """
    stored = _stored_png(png)
    try:
        pixels: NDArray[np.uint8] = pyspng.load(stored, format=form)
    except (RuntimeError, ValueError) as error:
        raise CodecError(f"the PNG does not decode: {str(error).removeprefix(_DECODER)}") from error
    return pixels


def _stored_png(png: PngFile) -> bytes:
    """The same PNG, verified, its rows stored as they are; without the Adler-32, which libspng ignores."""
    blocks = [part for rows in inflate(png, 0xFFFF) for part in _stored(rows)]
    return join_png(png.header, _ZLIB, *blocks, *_stored(b"", last=True), bytes(4))


# --- reading ------------------------------------------------------------------------------------------


def decode_png(data: bytes, size: tuple[int, int] | None = None) -> Array:
    """Decode a PNG to H x W (uint8 or uint16) or H x W x 3 (uint8, RGB).

    libspng unfilters gray and RGB of 8 bits; OpenCV decodes all others.

    Args:
        data: The file's bytes.
        size: Height and width that it should have; None allows up to `limits.PICTURE_PIXELS`.

    Raises:
        CodecError: If it has another size, or is broken or cut short. Another size is noticed before anything
            is decoded.
    """
    png = read_png(data, size)
    form = _FORMS.get((png.header.depth, png.header.color))
    if form:
        return pixels_of(png, form)
    inflate(png, 0xFFFF)  # for its checks
    array = opencv_decode(data, cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if array.ndim == 3 else array  # type: ignore[return-value]
