"""Everything that is measured on one fused picture. Pure functions of pixels."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.data import Pair
from zoo.fusing.fusion import Fused
from zoo.metrics import FramePair, gray, psnr, ssim_map

if TYPE_CHECKING:
    from mfsynth.sample import Picture

BAND = 5
"""How far from an edge of the focus map, in pixels, the band reaches to either side."""
EQUAL = 100.0
"""PSNR in dB that equal pictures count with in a mean."""
_MARGIN = 5
"""Pixels at the border that SSIM's window omits."""


class Measured:
    """A pair, ready to measure fused pictures of it; what the measures share is computed once."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    @cached_property
    def _frames(self) -> FramePair:
        return FramePair(*map(gray, self.pair.frames))

    @cached_property
    def _band(self) -> NDArray[np.bool_] | None:
        return None if self.pair.focus is None else edge_band(self.pair.focus)

    def values(self, fused: Fused, swapped: Picture | None = None) -> dict[str, float]:
        """Every measure that can be taken on a fused picture, by name.

        Args:
            fused: The picture, and a decision map if there is one.
            swapped: What the method makes of the frames in the other order; None if that is not measured.
        """
        values = self._frames.score(gray(fused.image))
        if self.pair.truth is not None:
            values |= self._against_truth(self.pair.truth, fused.image)
        if self.pair.focus is not None and fused.decision is not None:
            values |= self._decided(fused.decision == self.pair.focus)
        if swapped is not None:
            squares = np.square((fused.image.astype(np.float64) - swapped) / 255)
            values |= {"swap_mean": float(squares.mean()), "swap_max": float(squares.max())}
        return values

    def _against_truth(self, truth: Picture, picture: Picture) -> dict[str, float]:
        similar = ssim_map(gray(truth), gray(picture))
        values = {"psnr": min(psnr(truth, picture), EQUAL), "ssim": float(similar.mean())}
        if self._band is not None:
            inner = self._band[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
            values["psnr_band"] = (
                min(psnr(truth[self._band], picture[self._band]), EQUAL) if self._band.any() else np.nan
            )
            values["ssim_band"] = _mean(similar[inner])
        return values

    def _decided(self, right: NDArray[np.bool_]) -> dict[str, float]:
        values = {"accuracy": float(right.mean())}
        if self._band is not None:
            values["accuracy_band"] = _mean(right[self._band])
        return values


def edge_band(focus: NDArray[np.uint8], reach: int = BAND) -> NDArray[np.bool_]:
    """Where a focus map, H x W, has a pixel of another value within `reach` pixels; H x W."""
    near = np.zeros(focus.shape, np.bool_)
    for value in np.unique(focus):
        inside = (focus == value).astype(np.uint8)
        if inside.all():
            break
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        near |= (distance > 0) & (distance <= reach)
    return near


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if values.size else np.nan
