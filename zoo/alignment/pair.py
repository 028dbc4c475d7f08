"""Gauss-Newton from coarse to fine: the similarity between two frames that are focused differently."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo.alignment.blur import equally_sharp
from zoo.alignment.pictures import fine_detail

if TYPE_CHECKING:
    from zoo.alignment.pictures import GrayImage, Pyramid
    from zoo.alignment.similarity import Matrix

_BORDER = 6
_ITERATIONS = 10
_CONVERGED = 1e-3

_LAST_CHANCE, _HOPELESS = 2, 0.2
"""Pictures that are less alike than this at this level are not registered any finer."""


def refined(
    first: Pyramid, second: Pyramid, matrix: Matrix, coarsest: int | None = None
) -> tuple[Matrix, float]:
    """A refined matrix, and how alike the pictures are under it.

    Args:
        first: A frame.
        second: Another of its size.
        matrix: 2 x 3, a guess: the first's (x, y, 1) to the second's (x, y), in pixels of `gray`.
        coarsest: The level to begin with; None is the coarsest. A good guess needs only fine ones.

    Returns:
        The matrix, and the correlation where both show something, -1 to 1.
    """
    for level, one, other in zip(first.levels, first.equalized, second.equalized, strict=True):
        if coarsest is not None and level > coarsest:
            continue
        pair = _Pair(one, other)
        matrix = _enlarged(pair.fit(_enlarged(matrix, 1 / level)), level)
        if level == _LAST_CHANCE and pair.likeness(_enlarged(matrix, 1 / level)) < _HOPELESS:
            break
    return matrix, pair.likeness(_enlarged(matrix, 1 / level))


def finished(first: Pyramid, second: Pyramid, matrix: Matrix) -> tuple[Matrix, float]:
    """The same on the finest detail, from a refined matrix, with the frames made equally sharp."""
    pair = _Pair(*map(fine_detail, equally_sharp(first.gray, second.gray, matrix)))
    matrix = pair.fit(matrix)
    return matrix, pair.likeness(matrix)


def _enlarged(matrix: Matrix, factor: float) -> Matrix:
    """The same transform between pictures enlarged by a factor, which shifts pixel centers."""
    offset = (factor - 1) / 2
    shift = factor * matrix[:, 2] + offset * (1 - matrix[:, :2].sum(axis=1))
    return np.column_stack([matrix[:, :2], shift])


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two equalized pictures of one size."""

    first: GrayImage
    second: GrayImage

    def fit(self, matrix: Matrix) -> Matrix:
        """Gauss-Newton on the squared differences."""
        for _ in range(_ITERATIONS):
            step = self._step(matrix)
            matrix = _composed(matrix, step, *self.first.shape)
            if np.abs(step).max() < _CONVERGED:
                break
        return matrix

    def _step(self, matrix: Matrix) -> Matrix:
        """Shift right and down, growth and rotation about the center, in pixels at half the longer side."""
        warped, weight = self._warped(matrix)
        mean = (self.first + warped) / 2
        x, y = _from_center(*self.first.shape)
        dx, dy = (cv2.Sobel(mean, -1, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        slopes = np.stack([slope.ravel() for slope in (dx, dy, dx * x + dy * y, dy * x - dx * y)])
        weighted = slopes * weight.ravel()
        normal = (weighted @ slopes.T).astype(np.float64)
        solution = np.linalg.lstsq(normal, weighted @ (self.first - warped).ravel(), rcond=1e-6)[0]
        return np.asarray(solution, np.float64)

    def likeness(self, matrix: Matrix) -> float:
        """The correlation where both show something, -1 to 1; 0 if they do not overlap."""
        warped, weight = self._warped(matrix)
        power = float((weight * self.first**2).sum()) * float((weight * warped**2).sum())
        return float((weight * self.first * warped).sum()) / math.sqrt(power) if power > 0 else 0.0

    def _warped(self, matrix: Matrix) -> tuple[GrayImage, GrayImage]:
        """The second warped onto the first, and 1 where both are well inside their picture, else 0."""
        inside: GrayImage = np.zeros_like(self.first)
        inside[_BORDER:-_BORDER, _BORDER:-_BORDER] = 1
        size = self.first.shape[::-1]
        flags = cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(self.second, matrix, size, flags=flags | cv2.INTER_CUBIC)
        shown = cv2.warpAffine(inside, matrix, size, flags=flags | cv2.INTER_NEAREST)
        return np.asarray(warped, np.float32), np.asarray(inside * shown, np.float32)


def _from_center(height: int, width: int) -> tuple[GrayImage, GrayImage]:
    """Every pixel's x (1 x W) and y (H x 1) from the center, in units of half the longer side."""
    unit = max(height, width) / 2
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / unit
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / unit
    return x[None].astype(np.float32), y[:, None].astype(np.float32)


def _composed(matrix: Matrix, step: Matrix, height: int, width: int) -> Matrix:
    """A step about the center, then the matrix."""
    right, down, growth, turn = step / [1, 1, max(height, width) / 2, max(height, width) / 2]
    linear = np.array([[1 + growth, -turn], [turn, 1 + growth]])
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = center + np.array([right, down]) - linear @ center
    return np.column_stack([matrix[:, :2] @ linear, matrix[:, :2] @ shift + matrix[:, 2]])
