"""Any picture of a kind that is read, as an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from mfsynth.codecs.error import CodecError
from mfsynth.codecs.jpeg import decode_jpeg, is_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture

_IMREAD_PICTURE = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode_picture(data: bytes) -> Picture:
    """Decode any picture that OpenCV reads to H x W x 3, RGB, uint8, orientation tags ignored.

    Gray becomes three equal channels, 16 bits become their upper 8, palettes become colors, and alpha is
    dropped. A JPEG is decoded as libjpeg-turbo does it by default, and its warnings are errors.

    Raises:
        CodecError: If the bytes are broken, cut short or of an unknown kind.
    """
    return decode_jpeg(data) if is_jpeg(data) else opencv_decode(data, _IMREAD_PICTURE)


def opencv_decode(data: bytes, flags: int) -> NDArray[np.uint8]:
    """Decode what OpenCV reads, as its flags say.

    Raises:
        CodecError: If the bytes are broken, cut short or of an unknown kind.
    """
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:  # such as too many pixels
        raise CodecError(f"OpenCV does not decode it: {error.err}") from error
    if array is None:
        raise CodecError("it is broken, cut short or not a picture" if data else "it is empty")
    return cast("NDArray[np.uint8]", array)
