"""Between the gray levels of a file and light: the sRGB curve of IEC 61966-2-1, in float32."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.recipe import Light
    from mfsynth.sample import Picture

    Values = NDArray[np.float32]
    """H x W x 3, float32, 0 to 1."""


def linear_of(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light, 0 to 1, of sRGB values, 0 to 1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def srgb_of(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB values, 0 to 1, of linear light, 0 to 1."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


@cache
def _table(light: str) -> NDArray[np.float32]:
    levels = np.arange(256) / 255
    return (linear_of(levels) if light == "linear" else levels).astype(np.float32)


def values_of(picture: Picture, light: Light) -> Values:
    """A picture's values, 0 to 1: its sRGB values, or linear light."""
    return cv2.LUT(picture, _table(light))  # type: ignore[return-value]


def picture_of(values: Values, light: Light) -> Picture:
    """A picture of values, rounded once."""
    encoded = srgb_of(values.astype(np.float64)) if light == "linear" else values
    return np.rint(encoded * 255).clip(0, 255).astype(np.uint8)
