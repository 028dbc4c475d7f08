"""Resampling pictures of any size under an affine map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.alignment.similarity import Matrix

_TILE = 8192
"""OpenCV warps pictures with sides of less than 32768 pixels, so that larger ones are warped in parts."""

_REACH = 6
"""What the kernel needs around a place, in pixels, with some to spare for rounding."""


def warped(picture: NDArray[Any], matrix: Matrix, height: int, width: int) -> NDArray[Any]:
    """A picture under an affine map, by Lanczos interpolation on 8 x 8 pixels, within its own range.

    Beyond the picture's border the kernel sees it mirrored; where nothing is near, the result is 0.

    Args:
        picture: H x W x 3 or H x W; uint8, uint16 or float32.
        matrix: 2 x 3: the result's (x, y, 1) to the picture's (x, y).
        height: Of the result, in pixels.
        width: Of the result, in pixels.
    """
    result = np.zeros((height, width, *picture.shape[2:]), picture.dtype)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            part = result[top : top + _TILE, left : left + _TILE]
            _fill(part, picture, matrix @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64))
    return np.clip(result, picture.min(), picture.max(), out=result)


def _fill(part: NDArray[Any], picture: NDArray[Any], matrix: Matrix) -> None:
    """Warp into a part of the result, from what it needs of the picture."""
    height, width = part.shape[:2]
    corners = np.array([[x, y, 1] for x in (0, width - 1) for y in (0, height - 1)]) @ matrix.T
    low = (np.floor(corners.min(0)) - _REACH).clip(0).astype(int)
    high = np.ceil(corners.max(0)).astype(int) + _REACH + 1
    source = picture[low[1] : max(low[1], high[1]), low[0] : max(low[0], high[0])]
    if not source.size:
        return
    moved = np.column_stack([matrix[:, :2], matrix[:, 2] - low])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(source, moved, (width, height), dst=part, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
