"""A first guess of a similarity from matches of SIFT features, for frames that moved far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.alignment.similarity import Matrix

_FEATURES = 2000
_RATIO = 0.75
_MIN_MATCHES = 12
_RANSAC_PIXELS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features of a picture.

    Attributes:
        points: N x 2, float32: where they are, x and y in pixels.
        words: N x 128, float32: what they look like.
    """

    points: NDArray[np.float32]
    words: NDArray[np.float32]


def features_of(picture: NDArray[np.float32]) -> Features:
    """The SIFT features of a gray picture with levels from 0 to 255."""
    rounded = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    points, words = cv2.SIFT.create(_FEATURES).detectAndCompute(rounded, None)
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
    return Features(places, np.asarray([] if words is None else words, np.float32))


def by_features(first: Features, second: Features) -> Matrix | None:
    """The similarity that at least 12 matches agree on, if there is one.

    Returns:
        2 x 3: the first's (x, y, 1) to the second's (x, y).
    """
    if min(len(first.points), len(second.points)) < _MIN_MATCHES:
        return None
    pairs = [
        best
        for best, second_best in cv2.BFMatcher().knnMatch(first.words, second.words, k=2)
        if best.distance < _RATIO * second_best.distance
    ]
    if len(pairs) < _MIN_MATCHES:
        return None
    here = first.points[[pair.queryIdx for pair in pairs]]
    there = second.points[[pair.trainIdx for pair in pairs]]
    cv2.setRNGSeed(0)
    matrix, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=_RANSAC_PIXELS)
    return np.asarray(matrix, np.float64) if matrix is not None and agree.sum() >= _MIN_MATCHES else None
