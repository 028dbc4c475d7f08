"""Gray planes, and the windows and borders that the metrics share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.errors import MetricError

Plane: TypeAlias = NDArray[np.uint8]
"""Gray, H x W."""
Picture: TypeAlias = NDArray[np.uint8]
"""RGB, H x W x 3."""
Floats: TypeAlias = NDArray[np.float64]
GrayMode: TypeAlias = Literal["mean", "luma"]

LEAST_SIDE = 11
_LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)


def gray(picture: Picture, mode: GrayMode = "mean") -> Plane:
    """The gray plane, H x W uint8, of an RGB picture, H x W x 3 uint8.

    `mean` is the rounded channel mean, as the paper's authors had it. `luma` has the weights of MATLAB's
    rgb2gray and rounds halves up; OpenCV and Pillow, in fixed point, give another level here and there.

    Raises:
        MetricError: If it is no RGB picture of uint8.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise MetricError(f"an RGB picture of uint8 is needed, not {picture.shape} of {picture.dtype}")
    if mode == "mean":
        total: NDArray[np.uint16] = picture.sum(2, dtype=np.uint16)
        mean: Plane = ((total + 1) // 3).astype(np.uint8)
        return mean
    red, green, blue = (picture[..., channel] * weight for channel, weight in enumerate(_LUMA))
    luma: Plane = np.floor(red + green + blue + 0.5).astype(np.uint8)
    return luma


def check(*planes: Plane) -> None:
    """See that planes can be compared.

    Raises:
        MetricError: If one is in colour, is not uint8, differs in size, or has a side below 11.
    """
    for plane in planes:
        if plane.ndim != 2 or plane.dtype != np.uint8:
            raise MetricError(
                f"a gray plane of uint8 is needed, not {plane.shape} of {plane.dtype}", "see `gray`"
            )
        if plane.shape != planes[0].shape:
            sizes = " and ".join(f"{height} x {width}" for height, width in (planes[0].shape, plane.shape))
            raise MetricError(f"sizes differ: {sizes}")
    if min(planes[0].shape) < LEAST_SIDE:
        raise MetricError(f"{planes[0].shape} is too small: sides of {LEAST_SIDE} are needed")


def stretched(plane: Plane) -> Plane | None:
    """Levels stretched to 0..255 by the plane's own minimum and maximum, halves up; None if constant.

    The order of operations decides ties: 255 / range as one factor gives other levels for some ranges.
    """
    low, high = int(plane.min()), int(plane.max())
    if low == high:
        return None
    table = np.clip((np.arange(256.0) - low) / (high - low) * 255, 0, 255)
    levels: Plane = np.floor(table + 0.5).astype(np.uint8)[plane]
    return levels


def gaussian(radius: int, sigma: float) -> Floats:
    """The taps exp(-t^2 / 2 sigma^2) for t from -radius to radius, not normalised."""
    offsets = np.arange(-radius, radius + 1.0)
    taps: Floats = np.exp(-(offsets**2) / (2 * sigma**2))
    return taps


WINDOW = gaussian(5, 1.5) / gaussian(5, 1.5).sum()
"""The 11 x 11 window of SSIM, along one axis."""


def same(values: Floats, taps: Floats) -> Floats:
    """Correlation with taps along both axes, zeros beyond the border: H x W, or H x W x C."""
    return cv2.sepFilter2D(values, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_CONSTANT)  # type: ignore[return-value]


def windowed(values: Floats) -> Floats:
    """Mean under the Gaussian window where it lies inside: (H - 10) x (W - 10)."""
    return same(values, WINDOW)[5:-5, 5:-5]
