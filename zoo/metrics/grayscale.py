"""Gray images, and the windows and borders that the measures share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.errors import MetricError

GrayImage: TypeAlias = NDArray[np.uint8]
"""H x W, uint8."""
Picture: TypeAlias = NDArray[np.uint8]
"""RGB, H x W x 3, uint8."""
Floats: TypeAlias = NDArray[np.float64]
GrayMode: TypeAlias = Literal["mean", "luma"]

LEAST_SIDE = 11
MATLAB_LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""Weights of red, green and blue in MATLAB's rgb2gray: those of BT.601, with more digits."""


def gray(picture: Picture, mode: GrayMode = "mean") -> GrayImage:
    """The gray image, H x W uint8, of an RGB picture, H x W x 3 uint8.

    `mean` is the rounded mean of the channels, as in the paper. `luma` takes the weights of MATLAB's
    rgb2gray and rounds halves up; OpenCV and Pillow, in fixed point, differ by one level here and there.

    Raises:
        MetricError: If it is not an RGB picture of uint8.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise MetricError(f"an RGB picture of uint8 is needed, not {picture.shape} of {picture.dtype}")
    if mode == "mean":
        total: NDArray[np.uint16] = picture.sum(2, dtype=np.uint16)
        mean: GrayImage = ((total + 1) // 3).astype(np.uint8)
        return mean
    red, green, blue = (picture[..., channel] * weight for channel, weight in enumerate(MATLAB_LUMA))
    luma: GrayImage = np.floor(red + green + blue + 0.5).astype(np.uint8)
    return luma


def check(*images: GrayImage) -> None:
    """Check that images can be compared.

    Raises:
        MetricError: If one is not gray, is not uint8, differs in size, or has a side below 11.
    """
    for image in images:
        if image.ndim != 2 or image.dtype != np.uint8:
            raise MetricError(
                f"a gray image of uint8 is needed, not {image.shape} of {image.dtype}",
                "see `zoo.metrics.gray`",
            )
        if image.shape != images[0].shape:
            sizes = " and ".join(f"{height} x {width}" for height, width in (images[0].shape, image.shape))
            raise MetricError(f"sizes differ: {sizes}")
    if min(images[0].shape) < LEAST_SIDE:
        raise MetricError(f"{images[0].shape} is too small: each side needs at least {LEAST_SIDE} pixels")


def stretched(image: GrayImage) -> GrayImage | None:
    """Levels stretched to 0..255 by the image's own minimum and maximum, halves up; None if it is constant.

    The order of operations decides ties: with 255 / range as one factor some levels would differ.
    """
    low, high = int(image.min()), int(image.max())
    if low == high:
        return None
    table = np.clip((np.arange(256.0) - low) / (high - low) * 255, 0, 255)
    levels: GrayImage = np.floor(table + 0.5).astype(np.uint8)[image]
    return levels


def gaussian(radius: int, sigma: float) -> Floats:
    """The taps exp(-t^2 / 2 sigma^2) for t from -radius to radius, not normalized."""
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
