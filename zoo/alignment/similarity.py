"""A similarity: shift, scale and rotation between two frames of one scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Similarity:
    """Where a frame is relative to the first: what that shows at (x, y) is here at `matrix` times (x, y, 1).

    Args:
        scale: Magnification relative to the first frame.
        angle: Rotation in degrees, from the x axis toward the y axis.
        dx: Where the first frame's pixel (0, 0) is in this frame, in pixels to the right.
        dy: The same, in pixels down.
    """

    scale: float
    angle: float
    dx: float
    dy: float

    @property
    def matrix(self) -> Matrix:
        """2 x 3, float64: the first frame's (x, y, 1) to this frame's (x, y), in pixels."""
        cos = self.scale * math.cos(math.radians(self.angle))
        sin = self.scale * math.sin(math.radians(self.angle))
        return np.array([[cos, -sin, self.dx], [sin, cos, self.dy]])

    def displacement(self, height: int, width: int) -> float:
        """The largest displacement of a corner, in pixels, for frames of a size."""
        corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
        return float(np.linalg.norm(corners @ self.matrix.T - corners[:, :2], axis=1).max())

    def enlarged(self, factor: float) -> Similarity:
        """The same transform between pictures enlarged by a factor, which shifts pixel centers."""
        matrix = self.matrix
        offset = (factor - 1) / 2
        dx, dy = factor * matrix[:, 2] + offset * (1 - matrix[:, :2].sum(axis=1))
        return Similarity(self.scale, self.angle, float(dx), float(dy))

    def relative_to(self, other: Similarity) -> Similarity:
        """Where this frame lies relative to another, if both lie so relative to the first.

        >>> Similarity(1.1, 0.0, 5.0, 0.0).relative_to(Similarity(1.0, 0.0, 2.0, 0.0)).describe()
        'moved by 2.8, 0.0 pixels, scaled by 1.100, rotated by 0.00 degrees'
        """
        if other == IDENTITY:
            return self
        matrix = np.linalg.solve(_square(other).T, self.matrix.T).T  # self.matrix @ inverse(other)
        return similarity_of(np.asarray(matrix, np.float64))

    def after(self, other: Similarity) -> Similarity:
        """Where a frame lies relative to the first, if it lies as this relative to the other."""
        return similarity_of(self.matrix @ _square(other))

    def describe(self) -> str:
        """One line for people.

        >>> Similarity(1.012, 0.1, 3.2, -1.5).describe()
        'moved by 3.2, -1.5 pixels, scaled by 1.012, rotated by 0.10 degrees'
        """
        dx, dy = round(self.dx, 1) + 0.0, round(self.dy, 1) + 0.0  # rather than "-0.0"
        angle = round(self.angle, 2) + 0.0
        moved = f"moved by {dx:.1f}, {dy:.1f} pixels"
        return f"{moved}, scaled by {self.scale:.3f}, rotated by {angle:.2f} degrees"


IDENTITY = Similarity(1.0, 0.0, 0.0, 0.0)
"""The similarity of a frame that matches the first exactly."""


def similarity_of(matrix: Matrix) -> Similarity:
    """The similarity of a 2 x 3 matrix.

    >>> similarity_of(Similarity(1.5, 30.0, 1.0, 2.0).matrix).describe()
    'moved by 1.0, 2.0 pixels, scaled by 1.500, rotated by 30.00 degrees'
    """
    cos, sin = matrix[0, 0], matrix[1, 0]
    return Similarity(math.hypot(cos, sin), math.degrees(math.atan2(sin, cos)), *map(float, matrix[:, 2]))


def _square(how: Similarity) -> Matrix:
    return np.vstack([how.matrix, [0.0, 0.0, 1.0]])
