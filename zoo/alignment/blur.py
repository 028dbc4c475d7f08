"""Two frames focused differently, each blurred where it is the sharper one, until both are equally sharp.

Where sharpness changes across a picture, details seem to move a little toward the blur, another way in each
frame. Frames that are equally sharp everywhere do not differ in that. The blur between two frames is chosen
pixel by pixel, as in depth from defocus (Subbarao and Surya, Depth from Defocus: A Spatial Domain Approach,
1994).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from zoo.alignment.pictures import GrayImage
    from zoo.alignment.similarity import Matrix

_SIGMAS = (0.0, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
_WINDOW = 9
_NOISE = 0.5
_CHOICE = 4
"""How firmly the likeliest blur is preferred; between two that are as likely, pictures are mixed."""


def equally_sharp(first: GrayImage, second: GrayImage, matrix: Matrix) -> tuple[GrayImage, GrayImage]:
    """Both frames, each in its own geometry, no sharper than the other shows the same place.

    Args:
        first: H x W, with levels from 0 to 255.
        second: The same.
        matrix: 2 x 3, about right: the first's (x, y, 1) to the second's (x, y).
    """
    size, border = first.shape[::-1], cv2.BORDER_REFLECT_101
    flags = cv2.INTER_CUBIC
    here = cv2.warpAffine(second, matrix, size, flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border)
    there = cv2.warpAffine(first, matrix, size, flags=flags, borderMode=border)
    return _as_sharp(first, np.asarray(here, np.float32)), _as_sharp(second, np.asarray(there, np.float32))


def _as_sharp(picture: GrayImage, other: GrayImage) -> GrayImage:
    """A picture blurred where that makes it more like another; exposures may differ by a gain."""
    other = other * (picture.mean() / max(float(other.mean()), 1e-6))
    total, weights = np.zeros_like(picture), np.zeros_like(picture)
    for sigma in _SIGMAS:
        blurred = cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture
        error = cv2.blur(np.square(blurred - other), (_WINDOW, _WINDOW)) + np.float32(_NOISE**2)
        weight = error**-_CHOICE
        total += weight * blurred
        weights += weight
    return np.asarray(total / weights, np.float32)
