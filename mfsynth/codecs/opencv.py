"""What OpenCV decodes, with its failures as errors of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from mfsynth.codecs.error import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
