"""How much of the frames' features (where phases agree) a fused picture keeps: Q_P."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zoo.metrics.grayscale import WINDOW, Floats, GrayImage, check, same

_SCALES, _ORIENTATIONS = 4, 6
_SHORTEST, _FACTOR, _BANDWIDTH = 3, 2.1, 0.55
_SPREAD = math.pi / _ORIENTATIONS / 1.2
_ANGLES = np.arange(_ORIENTATIONS) * math.pi / _ORIENTATIONS
_MOMENTS = np.stack((np.cos(_ANGLES) ** 2, np.sin(_ANGLES) ** 2, np.cos(_ANGLES) * np.sin(_ANGLES) / 2)) / 3
"""Second moments of congruency over angles. The covariance is not doubled; scores depend on that."""
_TINY = 1e-4
_ROWS = 32
"""Responses are evaluated this many rows at a time, so that they stay in the processor's cache."""
_FEATURE = 0.1
"""There is a feature where phase congruency exceeds this."""
_C = 1e-4
_NOISE = (math.sqrt(math.pi / 2) + 2 * math.sqrt(2 - math.pi / 2)) / 1.7
"""Noise's threshold by its spread: mean and two deviations of a Rayleigh distribution, eased."""


def q_p(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Preservation of phase congruency, at most 1 (Zhao, Laganière, Liu 2007; features: Kovesi 1999, 2003).

    The product over phase congruency and its maximum and minimum moments, each the mean over features of the
    best local correlation of the fused map with A's, with B's, and with that of the stronger of both.

    Args:
        a: Frame A, gray, H x W uint8.
        b: Frame B, the same.
        fused: What was made of both, the same.

    Returns:
        The score; NaN if one of the three is constant, or neither frame has a feature.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    check(a, b, fused)
    return Phases(a, b).q_p(fused)


class Phases:
    """Two frames' phase congruency, to score fused images of them."""

    def __init__(self, a: GrayImage, b: GrayImage) -> None:
        first, second = congruency(a), congruency(b)
        strongest = np.where(first[..., :1] > second[..., :1], first, second)
        self._features = [_Features.of(maps) for maps in (first, second, strongest)]

    def q_p(self, fused: GrayImage) -> float:
        """Q_P of a fused image."""
        features = int(self._features[-1].mask.sum())
        if not features:
            return math.nan
        maps = congruency(fused)
        mean, var = _moments(maps)
        best = np.full_like(maps, -np.inf)
        for frame in self._features:
            covariance = same(frame.maps * maps, WINDOW) - frame.mean * mean
            alike = (covariance + _C) / (np.sqrt(np.abs(frame.var * var)) + _C)
            np.maximum(best, alike * frame.mask, out=best)
        return float(np.prod(best.sum((0, 1)) / features))


@dataclass(frozen=True, slots=True)
class _Features:
    """Maps and their local moments, H x W x 3, zero where there is no feature; where one is, H x W x 1."""

    maps: Floats
    mask: NDArray[np.bool_]
    mean: Floats
    var: Floats

    @staticmethod
    def of(maps: Floats) -> _Features:
        mask = maps[..., :1] > _FEATURE
        masked = maps * mask
        return _Features(masked, mask, *_moments(masked))


def _moments(maps: Floats) -> tuple[Floats, Floats]:
    """Mean and variance under the window, zeros beyond the border."""
    mean = same(maps, WINDOW)
    return mean, same(maps * maps, WINDOW) - mean * mean


def congruency(image: GrayImage) -> Floats:
    """Phase congruency and its maximum and minimum moments, H x W x 3; NaN for a constant image."""
    if image.min() == image.max():
        return np.full((*image.shape, 3), math.nan)
    filters = _bank(*image.shape)
    spectra = np.fft.fft2(image) * filters.radial
    waves = np.empty_like(spectra)
    energies, amplitudes = np.zeros((2, *image.shape))
    squares = np.empty((_ORIENTATIONS, *image.shape))
    for number, (angular, noise) in enumerate(zip(filters.angular, filters.noise, strict=True)):
        np.multiply(spectra, angular, out=waves)
        np.fft.ifftn(
            waves, axes=(1, 2), out=waves
        )  # not ifft2, which ignores `out` in some releases of NumPy
        energy, amplitude = _energy(waves, float(noise))
        energies += energy
        amplitudes += amplitude
        squares[number] = np.square(energy / amplitude)
    xx, yy, xy = np.tensordot(_MOMENTS, squares, 1)
    spread = np.sqrt(xy * xy + (xx - yy) ** 2) + _TINY
    return np.stack(
        (energies / (amplitudes + _TINY), (xx + yy + spread) / 2, (xx + yy - spread) / 2), axis=-1
    )


def _energy(waves: NDArray[np.complex128], noise: float) -> tuple[Floats, Floats]:
    """Local energy beyond the noise, weighted by its width in scale, and amplitude, of one orientation.

    Args:
        waves: Complex responses, scales x H x W.
        noise: The filters' constant, `_Bank.noise`.
    """
    energy, amplitude, finest, weight = np.empty((4, *waves.shape[1:]))
    for top in range(0, waves.shape[1], _ROWS):
        rows = slice(top, top + _ROWS)
        part = waves[:, rows]
        amplitudes = np.abs(part)
        amplitudes.sum(0, out=amplitude[rows])
        finest[rows] = amplitudes[0] ** 2
        width = amplitude[rows] / (amplitudes.max(0) + _TINY) / _SCALES
        weight[rows] = 1 / (1 + np.exp(10 * (0.5 - width)))
        direction = part.sum(0)
        direction /= np.abs(direction) + _TINY
        turned = part * direction.conj()
        (turned.real - np.abs(turned.imag)).sum(0, out=energy[rows])
    energy -= math.sqrt(np.median(finest) / math.log(2) * noise) * _NOISE
    return np.maximum(energy, 0, out=energy) * weight, amplitude


@dataclass(frozen=True, slots=True)
class _Bank:
    """Log-Gabor filters of a size, in the DFT's order: the product of a radial and an angular part.

    Attributes:
        radial: Scales x H x W.
        angular: Orientations x H x W; one-sided, so that responses are complex.
        noise: By orientation, what the noise's power at the finest scale is multiplied with.
    """

    radial: Floats
    angular: Floats
    noise: Floats


@lru_cache(maxsize=2)
def _bank(height: int, width: int) -> _Bank:
    """The filters for images of a size; 22 MB for 520 x 520, so only the latest sizes are kept."""
    y, x = (np.fft.ifftshift(_centerd(side, side - side % 2)) for side in (height, width))
    radius = np.hypot(y[:, None], x)
    radius[0, 0] = 1
    # for odd sides the toolbox shifts the low-pass the wrong way, by one frequency; scores depend on it
    low_y, low_x = (np.fft.fftshift(_centerd(side, side)) for side in (height, width))
    low_pass = 1 / (1 + (np.hypot(low_y[:, None], low_x) / 0.45) ** 30)
    frequencies = 1 / (_SHORTEST * _FACTOR ** np.arange(_SCALES))
    logs = np.log(radius / frequencies[:, None, None])
    radial = np.exp(-(logs**2) / (2 * math.log(_BANDWIDTH) ** 2)) * low_pass
    radial[:, 0, 0] = 0
    direction = np.arctan2(-y[:, None], x)
    angular = np.empty((_ORIENTATIONS, height, width))
    noise = np.empty(_ORIENTATIONS)
    for number, angle in enumerate(_ANGLES):
        distance = (direction - angle + math.pi) % (2 * math.pi) - math.pi
        angular[number] = np.exp(-(distance**2) / (2 * _SPREAD**2))
        total = radial.sum(0) * angular[number]
        even = (total + np.roll(total[::-1, ::-1], (1, 1), (0, 1))) / 2
        noise[number] = np.square(even).sum() / np.square(radial[0] * angular[number]).sum()
    return _Bank(radial, angular, noise)


def _centerd(side: int, length: int) -> Floats:
    """Frequencies with zero in the middle."""
    return (np.arange(side) - side // 2) / length
