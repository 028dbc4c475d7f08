"""EXIF data: how a picture is turned."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_ORIENTATION = (0x0112, 3)  # the tag, and its kind: two bytes


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
