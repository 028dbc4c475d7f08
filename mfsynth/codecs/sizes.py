"""How large a picture is declared to be: read from its header, before anything is decoded."""

from __future__ import annotations

import struct

from mfsynth.codecs import kinds
from mfsynth.codecs.error import CodecError
from mfsynth.codecs.jpeg import jpeg_header
from mfsynth.codecs.png import png_header


def picture_size(data: bytes) -> tuple[int, int]:
    """Height and width that a picture's header declares; its orientation is not applied.

    Raises:
        CodecError: If the bytes are not a picture of a kind that is read, or its header is broken.
    """
    kind = kinds.kind_of(data)
    if kind not in kinds.PICTURES:
        raise CodecError(f"it is {kind}")
    try:
        height, width = _SIZES[kind](data)
    except (struct.error, IndexError) as error:
        raise CodecError(f"it is {kind} whose header is broken") from error
    if height < 1 or width < 1:
        raise CodecError(f"it is {kind} that says it is {width} x {height}")
    return height, width


def _jpeg(data: bytes) -> tuple[int, int]:
    header = jpeg_header(data)
    return header.height, header.width


def _png(data: bytes) -> tuple[int, int]:
    return png_header(data).size


def _webp(data: bytes) -> tuple[int, int]:
    form = data[12:16]
    if form == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif form == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return height, width


def _bmp(data: bytes) -> tuple[int, int]:
    form = "<HH" if data[14] == 12 else "<ii"
    width, height = struct.unpack_from(form, data, 18)
    return abs(height), width


_SIZES = {
    kinds.JPEG: _jpeg,
    kinds.PNG: _png,
    kinds.WEBP: _webp,
    kinds.BMP: _bmp,
}
