"""Likeness: PSNR, SSIM, and Q_S, which is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import MetricError
from zoo.metrics.grayscale import Floats, GrayImage, check, windowed

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_ROUNDING = 1e-8
"""Computed variances below this are rounding noise, as levels are integers."""


def psnr(truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB over all values of two uint8 arrays; infinite for equal ones.

    Raises:
        MetricError: If their shapes differ, or they are not of uint8.
    """
    if truth.shape != picture.shape or truth.dtype != np.uint8 or picture.dtype != np.uint8:
        raise MetricError(
            "two uint8 arrays of one shape are needed, "
            f"not {truth.shape} of {truth.dtype} and {picture.shape} of {picture.dtype}"
        )
    error = np.mean(np.square(truth.astype(np.float64) - picture))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(truth: GrayImage, picture: GrayImage) -> float:
    """Mean structural similarity of two gray images, H x W uint8, -1 to 1 (Wang et al. 2004, equation 13).

    One scale, an 11 x 11 Gaussian window of sigma 1.5, where the window lies inside.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    return float(ssim_map(truth, picture).mean())


def ssim_map(truth: GrayImage, picture: GrayImage) -> Floats:
    """Structural similarity at each place where the window lies inside, (H - 10) x (W - 10); see `ssim`.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    check(truth, picture)
    return _similarity(_Window.of(truth), _Window.of(picture))


def q_s(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Similarity to the livelier frame, at most 1 (Piella and Heijmans 2003, the plain index).

    The mean over windows of l SSIM(A,F) + (1 - l) SSIM(B,F), with l = var A / (var A + var B), and 1/2 where
    both are flat.

    Args:
        a: Frame A, gray, H x W uint8.
        b: Frame B, the same.
        fused: What was made of both, the same.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    check(a, b, fused)
    return Structures(a, b).q_s(fused)


class Structures:
    """Two frames' windows, to score fused images of them."""

    def __init__(self, a: GrayImage, b: GrayImage) -> None:
        self._a, self._b = _Window.of(a), _Window.of(b)
        var_a, var_b = (np.where(each.var < _ROUNDING, 0, each.var) for each in (self._a, self._b))
        total = var_a + var_b
        self._share = np.divide(var_a, total, out=np.full_like(total, 0.5), where=total > 0)

    def q_s(self, fused: GrayImage) -> float:
        """Q_S of a fused image."""
        f = _Window.of(fused)
        like_a, like_b = _similarity(self._a, f), _similarity(self._b, f)
        return float((self._share * like_a + (1 - self._share) * like_b).mean())


@dataclass(frozen=True, slots=True)
class _Window:
    """An image, H x W, and its mean and variance where the window lies inside."""

    values: Floats
    mean: Floats
    var: Floats

    @staticmethod
    def of(image: GrayImage) -> _Window:
        values = image.astype(np.float64)
        mean = windowed(values)
        return _Window(values, mean, windowed(values * values) - mean * mean)


def _similarity(x: _Window, y: _Window) -> Floats:
    """SSIM at each place where the window lies inside: (H - 10) x (W - 10)."""
    both = x.mean * y.mean
    covariance = windowed(x.values * y.values) - both
    top = (2 * both + _C1) * (2 * covariance + _C2)
    similar: Floats = top / ((x.mean**2 + y.mean**2 + _C1) * (x.var + y.var + _C2))
    return similar
