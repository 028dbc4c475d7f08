"""How much of the visible contrast a fused picture keeps: Q_CB."""

from __future__ import annotations

import math

import numpy as np

from zoo.metrics.grayscale import Floats, GrayImage, check, gaussian, same, stretched

_RADIUS = 15


def q_cb(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Preservation of perceived contrast, 0 to 1 (Chen and Blum 2009, with their first contrast filter).

    The mean over all pixels of l Q_A + (1 - l) Q_B, with l = C_A^2 / (C_A^2 + C_B^2) of the masked contrasts
    C, and Q the weaker contrast of frame and fused as a part of the stronger.

    Args:
        a: Frame A, gray, H x W uint8.
        b: Frame B, the same.
        fused: What was made of both, the same.

    Returns:
        The score; NaN if one of the three is constant.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    check(a, b, fused)
    return Contrasts(a, b).q_cb(fused)


class Contrasts:
    """Two frames' contrasts, to score fused images of them."""

    def __init__(self, a: GrayImage, b: GrayImage) -> None:
        self._a, self._b = _contrast(a), _contrast(b)

    def q_cb(self, fused: GrayImage) -> float:
        """Q_CB of a fused image."""
        a, b, f = self._a, self._b, _contrast(fused)
        kept_a, kept_b = (np.minimum(each, f) / np.maximum(each, f) for each in (a, b))
        salient = a * a / (a * a + b * b)
        return float((salient * kept_a + (1 - salient) * kept_b).mean())


def _contrast(image: GrayImage) -> Floats:
    """Masked local contrast, H x W; NaN for a constant image, which then reaches the score."""
    levels = stretched(image)
    if levels is None:
        return np.full(image.shape, math.nan)
    seen = np.fft.irfft2(np.fft.rfft2(levels) * _sensitivity(*levels.shape), s=levels.shape)
    fine, coarse = (
        same(seen, gaussian(_RADIUS, sigma) / (math.sqrt(2 * math.pi) * sigma)) for sigma in (2, 4)
    )
    contrast = np.abs(fine / coarse - 1)
    masked: Floats = contrast**3 / (contrast**2 + 1e-4)
    return masked


def _sensitivity(height: int, width: int) -> Floats:
    """An eye's sensitivity, for rfft2: H x (W // 2 + 1). By frequency's index, so it depends on the size."""
    y, x = np.fft.ifftshift(np.arange(height) - height // 2)[:, None], np.arange(width // 2 + 1)
    squared = (y * y + x * x) / 15**2
    sensitivity: Floats = np.exp(-squared / 15.3870**2) - 0.7622 * np.exp(-squared / 1.3456**2)
    return sensitivity
