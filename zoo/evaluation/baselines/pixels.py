"""What the methods share: frames to numbers, numbers to frames, and pictures composed of both.

Integers are rounded as in MATLAB, which most of the methods were written in: halves go up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.metrics.grayscale import MATLAB_LUMA

Frame: TypeAlias = NDArray[Any]
"""H x W x 3 (RGB) or H x W (gray); uint8, uint16, or float32 in [0, 1]."""
Floats: TypeAlias = NDArray[np.float64]

_LUMA = np.array(MATLAB_LUMA)


def white(frame: Frame) -> float:
    """The largest value of the frame's dtype: 1 for floats."""
    return 1.0 if frame.dtype == np.float32 else float(np.iinfo(frame.dtype).max)


def unit(frame: Frame) -> Floats:
    """The frame in [0, 1]."""
    return frame / np.float64(white(frame))


def like(values: Floats, frame: Frame) -> Frame:
    """Values in [0, 1] in the frame's dtype."""
    return rounded(values * white(frame), frame)


def rounded(values: Floats, frame: Frame) -> Frame:
    """Values on the frame's scale, rounded to its dtype."""
    whole = values if frame.dtype == np.float32 else np.floor(values + 0.5)
    return whole.clip(0, white(frame)).astype(frame.dtype)


def luma(frame: Frame) -> Floats:
    """The gray picture on the frame's scale, as MATLAB's rgb2gray gives it: integers for integers."""
    if frame.ndim == 2:
        return frame.astype(np.float64)
    gray: Floats = frame.astype(np.float64) @ _LUMA
    return gray if frame.dtype == np.float32 else np.floor(gray + 0.5)


def mixed(frames: Sequence[Frame], weights: Floats) -> Frame:
    """The sum of the frames with their weights, n x H x W."""
    total = sum(over(weight, frame) * unit(frame) for weight, frame in zip(weights, frames, strict=True))
    return like(np.asarray(total), frames[0])


def picked(frames: Sequence[Frame], decision: NDArray[np.uint8]) -> Frame:
    """Each pixel from the frame that the decision, H x W, names."""
    places = over(decision, frames[0])[None].astype(np.intp)
    picture: Frame = np.take_along_axis(np.stack(frames), places, 0)[0]
    return picture


def over(values: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """Values, H x W, in a shape that broadcasts over the frame's channels."""
    return values if frame.ndim == 2 else values[..., None]


def guided(guide: Floats, values: Floats, radius: int, epsilon: float) -> Floats:
    """The guided filter with a gray guide: the mean where the guide is flat, the values along its edges.

    K. He, J. Sun, X. Tang, "Guided image filtering", IEEE TPAMI 35 (2013) 1397-1409: square windows that are
    cut off at the border.

    Args:
        guide: H x W, in [0, 1].
        values: What to smooth, H x W.
        radius: Of the windows.
        epsilon: Regularization: what varies less than this in the guide does not count as an edge.
    """
    counts = _sums(np.ones_like(guide), radius)

    def mean(each: Floats) -> Floats:
        return _sums(each, radius) / counts

    center, level = mean(guide), mean(values)
    variance = mean(guide * guide) - center * center
    slope = (mean(guide * values) - center * level) / (variance + epsilon)
    return mean(slope) * guide + mean(level - slope * center)


def _sums(values: Floats, radius: int) -> Floats:
    """Sums over windows that are cut off at the border."""
    window = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.boxFilter(values, -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT))
