"""AVIF: Pillow knows the file and decodes 8 bits; deeper ones are decoded by libavif through imagecodecs."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from mfsynth.codecs import kind_of
from mfsynth.errors import install_command
from zoo.pictures.common import check_opaque, check_single
from zoo.pictures.exif import exif_of
from zoo.pictures.heif import widened
from zoo.pictures.metadata import xmp_of
from zoo.pictures.picture import PictureFile, Refusal, turned
from zoo.pictures.profiles import fitting, nclx_profile

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.pictures.picture import Pixels


def knows(head: bytes, suffix: str) -> bool:
    """Whether a file is AVIF, by the brands at its beginning; if that says nothing, by its suffix."""
    if head[4:8] == b"ftyp":
        return kind_of(head) == "an AVIF picture" or b"avif" in head
    return suffix == ".avif"


def read(path: Path) -> PictureFile:
    """Read a picture: 8 bits as uint8, 10 and 12 bits as uint16, white at 65535.

    Raises:
        Refusal: If it has an alpha channel, is HDR or holds several pictures, or a package is missing.
        OSError: If it cannot be read; or any other of `BROKEN`.
    """
    if not features.check("avif"):
        raise Refusal("this Pillow does not read AVIF", "pip install --upgrade pillow")
    try:
        return _read(path.read_bytes())
    except UnidentifiedImageError as error:
        raise Refusal("it is broken or cut short") from error
    except RuntimeError as error:  # libavif's
        raise Refusal(str(error)) from error


def _read(data: bytes) -> PictureFile:
    with Image.open(io.BytesIO(data)) as image:
        check_single(image)
        check_opaque(image)
        exif, orientation = exif_of(image)
        bits, meant = _bits(data), nclx_profile(*_color(data))
        pixels = np.array(image.convert("RGB")) if bits == 8 else _deep(data, bits)
        icc = fitting(image.info.get("icc_profile") or meant, pixels)
        xmp = xmp_of(image)
    return PictureFile(turned(pixels, orientation), icc, exif, xmp)


def _deep(data: bytes, bits: int) -> Pixels:
    try:
        import imagecodecs
    except ImportError as error:
        raise Refusal(f"AVIF of {bits} bits needs imagecodecs", install_command("formats")) from error
    return widened(imagecodecs.avif_decode(data), bits)


def _bits(data: bytes) -> int:
    """Bits of a channel, from the box for the decoder (AV1 Codec ISO Media File Format Binding, 2.3.3)."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 + 2 * bool(flags & 0x40) + 2 * bool(flags & 0x20)


def _color(data: bytes) -> tuple[int, int]:
    """Primaries and transfer curve as ITU-T H.273 numbers them; sRGB's, if the file does not say."""
    at = data.find(b"colrnclx")
    return struct.unpack_from(">HH", data, at + 8) if 0 <= at <= len(data) - 12 else (1, 13)
