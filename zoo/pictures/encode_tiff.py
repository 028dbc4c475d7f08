"""TIFF as every reader with deflate reads it: one page in strips, with no description of its own.

Floats in big-endian order are not compressed: Pillow does not swap their bytes if they are.

EXIF data is a TIFF structure itself. It goes to the file's beginning as it is, so that every offset in it
stays right, those of maker notes as well; the only directory follows, with EXIF's entries and the pixels'.
"""

from __future__ import annotations

import io
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from isal import isal_zlib

from mfsynth.codecs import exif_directory
from zoo.pictures.directory import BYTE, UNDEFINED, Entry, header, longs, packed, read_directory, shorts
from zoo.pictures.exif import kept

if TYPE_CHECKING:
    from zoo.pictures.picture import PictureFile, Pixels

    Order = Literal["<", ">"]

_STRIP = 1 << 18
"""About so many bytes are a strip before compression."""
_LEVEL = 3
"""Of ISA-L: smaller than libtiff's LZW in a quarter of its time. Levels 1 and 2 vary between processes."""
_LARGEST = (1 << 32) - 1
_NONE, _DEFLATE, _DIFFERENCES, _NO_PREDICTOR = 1, 8, 2, 1
_FORMATS = {"u": 1, "f": 3}
_OFFSETS, _COUNTS, _ICC, _XMP, _IPTC = 273, 279, 34675, 700, 33723


def encode_tiff(picture: PictureFile) -> bytes:
    """Encode a picture with its metadata, in the byte order of its EXIF.

    Raises:
        ValueError: If it needs more than the 4 GB of a TIFF.
    """
    order, front, tags = _described(picture.exif)
    placed = frozenset(tags)
    strips = [_stored(rows, order) for rows in _strips(picture.pixels)]
    tags |= _layout(picture.pixels, order) | _embedded(picture)
    tags |= {_OFFSETS: longs(order, [0] * len(strips)), _COUNTS: longs(order, map(len, strips))}
    start = len(front)
    first = start + len(packed(tags, order, start, placed))
    if first + sum(map(len, strips)) > _LARGEST:
        raise ValueError("it needs more than the 4 GB of a TIFF")
    offsets = accumulate(map(len, strips[:-1]), initial=first)
    tags[_OFFSETS] = longs(order, offsets)
    return b"".join((header(order, start), front[8:], packed(tags, order, start, placed), *strips))


def _described(exif: bytes | None) -> tuple[Order, bytes, dict[int, Entry]]:
    """Byte order, the file's beginning, and what the first directory of EXIF says about the picture."""
    directory = exif_directory(exif) if exif else None
    if exif is None or directory is None:
        return "<", header("<", 0), {}
    entries = kept(read_directory(io.BytesIO(exif), directory.order, directory.start - 2))
    return cast("Order", directory.order), exif + bytes(len(exif) % 2), entries


def _layout(pixels: Pixels, order: str) -> dict[int, Entry]:
    height, width, channels = (*pixels.shape, 1)[:3]
    whole = pixels.dtype.kind == "u"
    return {
        256: longs(order, [width]),
        257: longs(order, [height]),
        258: shorts(order, [8 * pixels.itemsize] * channels),
        259: shorts(order, [_compression(pixels, order)]),
        262: shorts(order, [2 if channels == 3 else 1]),
        277: shorts(order, [channels]),
        278: longs(order, [_rows(pixels)]),
        284: shorts(order, [1]),
        317: shorts(order, [_DIFFERENCES if whole else _NO_PREDICTOR]),
        339: shorts(order, [_FORMATS[pixels.dtype.kind]] * channels),
    }


def _embedded(picture: PictureFile) -> dict[int, Entry]:
    told = ((_ICC, UNDEFINED, picture.icc), (_XMP, BYTE, picture.xmp), (_IPTC, UNDEFINED, picture.iptc))
    return {tag: Entry(kind, value) for tag, kind, value in told if value}


def _rows(pixels: Pixels) -> int:
    """Rows of a strip."""
    return min(len(pixels), max(1, _STRIP // int(pixels[0].nbytes)))


def _strips(pixels: Pixels) -> list[Pixels]:
    return [pixels[start : start + _rows(pixels)] for start in range(0, len(pixels), _rows(pixels))]


def _compression(pixels: Pixels, order: str) -> int:
    return _NONE if pixels.dtype.kind == "f" and order == ">" else _DEFLATE


def _stored(rows: Pixels, order: Order) -> bytes:
    """A strip: whole numbers as differences from the pixel to the left, in the byte order."""
    values = rows
    if rows.dtype.kind == "u":
        values = rows.copy()
        values[:, 1:] -= rows[:, :-1]
    stored = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(order), copy=False))
    if _compression(rows, order) == _NONE:
        return stored.tobytes()
    return bytes(isal_zlib.compress(stored.data, _LEVEL))
