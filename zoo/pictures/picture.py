"""A picture and its metadata, as reading and writing exchange them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from mfsynth import codecs

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]

BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What decoders and encoders raise on data that they cannot use."""

EXPORT = "export it again as PNG, TIFF or JPEG"
"""What to do about most pictures that cannot be read."""


def bit_depth(dtype: DTypeLike) -> str:
    """A dtype in words, as photographers say it.

    >>> bit_depth(np.uint16), bit_depth(np.float32)
    ('16-bit', '32-bit float')
    """
    bits = f"{8 * np.dtype(dtype).itemsize}-bit"
    return f"{bits} float" if np.dtype(dtype).kind == "f" else bits


class Refusal(Exception):  # noqa: N818 - carries the reason to the error that names the file
    """Why a file is not read.

    Args:
        reason: In words that follow "cannot read NAME: ", such as "it has an alpha channel".
        hint: What to do about it.
    """

    def __init__(self, reason: str, hint: str = EXPORT) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True, eq=False)
class PictureFile:
    """A picture and its metadata.

    Args:
        pixels: H x W x 3 (RGB) or H x W (gray), upright; uint8, uint16, or float32 of any range.
        icc: The ICC profile of these pixels.
        exif: EXIF as a TIFF structure, without the prefix "Exif"; its orientation, if any, is 1 (upright).
        xmp: XMP as the file has it, a packet of UTF-8.
        iptc: IPTC's records (IIM), as the file has them.
    """

    pixels: Pixels
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned upright, given EXIF's orientation; numbers that mean nothing turn nothing."""
    return (
        cast("Pixels", codecs.turned(cast("Any", pixels), orientation)) if 2 <= orientation <= 8 else pixels
    )
