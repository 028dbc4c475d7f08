"""Any picture of a kind that is read, as an array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth import limits
from mfsynth.codecs import kinds
from mfsynth.codecs.error import CodecError
from mfsynth.codecs.jpeg import decode_jpeg, is_jpeg
from mfsynth.codecs.opencv import opencv_decode
from mfsynth.codecs.sizes import picture_size

if TYPE_CHECKING:
    from mfsynth.sample import Picture

_IMREAD_PICTURE = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode_picture(data: bytes) -> Picture:
    """Decode a JPEG, PNG, WebP or BMP to H x W x 3, RGB, uint8, orientation tags ignored.

    Gray becomes three equal channels, 16 bits become their upper 8, palettes become colors, and alpha is
    dropped. A JPEG is decoded as libjpeg-turbo does it by default, and its warnings are errors.

    Raises:
        CodecError: If the bytes are broken, cut short, of another kind, or declared larger than
            `limits.PICTURE_PIXELS`.
    """
    if is_jpeg(data):
        return decode_jpeg(data)
    height, width = picture_size(data)
    if height * width > limits.PICTURE_PIXELS:
        raise CodecError(f"it is {width} x {height}, more than {limits.PICTURE_PIXELS:,} pixels")
    return opencv_decode(data, _IMREAD_PICTURE)


def is_transparent(data: bytes) -> bool:
    """Whether a picture that decodes has pixels that are not opaque; `decode_picture` drops that.

    Raises:
        CodecError: If the bytes are broken.
    """
    if not _may_have_alpha(data):
        return False
    array = opencv_decode(data, cv2.IMREAD_UNCHANGED)
    if array.ndim != 3 or array.shape[2] != 4:
        return kinds.kind_of(data) == kinds.PNG  # OpenCV ignores a gray value that is declared transparent
    return bool(array[..., 3].min() < np.iinfo(array.dtype).max)


def _may_have_alpha(data: bytes) -> bool:
    kind = kinds.kind_of(data)
    if kind == kinds.PNG:
        return bool(data[25] & 4) or b"tRNS" in data[: data.find(b"IDAT")]
    return kind == kinds.WEBP
