"""Gray TIFFs, as depth maps are: one picture of 8 or 16 bits, in strips.

OpenCV goes on where a strip is damaged, and writes libtiff's complaints to the terminal. Here every strip
must give its rows. A TIFF has no checksum, though: only deflate brings its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from isal import isal_zlib

from mfsynth.codecs.error import CodecError
from mfsynth.limits import PICTURE_PIXELS, TIFF_STRIPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mfsynth.codecs.png import Array

_ENTRY = 12
_SLACK = 1024
_NUMBERS = {1: "B", 3: "H", 4: "I"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_OFFSETS, _ORIENTATION, _CHANNELS, _ROWS, _COUNTS, _PREDICTOR = 273, 274, 277, 278, 279, 317
_TILE_WIDTH, _FORMAT = 322, 339
_TAGS = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _OFFSETS, _ORIENTATION, _CHANNELS,
         _ROWS, _COUNTS, _PREDICTOR, _TILE_WIDTH, _FORMAT)  # fmt: skip
_AS_GRAY = "store it as gray with 8 or 16 bits, as a PNG or a TIFF"
_ONLY = {
    _CHANNELS: ((1,), "has several channels"),
    _FORMAT: ((1,), "holds signed or floating-point numbers"),
    _BITS: ((8, 16), "has neither 8 nor 16 bits"),
    _PHOTOMETRIC: ((1,), "is not gray with 0 for black"),
    _COMPRESSION: ((1, 5, 8, 32946, 32773), "is compressed by a method other than LZW, deflate or PackBits"),
    _PREDICTOR: ((1, 2), "has a predictor for floating-point numbers"),
    _FILL_ORDER: ((1,), "has its bits in reverse order"),
    _ORIENTATION: ((1,), "has an orientation tag"),
    _TILE_WIDTH: ((0,), "is stored in tiles"),
}
"""The values of a tag that are read, and what is said of any other."""
_DEFAULTS = {_BITS: 1, _COMPRESSION: 1, _ROWS: 0xFFFFFFFF, _TILE_WIDTH: 0}
"""What a tag means where it is absent; 1 for others."""


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What the directory of a gray TIFF says.

    Attributes:
        height, width: In pixels.
        depth: Bits per pixel: 8 or 16.
        order: Byte order, as NumPy spells it.
        compression: 1 (none), 5 (LZW), 8 or 32946 (deflate), 32773 (PackBits).
        differences: Whether each pixel is stored as its difference from the one to the left.
        rows: Rows of a strip.
        strips: Where in the file each strip is: its start and length.
    """

    height: int
    width: int
    depth: int
    order: str
    compression: int
    differences: bool
    rows: int
    strips: tuple[tuple[int, int], ...]


def tiff_header(data: bytes) -> TiffHeader:
    """Read the directory of a gray TIFF; no pixel is looked at.

    Raises:
        CodecError: If the bytes are not a TIFF, are cut short, or are a TIFF of a kind that is not read.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise CodecError("it is not a TIFF" if data else "it is empty")
    try:
        tags = _directory(data, order)
    except struct.error as error:
        raise CodecError("the TIFF is cut short") from error
    first = {tag: values[0] for tag, values in tags.items() if values}
    height, width = first.get(_HEIGHT, 0), first.get(_WIDTH, 0)
    if height < 1 or width < 1 or height * width > PICTURE_PIXELS:
        raise CodecError(f"the TIFF is {width} x {height}; 1 to {PICTURE_PIXELS:,} pixels are read")
    for tag, (values, fault) in _ONLY.items():
        if first.get(tag, _DEFAULTS.get(tag, 1)) not in values:
            raise CodecError(f"the TIFF {fault}", _AS_GRAY)
    rows = min(height, first.get(_ROWS, _DEFAULTS[_ROWS]))
    starts, lengths = tags.get(_OFFSETS, ()), tags.get(_COUNTS, ())
    if rows < 1 or not len(starts) == len(lengths) == -(-height // rows):
        raise CodecError("the TIFF does not say where its rows are")
    strips = tuple(zip(starts, lengths, strict=True))
    if any(start + length > len(data) for start, length in strips):
        raise CodecError("the TIFF is cut short")
    if sum(lengths) > len(data):
        raise CodecError("the TIFF has strips that overlap")
    return TiffHeader(
        height,
        width,
        first[_BITS],
        order,
        first.get(_COMPRESSION, 1),
        first.get(_PREDICTOR, 1) == 2,
        rows,
        strips,
    )


def _directory(data: bytes, order: str) -> Mapping[int, tuple[int, ...]]:
    """The whole numbers of each tag that matters, from the only directory.

    Raises:
        struct.error: If the data ends before.
        CodecError: If there are more directories, each with a picture of its own.
    """
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    (more,) = struct.unpack_from(f"{order}I", data, start + 2 + _ENTRY * count)
    if more:
        raise CodecError("the TIFF holds several pictures", "store the depth map in a file of its own")
    tags = {}
    for at in range(start + 2, start + 2 + _ENTRY * count, _ENTRY):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, at)
        if number > TIFF_STRIPS and tag in (_OFFSETS, _COUNTS):
            raise CodecError(f"the TIFF has {number:,} strips, at most {TIFF_STRIPS:,} are read")
        if tag in _TAGS and kind in _NUMBERS:
            number = min(number, TIFF_STRIPS)
            form = f"{order}{number}{_NUMBERS[kind]}"
            inside = struct.calcsize(form) <= 4
            place = at + 8 if inside else struct.unpack_from(f"{order}I", data, at + 8)[0]
            tags[tag] = struct.unpack_from(form, data, place)
    return tags


def decode_tiff(data: bytes, size: tuple[int, int] | None = None) -> Array:
    """Decode a gray TIFF to H x W, uint8 or uint16.

    Args:
        data: The file's bytes.
        size: Height and width that it should have; None allows up to `limits.PICTURE_PIXELS`. Another size is
            noticed before anything is decoded.

    Raises:
        CodecError: If it has another size, is broken or cut short, or of a kind that is not read.
    """
    header = tiff_header(data)
    if size is not None and (header.height, header.width) != tuple(size):
        raise CodecError(f"the TIFF is {header.width} x {header.height}, not {size[1]} x {size[0]}")
    kind = np.dtype(f"{header.order}u{header.depth // 8}")
    row = header.width * kind.itemsize
    left, parts = header.height, []
    for start, length in header.strips:
        most, needed = header.rows * row, min(header.rows, left) * row
        strip = data[start : start + min(length, 2 * most + _SLACK)]  # no method makes them larger
        part = _DECODERS[header.compression](strip, most)
        if len(part) < needed:
            raise CodecError("the TIFF is damaged: a strip of it has too few pixels")
        parts.append(part[:needed])
        left -= header.rows
    pixels = np.frombuffer(b"".join(parts), kind).reshape(header.height, header.width)
    native: Array = pixels.astype(kind.newbyteorder("="), copy=False)
    return np.add.accumulate(native, axis=1, dtype=native.dtype) if header.differences else native


# --- a strip's bytes, at most so many -----------------------------------------------------------------


def _stored(strip: bytes, most: int) -> bytes:
    return strip[:most]


def _deflate(strip: bytes, most: int) -> bytes:
    decompressor = isal_zlib.decompressobj()
    try:
        found = decompressor.decompress(strip, most + 1)
    except isal_zlib.error as error:  # type: ignore[misc]
        raise CodecError(f"the TIFF does not decompress: {error}") from error
    if not decompressor.eof:
        raise CodecError("the TIFF is damaged: a strip of it does not end where it should")
    return bytes(found)


def _packbits(strip: bytes, most: int) -> bytes:
    """PackBits: a count, then that many bytes; or the same byte, as often as 257 minus the count."""
    parts, at, size = [], 0, 0
    while at + 1 < len(strip) and size < most:
        count = strip[at]
        part = strip[at + 1 : at + 2 + count] if count < 128 else strip[at + 1 : at + 2] * (257 - count)
        at += 2 + count if count < 128 else 1 if count == 128 else 2
        if count != 128:  # which means nothing
            parts.append(part)
            size += len(part)
    return b"".join(parts)[:most]


_CLEAR, _END, _CODES = 256, 257, 4096 - 257
_WIDTHS = np.repeat(np.array([9, 10, 11, 12]), [254, 512, 1024, _CODES - 1790])
"""Bits of each code after the table was cleared, up to the last that it has room for."""
_ENDS = np.cumsum(_WIDTHS)
_BYTES = [bytes([value]) for value in range(256)]


def _lzw(strip: bytes, most: int) -> bytes:
    """LZW as in TIFF 6.0: how wide a code is follows from how many there were since the table was cleared."""
    bits, at, size, clears = 8 * len(strip), 0, 0, 0
    padded = np.frombuffer(strip + bytes(3), np.uint8).astype(np.uint32)
    parts: list[bytes] = []
    while size < most:
        here = _ENDS[bits - at >= _ENDS]
        widths = _WIDTHS[: len(here)]
        starts = at + here - widths
        first = starts >> 3
        words = padded[first] << 16 | padded[first + 1] << 8 | padded[first + 2]
        codes = words >> (24 - widths - (starts & 7)).astype(np.uint32) & ((1 << widths) - 1).astype(
            np.uint32
        )
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        stop = int(stops[0]) if len(stops) else len(codes)
        part = _strings(codes[:stop].tolist())
        parts.append(part)
        size += len(part)
        if stop == len(codes) or codes[stop] == _END:
            break
        at += int(here[stop])
        clears += 1
        if clears > 8 + most // 512:  # the table is cleared when it is full, after 3,800 codes
            raise CodecError("the TIFF is damaged: its LZW table is cleared too often")
    return b"".join(parts)[:most]


def _strings(codes: list[int]) -> bytes:
    """What codes stand for, the first of them after the table was cleared."""
    table, found, last = [*_BYTES, b"", b""], [], b""
    for code in codes:
        if code < len(table):
            entry = table[code]
        elif code == len(table) and last:
            entry = last + last[:1]
        else:
            raise CodecError("the TIFF is damaged: its LZW data has an unknown code")
        if last:
            table.append(last + entry[:1])
        found.append(entry)
        last = entry
    return b"".join(found)


_DECODERS: dict[int, Callable[[bytes, int], bytes]] = {
    1: _stored,
    5: _lzw,
    8: _deflate,
    32946: _deflate,
    32773: _packbits,
}
