"""How a picture is turned: what its tags say, and its pixels the right way up."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from mfsynth.codecs import kinds
from mfsynth.codecs.exif import exif_orientation, xmp_orientation
from mfsynth.codecs.jpeg import jpeg_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.sample import Picture

_STEPS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""In which direction rows and columns go; from 5 on, after both have changed places."""
_XMP_TEXT = b"XML:com.adobe.xmp\0"


def orientation_of(data: bytes) -> int:
    """How a picture is turned, by its EXIF, else its XMP: 1 to 8; 1 ("as stored") if neither says.

    Raises:
        CodecError: If the bytes are a JPEG whose markers before the first scan are broken.
    """
    kind = kinds.kind_of(data)
    if kind == kinds.JPEG:
        return jpeg_orientation(data)
    chunks = {kinds.PNG: _png_chunks, kinds.WEBP: _webp_chunks}.get(kind)
    if chunks is None:
        return 1
    found = dict(reversed(list(chunks(data))))  # the first of each name
    exif = found.get(b"eXIf") or found.get(b"EXIF", b"")
    xmp = found.get(b"XMP ") or found.get(b"iTXt", b"")
    return exif_orientation(exif.removeprefix(b"Exif\0\0")) or xmp_orientation(xmp) or 1


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of metadata."""
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"eXIf" or (name == b"iTXt" and data.startswith(_XMP_TEXT, at + 8)):
            yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of metadata."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name in (b"EXIF", b"XMP "):
            yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def is_transposed(orientation: int) -> bool:
    """Whether height and width change places."""
    return orientation >= 5


def turned(picture: Picture, orientation: int) -> Picture:
    """The picture, H x W x 3, the right way up, given how it is turned (1 to 8)."""
    down, right = _STEPS[orientation]
    sides = picture.swapaxes(0, 1) if is_transposed(orientation) else picture
    return np.ascontiguousarray(sides[::down, ::right])
