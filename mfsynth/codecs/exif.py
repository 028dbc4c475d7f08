"""EXIF and XMP: how a picture is turned, and how that is taken back without moving a byte."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAG = 0x0112
_SHORT = 3
_ENTRY = 12
_LEAST = 10  # of the last entry, if the data is cut short: some readers take the two bytes of its value
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
"""How `struct` spells EXIF's kinds of whole numbers."""


@dataclass(frozen=True, slots=True)
class ExifDirectory:
    """The first directory of EXIF data, which says how the picture is turned.

    Attributes:
        order: Byte order, as `struct` spells it.
        start: Offset of the first entry.
        end: Offset after the last entry; beyond the data if the directory is cut short.
        orientations: Offset of the orientation's two bytes; more than one if the tag is repeated.
    """

    order: str
    start: int
    end: int
    orientations: tuple[int, ...] = ()


def exif_directory(exif: bytes) -> ExifDirectory | None:
    """The first directory of EXIF data, a TIFF structure; None if there is none."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(exif[:2]))
    return _directory(exif, order) if order else None


def _directory(exif: bytes, order: str) -> ExifDirectory | None:
    """The first directory, if the data is in this byte order."""
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
    except struct.error:
        return None
    directory = ExifDirectory(order, start + 2, start + 2 + _ENTRY * count)
    shorts = tuple(at + 8 for at, kind in _entries(exif, directory) if kind == _SHORT)
    return replace(directory, orientations=shorts)


def _entries(exif: bytes, directory: ExifDirectory) -> Iterator[tuple[int, int]]:
    """Offset and kind of each entry of a directory that is an orientation."""
    for at in range(directory.start, min(directory.end, len(exif) - _LEAST + 1), _ENTRY):
        tag, kind = struct.unpack_from(directory.order + "HH", exif, at)
        if tag == _TAG:
            yield at, kind


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8; 0 if there is none, or one that means nothing."""
    directory = exif_directory(exif)
    if directory is None:
        return 0
    for at, kind in _entries(exif, directory):
        if kind in _WHOLE_NUMBERS:
            text = exif[at + 8 : at + _ENTRY].ljust(4, b"\0")
            (value,) = struct.unpack_from(directory.order + _WHOLE_NUMBERS[kind], text)
            return int(value) if 1 <= value <= 8 else 0
    return 0


def neutral_exif(exif: bytes) -> bytes:
    """The same bytes with every orientation, however it is spelled, set to 1 ("as stored")."""
    changed = bytearray(exif)
    for order in "<>":  # some readers guess it where the mark is damaged
        directory = _directory(exif, order)
        for at, _ in _entries(exif, directory) if directory else ():
            entry = struct.pack(order + "HHIHH", _TAG, _SHORT, 1, 1, 0)
            changed[at : at + _ENTRY] = entry[: len(changed) - at]
    return bytes(changed)


_TIFF_NAMESPACE = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*["']http://ns\.adobe\.com/tiff/1\.0/["']""")


def xmp_orientation(xmp: bytes) -> int:
    """The orientation, 1 to 8, as attribute or element; 0 if there is none, or one that means nothing."""
    values = [match[1].strip() for match in _xmp_values(xmp).finditer(xmp)]
    return next((int(value) for value in values if value in (b"%d" % n for n in range(1, 9))), 0)


def neutral_xmp(xmp: bytes) -> bytes:
    """The same number of bytes, with every orientation set to 1."""

    def one(match: re.Match[bytes]) -> bytes:
        before = xmp[match.start() : match.start(1)]
        return before + (b"1".ljust(len(match[1])) if match[1].strip() else match[1])

    return _xmp_values(xmp).sub(one, xmp)


def _xmp_values(xmp: bytes) -> re.Pattern[bytes]:
    """What follows the orientation's name in XMP, by whatever prefix its namespace goes there."""
    prefixes = b"|".join(map(re.escape, sorted({b"tiff", *_TIFF_NAMESPACE.findall(xmp)})))
    return re.compile(
        rb"""(?:%s):Orientation(?:\s{0,9}=\s{0,9}["']|\s{0,9}>|\s[^<>]{1,200}>)([^"'<]*)""" % prefixes
    )
