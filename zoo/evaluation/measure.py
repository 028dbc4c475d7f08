"""Everything that is measured on one fused picture. Pure functions of pixels."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.data import Stack
from zoo.fusing.fuse_frames import Fused
from zoo.metrics import FramePair, gray, psnr, ssim_map
from zoo.metrics.measures import CERTAIN, RIM

if TYPE_CHECKING:
    from mfsynth.sample import Picture

_Value = TypeVar("_Value", bound=np.generic)

BAND = 5
"""How far from an edge of the focus map, in pixels, the band reaches to either side."""
EQUAL = 100.0
"""PSNR in dB that equal pictures count with in a mean."""
_MARGIN = 5
"""Pixels at the border that SSIM's window omits."""


class Measured:
    """A stack, ready to measure fused pictures of it; what the measures share is computed once."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @cached_property
    def _frames(self) -> FramePair:
        return FramePair(*map(gray, self.stack.frames))

    @cached_property
    def _areas(self) -> dict[str, NDArray[np.bool_] | None]:
        """Where measures are taken, H x W, by the ends of their names; None is everywhere.

        The parts are there only if the stack says where some frame shows the truth.
        """
        stack = self.stack
        areas: dict[str, NDArray[np.bool_] | None] = {"": None}
        if stack.focus is not None:
            areas["_band"] = edge_band(stack.focus)
        if stack.certain is None:
            return areas
        certain = stack.certain == 255
        parts = {CERTAIN: certain, RIM: ~certain}
        return areas | {
            name + end: part if area is None else part & area
            for end, part in parts.items()
            for name, area in areas.items()
        }

    def values(self, fused: Fused, swapped: Picture | None = None) -> dict[str, float]:
        """Every measure that can be taken on a fused picture, by name; NaN where its area is empty.

        Args:
            fused: The picture, and a decision map if there is one.
            swapped: What the method makes of the frames in the other order; None if that is not measured.
        """
        stack = self.stack
        values = self._frames.score(gray(fused.image)) if len(stack.frames) == 2 else {}
        values |= self.against_truth(fused.image)
        if stack.target is not None and fused.decision is not None:
            right = fused.decision == stack.target
            values |= {f"accuracy{end}": _mean(_inside(right, area)) for end, area in self._areas.items()}
        if swapped is not None:
            squares = np.square((fused.image.astype(np.float64) - swapped) / 255)
            values |= {"swap_mean": float(squares.mean()), "swap_max": float(squares.max())}
        return values

    def against_truth(self, picture: Picture) -> dict[str, float]:
        """The measures of a picture that compare it with the truth; none if that is not known."""
        truth, values = self.stack.truth, {}
        if truth is None:
            return {}
        similar = ssim_map(gray(truth), gray(picture))
        for end, area in self._areas.items():
            inner = area if area is None else area[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
            values[f"psnr{end}"] = _psnr(_inside(truth, area), _inside(picture, area))
            values[f"ssim{end}"] = _mean(_inside(similar, inner))
        return values


def _inside(values: NDArray[_Value], area: NDArray[np.bool_] | None) -> NDArray[_Value]:
    return values if area is None else values[area]


def _psnr(truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    return min(psnr(truth, picture), EQUAL) if truth.size else np.nan


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
