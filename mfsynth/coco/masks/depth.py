"""From a depth map to layers, each a segment: the planes of a scene whose ground is slanted.

Planes lie at equal steps of inverse distance (`mfsynth.synthesis.optics.circles`), as layers do here. Where
large is near, a map holds inverse distance, up to scale and shift, as disparity and the estimates of MiDaS
and Depth Anything do: it is cut at equal steps of its values. Where large is far, it holds distances, in any
unit: it is cut at equal steps of 1/value, and 0 means that nothing was measured, as sensors write it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from mfsynth.coco import exclusions
from mfsynth.codecs import CodecError, decode_gray, gray_size
from mfsynth.errors import UnusableImage
from mfsynth.sample import SegmentInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.codecs.png import Array
    from mfsynth.sample import SegmentMap

_SPARED = 200
"""One value in this many, at either end, may be outside the range: estimates and sensors have outliers."""


@dataclass(frozen=True, slots=True)
class DepthCut:
    """How depth maps are cut.

    Attributes:
        layers: Number of layers; layer 0 is the farthest.
        large: What large values are: `near` or `far`.
    """

    layers: int
    large: Literal["near", "far"]


def depth_segments(
    data: bytes, cut: DepthCut, size: tuple[int, int]
) -> tuple[SegmentMap, tuple[SegmentInfo, ...]]:
    """The layers of a depth map that have pixels, as segments: layer k has id k + 1, and no category.

    Args:
        data: The map's bytes.
        cut: How it is cut.
        size: Height and width of the picture.

    Raises:
        UnusableImage: If the map is broken or of another size, or says nothing of depth.
    """
    try:
        height, width = gray_size(data)
        if (height, width) != size:  # before anything of that size is decoded
            told = f"it is {width} x {height}, the picture is {size[1]} x {size[0]}"
            raise UnusableImage(exclusions.SIZE, told)
        values = decode_gray(data, size)
    except CodecError as error:
        raise UnusableImage(exclusions.DEPTH_BROKEN, str(error)) from error
    layers = depth_layers(values, cut)
    areas = np.bincount(layers.ravel(), minlength=cut.layers)
    present = np.flatnonzero(areas)
    numbers = np.zeros(cut.layers, np.uint8)
    numbers[present] = np.arange(len(present))
    infos = (
        SegmentInfo(index, layer + 1, 0, 0, int(areas[layer])) for index, layer in enumerate(present.tolist())
    )
    return numbers[layers], tuple(infos)


def depth_layers(values: Array, cut: DepthCut) -> NDArray[np.uint8]:
    """The layer of each pixel, H x W: the map's range in `cut.layers` equal steps, in whole numbers.

    The range is from the smallest to the largest value, without one in 200 at either end; what is outside is
    in the outermost layer. So any scale, and where near is large any shift, gives the same layers. A pixel
    without measurement is in the layer of the nearest one that has a measurement.

    Args:
        values: H x W, uint8 or uint16.
        cut: How they are cut; at most 255 layers.

    Raises:
        UnusableImage: If less than half of the pixels are measured, or all but outliers are equal.
    """
    counts = np.bincount(values.ravel())
    if cut.large == "far":
        counts[0] = 0
    measured = int(counts.sum())
    if 2 * measured < values.size:
        told = f"only {measured / values.size:.1%} of its pixels are measured; fill it first"
        raise UnusableImage(exclusions.DEPTH_FLAT, told)
    up_to = np.cumsum(counts)
    spared = measured // _SPARED
    low, high = (int(each) for each in np.searchsorted(up_to, [spared, measured - 1 - spared], "right"))
    if low == high:
        raise UnusableImage(exclusions.DEPTH_FLAT, f"except for outliers, all of its values are {low}")
    steps = np.arange(len(counts), dtype=np.int64).clip(low, high)
    if cut.large == "near":
        table = (steps - low) * cut.layers // (high - low)
    else:  # (1/value - 1/high) / (1/low - 1/high), without its fractions
        table = (high - steps) * low * cut.layers // ((high - low) * steps)
    layers = np.minimum(table, cut.layers - 1).astype(np.uint8)[values]
    return layers if measured == values.size else _filled(layers, values == 0)


def _filled(layers: NDArray[np.uint8], unknown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The layers, those of unknown pixels taken from the nearest known one."""
    _, nearest = cv2.distanceTransformWithLabels(
        unknown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    filled: NDArray[np.uint8] = layers[~unknown][nearest - 1]  # the known are numbered from 1, row by row
    return filled
