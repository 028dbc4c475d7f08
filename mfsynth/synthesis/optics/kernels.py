"""Blur kernels on float32 planes: Gaussian, disk, polygon; each with its reach, all normalized."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Planes = NDArray[np.float32]
    """H x W or H x W x C, float32."""

_FINE = 16


@dataclass(frozen=True, slots=True)
class Aperture:
    """A kernel's shape, without its size.

    Attributes:
        kernel: `gaussian`, `disk` or `polygon`.
        blades: Corners of the polygon.
        rotation: Of the polygon, in radians.
    """

    kernel: str
    blades: int = 0
    rotation: float = 0.0

    def reach(self, size: float) -> int:
        """How many pixels the kernel reaches to each side."""
        return math.ceil(4 * size) if self.kernel == "gaussian" else math.ceil(size + 0.5)

    def blur(self, planes: Planes, size: float) -> Planes:
        """Blurred planes; the border is mirrored (reflect-101), and size 0 gives the planes themselves.

        Args:
            planes: H x W or H x W x C, float32.
            size: Sigma of a Gaussian, else the radius, in pixels.
        """
        if size == 0:
            return planes
        if self.kernel == "gaussian":
            offsets = np.arange(-self.reach(size), self.reach(size) + 1)
            taps = np.exp(-(offsets**2) / (2 * size**2))
            taps = (taps / taps.sum()).astype(np.float32)
            return cv2.sepFilter2D(planes, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]
        return cv2.filter2D(planes, -1, disk_taps(size), borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def disk_taps(radius: float) -> NDArray[np.float32]:
    """A disk's taps: each the covered fraction of its pixel, by supersampling."""
    reach = math.ceil(radius + 0.5)
    side = (2 * reach + 1) * _FINE
    at = (np.arange(side) + 0.5) / _FINE - reach - 0.5
    inside = (at[:, None] ** 2 + at[None] ** 2 <= radius**2).astype(np.float64)
    taps = inside.reshape(2 * reach + 1, _FINE, 2 * reach + 1, _FINE).mean((1, 3))
    normalized: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return normalized
