"""Measures of a fused picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW, _SIGMA = 11, 1.5


def gray(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rounded channel mean of an RGB picture, H x W x 3 uint8, as the paper's authors had it."""
    total: NDArray[np.uint16] = picture.sum(2, dtype=np.uint16)
    mean: NDArray[np.uint8] = ((total + 1) // 3).astype(np.uint8)
    return mean


def psnr(truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB over all values of two uint8 arrays; infinite for equal ones."""
    error = np.mean(np.square(truth.astype(np.float64) - picture))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """Mean structural similarity of two gray pictures, H x W uint8 (Wang et al. 2004).

    One scale, an 11 x 11 Gaussian window of sigma 1.5, where the window lies inside: sides of 11 and more.
    """
    return float(ssim_map(truth, picture).mean())


def ssim_map(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Structural similarity at each place where the window lies inside: (H - 10) x (W - 10)."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = windowed(x), windowed(y)
    var_x = windowed(x * x) - mean_x**2
    var_y = windowed(y * y) - mean_y**2
    covariance = windowed(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return top / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))


def windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean under the Gaussian window, where it lies inside."""
    taps = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    edge = _WINDOW // 2
    blurred = cv2.sepFilter2D(values, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_REFLECT_101)
    return blurred[edge:-edge, edge:-edge]  # type: ignore[return-value]
