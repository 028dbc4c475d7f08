"""The errors of a fused picture, as a picture: against the truth, or against the sharpest frame."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.plots import color

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.evaluation.scores import Exhibit

TRUE_RANGE = 32
"""The largest difference from the truth that the colors resolve, in levels of 255."""

_SIGMA = 2.0  # of the window in which sharpness is measured, in pixels
_SHARPNESS_RANGE = 12.0  # levels of 255 of the Laplacian, beyond which colors are full
_LOST, _ADDED = color(4), color(0)


def error_words(exhibit: Exhibit) -> str:
    """What the error map of an exhibit's fused pictures shows."""
    if exhibit.truth is not None:
        return f"|fused − truth|, from 0 (black) to {TRUE_RANGE} levels and more (yellow)"
    return "sharpness against the sharpest frame: lost (orange), added (blue)"


def decision_words(exhibit: Exhibit) -> str:
    """What the colors of an exhibit's decision maps mean."""
    if len(exhibit.frames) == 2:
        return "taken from frame 0 (blue), frame 1 (orange)"
    return "taken from the frame whose name has that color"


def error_map(exhibit: Exhibit, fused: Picture) -> Picture:
    """Where a fused picture is wrong, H x W x 3 uint8 RGB; `error_words` says how to read it.

    Without the truth, a pixel's difference from a frame says little: a copy of one frame has none. What
    can be seen is whether detail of the sharpest frame was lost, or detail added that none has.
    """
    if exhibit.truth is not None:
        return _difference(fused, exhibit.truth)
    return _sharpness_change(fused, exhibit.frames)


def _difference(fused: Picture, truth: Picture) -> Picture:
    worst = cv2.absdiff(fused, truth).max(axis=2).astype(np.float32)
    levels = np.minimum(worst * (255 / TRUE_RANGE), 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def _sharpness_change(fused: Picture, frames: tuple[Picture, ...]) -> Picture:
    change = _sharpness(fused) - reduce(np.maximum, [_sharpness(frame) for frame in frames])
    share = np.minimum(np.abs(change) / _SHARPNESS_RANGE, 1)[..., None]
    full = np.where(change[..., None] < 0, _LOST, _ADDED)
    return np.asarray(255 + share * (full - 255.0) + 0.5).astype(np.uint8)


def _sharpness(picture: Picture) -> NDArray[np.float32]:
    """How strong the detail around each pixel is, H x W, in levels."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = cv2.Laplacian(gray, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)
    power = cv2.GaussianBlur(detail * detail, (0, 0), _SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.sqrt(power)
