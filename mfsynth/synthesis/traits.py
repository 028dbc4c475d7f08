"""What a picture says of its segments, for draws that depend on it: how low they end, how sharp they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.recipe import Traits

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from mfsynth.recipe import SegmentInfo
    from mfsynth.sample import Picture, SegmentMap
    from mfsynth.synthesis.draw import DrawOptions

SIGMA = 1.0
"""Of the small blur, in pixels."""


def traits_of(
    picture: Picture,
    segments: SegmentMap,
    infos: Sequence[SegmentInfo],
    stuff: Set[int],
    options: DrawOptions,
) -> tuple[Traits, ...]:
    """The traits of an image's segments; none if the options do not need them.

    Args:
        picture: H x W x 3, RGB, uint8.
        segments: H x W, the index of the segment.
        infos: The segments.
        stuff: Ids of the categories that are stuff; void, category 0, always is.
        options: Of the draw.
    """
    if not options.optical:
        return ()
    bottoms, sharpness = _bottoms(segments, len(infos)), sharpness_of(picture, segments, len(infos))
    return tuple(
        Traits(bottom, int(info.category_id == 0 or info.category_id in stuff), sharp, info.index)
        for info, bottom, sharp in zip(infos, bottoms, sharpness, strict=True)
    )


def _bottoms(segments: SegmentMap, count: int) -> list[int]:
    """The lowest row with a pixel of each segment."""
    height = segments.shape[0]
    cells = segments + np.arange(height, dtype=np.int64)[:, None] * count
    present = np.bincount(cells.ravel(), minlength=height * count).reshape(height, count) > 0
    bottoms: list[int] = (height - 1 - present[::-1].argmax(axis=0)).tolist()
    return bottoms


def sharpness_of(picture: Picture, segments: SegmentMap, count: int) -> list[float]:
    """How much a small blur changes each segment: mean absolute difference in gray levels.

    OpenCV's 8-bit Gaussian is exact in fixed point, so that every machine gives the same.
    """
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    change = cv2.absdiff(gray, cv2.GaussianBlur(gray, (0, 0), SIGMA))
    sums = np.bincount(segments.ravel(), change.ravel(), count)
    areas = np.bincount(segments.ravel(), minlength=count)
    means: list[float] = (sums / np.maximum(1, areas)).tolist()
    return means
