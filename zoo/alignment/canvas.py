"""The rectangle that a fused picture covers, and bringing frames onto it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from zoo.alignment.similarity import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.alignment.similarity import Similarity

Crop = Literal["first", "common", "none"]
"""What the result covers: the first frame, what all frames show, or what any frame shows."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A rectangle in the geometry of the first frame.

    Args:
        top: The row of the first frame where it begins; may be negative.
        left: The column, the same.
        height: In pixels.
        width: In pixels.
    """

    top: int
    left: int
    height: int
    width: int


def canvas_of(moves: Sequence[Similarity], height: int, width: int, crop: Crop) -> Canvas:
    """The rectangle that a crop asks for.

    Args:
        moves: Where each frame lies relative to the first.
        height: Of every frame, in pixels.
        width: Of every frame, in pixels.
        crop: What the result covers.

    Raises:
        AlignmentError: If the frames show too little in common.
    """
    return Canvas(0, 0, height, width)


def onto(
    frame: NDArray[Any], move: Similarity, canvas: Canvas
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """A frame as the canvas shows it, and where it shows anything.

    Returns:
        The pixels, of the frame's dtype, and H x W, bool: False where the frame has none (None: it covers the
        whole canvas). The array that was given comes back if nothing has to be moved.
    """
    height, width = frame.shape[:2]
    if move == IDENTITY and canvas == Canvas(0, 0, height, width):
        return frame, None
    offset = np.array([[1, 0, canvas.left], [0, 1, canvas.top], [0, 0, 1]], np.float64)
    matrix = move.matrix @ offset
    flags = cv2.WARP_INVERSE_MAP
    size = (canvas.width, canvas.height)
    warped = cv2.warpAffine(
        frame, matrix, size, flags=flags | cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    inside = cv2.warpAffine(np.ones((height, width), np.uint8), matrix, size, flags=flags | cv2.INTER_NEAREST)
    return warped, None if inside.all() else inside.astype(bool)
