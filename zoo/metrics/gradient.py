"""How much of the frames' edges a fused picture keeps: Q_G."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.metrics.grayscale import Floats, GrayImage, check

_TINY = 1e-5


def q_g(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Preservation of the gradients' strength and direction, 0 to 0.987 (Xydeas and Petrović 2000).

    The mean over all pixels, border included, of (Q_A w_A + Q_B w_B) / (w_A + w_B), each Q the product of two
    sigmoids, each w the strength of the frame's gradient. Not the later variant with one ratio of sums.

    Args:
        a: Frame A, gray, H x W uint8.
        b: Frame B, the same.
        fused: What was made of both, the same.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    check(a, b, fused)
    return Gradients(a, b).q_g(fused)


class Gradients:
    """Two frames' gradients, to score fused images of them."""

    def __init__(self, a: GrayImage, b: GrayImage) -> None:
        self._a, self._b = _Edges.of(a), _Edges.of(b)

    def q_g(self, fused: GrayImage) -> float:
        """Q_G of a fused image."""
        a, b, f = self._a, self._b, _Edges.of(fused)
        kept_a, kept_b = _ratio(a, f), _ratio(b, f)
        # the toolbox lifts the fused picture's zeros between its steps for A and B: an asymmetry of 1e-7
        kept_a[f.flat & ~a.flat] = 0
        weighted = _kept(kept_a, a, f) * a.strength + _kept(kept_b, b, f) * b.strength
        return float((weighted / (a.strength + b.strength)).mean())


@dataclass(frozen=True, slots=True)
class _Edges:
    """Sobel gradients, zeros beyond the border: strength, 1e-5 where it is `flat`, and angle modulo pi."""

    strength: Floats
    angle: Floats
    flat: NDArray[np.bool_]

    @staticmethod
    def of(image: GrayImage) -> _Edges:
        x, y = (
            np.asarray(cv2.Sobel(image, cv2.CV_64F, dx, 1 - dx, borderType=cv2.BORDER_CONSTANT))
            for dx in (1, 0)
        )
        strength = np.sqrt(x * x + y * y)
        flat = strength == 0
        strength[flat] = _TINY
        x[x == 0] = _TINY
        return _Edges(strength, np.arctan(y / x), flat)


def _ratio(frame: _Edges, fused: _Edges) -> Floats:
    """The weaker strength as a part of the stronger."""
    ratio: Floats = np.minimum(frame.strength, fused.strength) / np.maximum(frame.strength, fused.strength)
    return ratio


def _kept(strength: Floats, frame: _Edges, fused: _Edges) -> Floats:
    """Q of a frame at each pixel: equations (7) and (8) of the letter, with the toolbox's constants."""
    direction = np.abs(np.abs(frame.angle - fused.angle) - np.pi / 2) * (2 / np.pi)
    kept: Floats = 1 / ((1 + np.exp(-10 * (strength - 0.5))) * (1 + np.exp(-20 * (direction - 0.75))))
    return kept
