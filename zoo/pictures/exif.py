"""EXIF: found in a picture file, made upright, reduced to what does not belong to the file it came from."""

from __future__ import annotations

import struct

from PIL import Image, TiffImagePlugin

from mfsynth.codecs import exif_directory

EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
# Description, make, model, orientation, resolution, software, date, artist, copyright.
_EXIF_TAGS = (270, 271, 272, _ORIENTATION, 282, 283, 296, 305, 306, 315, 33432)


def exif_of(image: Image.Image) -> tuple[bytes | None, int]:
    """EXIF with the orientation 1 (upright), and the orientation that the pixels still have."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = described(image.getexif())
        return (serialized(tags) if tags else None), 1
    if not image.info.get("exif"):
        tags = image.getexif()  # from XMP, ImageMagick's text, or a PNG chunk after the pixels
        if not image.info.get("exif"):
            return upright(serialized(tags)) if tags else (None, 1)
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


def described(exif: Image.Exif) -> Image.Exif:
    """What EXIF says about the picture rather than its file, little-endian, upright."""
    kept = Image.Exif()
    kept.endian = "<"
    for tag in _EXIF_TAGS:
        if tag in exif:
            kept[tag] = 1 if tag == _ORIENTATION else exif[tag]
    for directory in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
        tags = {tag: value for tag, value in exif.get_ifd(directory).items() if tag != _INTEROPERABILITY}
        if tags:
            kept[directory] = tags
    return kept


def serialized(exif: Image.Exif) -> bytes:
    """As a TIFF structure, without the prefix "Exif"."""
    return exif.tobytes().removeprefix(EXIF_PREFIX)
