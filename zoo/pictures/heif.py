"""HEIC and other HEIF files, read by libheif through pillow-heif."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.codecs import kind_of
from mfsynth.errors import install_command
from zoo.pictures.common import ALPHA_HINT
from zoo.pictures.exif import EXIF_PREFIX, upright
from zoo.pictures.kinds import HEIF
from zoo.pictures.metadata import upright_xmp
from zoo.pictures.picture import PictureFile, Refusal
from zoo.pictures.profiles import fitting, nclx_profile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from zoo.pictures.picture import Pixels


def knows(head: bytes, suffix: str) -> bool:
    """Whether a file is HEIF and not AVIF, by its beginning; if that says nothing, by its suffix."""
    if head[4:8] == b"ftyp":
        return kind_of(head) == "a HEIC picture" and b"avif" not in head
    return suffix in HEIF


def read(path: Path) -> PictureFile:
    """Read the primary picture of a file: 8 bits as uint8, 10 and 12 bits as uint16, white at 65535.

    libheif turns it by the file's own boxes, which replace any orientation in EXIF and XMP (ISO/IEC
    23008-12). Thumbnails, depth and gain maps, and the other pictures of a burst are dropped.

    Raises:
        Refusal: If it has an alpha channel or is HDR, is broken, or pillow-heif is not installed.
        OSError: If it cannot be read; or any other of `BROKEN`.
    """
    try:
        from pillow_heif import open_heif
    except ImportError as error:
        raise Refusal("pillow-heif is not installed", install_command("formats")) from error
    try:
        file = open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        if not len(file):
            raise Refusal("it holds no picture that can be decoded")
        if file.has_alpha:
            raise Refusal("it has an alpha channel", ALPHA_HINT)
        pixels = np.array(file)
    except RuntimeError as error:
        raise Refusal(str(error)) from error
    color, bits = file.info.get("nclx_profile", {}), int(file.mode.partition(";")[2] or 8)
    meant = nclx_profile(color.get("color_primaries", 1), color.get("transfer_characteristics", 13))
    exif, _ = upright((file.info["exif"] or b"").removeprefix(EXIF_PREFIX))
    xmp = upright_xmp(file.info.get("xmp") or b"")
    icc = fitting(file.info.get("icc_profile") or meant, pixels)
    return PictureFile(widened(pixels, bits), icc, exif, xmp)


def widened(pixels: NDArray[np.uint8] | NDArray[np.uint16], bits: int) -> Pixels:
    """Values of so many bits as they are in 8, or with white at 65535 in 16."""
    if bits == 8:
        return pixels
    return np.asarray(np.rint(pixels * (65535 / (2**bits - 1))), np.uint16)
