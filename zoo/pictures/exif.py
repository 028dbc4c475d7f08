"""EXIF: found in a picture file, made upright, reduced to what does not belong to the file it came from."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from mfsynth.codecs import exif_directory
from zoo.pictures.directory import Entry, header, longs, number, packed, read_directory, shorts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

EXIF_PREFIX = b"Exif\0\0"
_DESCRIPTION, _ORIENTATION = 270, 0x0112
_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROPERABILITY, _MAKER_NOTE = 0x8769, 0x8825, 0xA005, 0x927C
_TAGS = (_DESCRIPTION, 271, 272, _ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432,
         40091, 40092, 40093, 40094, 40095, _EXIF_DIRECTORY, _GPS_DIRECTORY)  # fmt: skip
"""What the first directory says about a picture rather than its file: description, make, model, orientation,
resolution, software, date, artist, computer, rating, copyright; Windows' title, comment, author, keywords."""
_MACHINES = (b"<?xml", b"<OME", b"ImageJ=", b"SCIFIO=", b'{"', b"shape=(", b"<MetaData", b"<ScanImage")
"""How descriptions begin that programs read: OME-TIFF's, ImageJ's, tifffile's, MetaMorph's."""
_HEADER = 8
_NEAR = 1 << 15
"""Offset up to which a maker note is put back where it was."""


def exif_of(image: Image.Image) -> tuple[bytes | None, int]:
    """EXIF with the orientation 1 (upright), and the orientation that the pixels still have."""
    if not image.info.get("exif"):
        tags = image.getexif()  # from XMP, ImageMagick's text, or a PNG chunk after the pixels
        if not image.info.get("exif"):
            return upright(tags.tobytes().removeprefix(EXIF_PREFIX)) if tags else (None, 1)
    return upright(image.info["exif"].removeprefix(EXIF_PREFIX))


def upright(exif: bytes) -> tuple[bytes | None, int]:
    """EXIF with the orientation 1 and no thumbnail, and the orientation it had; None if it is broken."""
    directory = exif_directory(exif)
    if directory is None or directory.end > len(exif):
        return None, 1
    changed, orientation = bytearray(exif), 1
    for at in directory.orientations:
        (orientation,) = struct.unpack_from(directory.order + "H", exif, at)
        struct.pack_into(directory.order + "H", changed, at, 1)
    if directory.end + 4 <= len(exif):  # some writers omit the offset that says that no thumbnail follows
        struct.pack_into(directory.order + "I", changed, directory.end, 0)
    return bytes(changed), orientation


def kept(directory: Mapping[int, Entry]) -> dict[int, Entry]:
    """What a first directory says about the picture, not its file; without descriptions made for programs."""
    return {
        tag: directory[tag]
        for tag in _TAGS
        if tag in directory
        and not (tag == _DESCRIPTION and directory[tag].value.lstrip().startswith(_MACHINES))
    }


def exif_of_tiff(
    file: BinaryIO, directory: Mapping[int, Entry], order: str, *, big: bool = False, note: bool = True
) -> bytes | None:
    """EXIF from a TIFF's directory, upright, each value as the bytes that it was; None if there is none.

    A maker note, if it is kept, is put where it was if that is near the beginning: it may hold offsets in
    the file.

    Args:
        file: The TIFF.
        directory: Its first directory, or a page's.
        order: Byte order, as `struct` spells it.
        big: Whether it is a BigTIFF.
        note: Whether to keep a maker note.
    """
    first = kept(directory)
    parts: dict[int, dict[int, Entry]] = {}
    for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
        if tag in first:
            found = read_directory(file, order, number(first.pop(tag), order), big=big)
            found.pop(_INTEROPERABILITY, None)  # a pointer to a third directory
            if not note:
                found.pop(_MAKER_NOTE, None)
            parts |= {tag: found} if found else {}
    if _ORIENTATION in first:
        first[_ORIENTATION] = shorts(order, [1])
    return _joined(first, parts, order) if first or parts else None


def _joined(first: dict[int, Entry], parts: Mapping[int, dict[int, Entry]], order: str) -> bytes:
    """EXIF data of a first directory and of those that it points to."""
    made = bytearray(_HEADER)
    note = parts.get(_EXIF_DIRECTORY, {}).get(_MAKER_NOTE)
    near = note is not None and _HEADER <= note.offset <= _NEAR
    if note is not None and near:
        made = made.ljust(note.offset, b"\0") + note.value
    for tag, part in parts.items():
        made += bytes(len(made) % 2)
        first[tag] = longs(order, [len(made)])
        made += packed(part, order, len(made), (_MAKER_NOTE,) if near else ())
    made += bytes(len(made) % 2)
    made[:_HEADER] = header(order, len(made))
    return bytes(made + packed(first, order, len(made)))
