"""The decision as a smooth map of depth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Flags = NDArray[np.bool_]

GRID = 4_000_000
"""The most pixels at which depth is smoothed; larger pictures are reduced, and their depth is enlarged."""
_WINDOW = 5  # pixels of the grid: of the median that removes specks of the decision
_AROUND = 7  # pixels of the grid: around a step, where the confidence says whether it is a slope
_REACH = 0.08  # of the grid's diagonal: how far a step on a slope shapes the depth beside it
_DETAIL = 0.01  # of the guide's range: the contrast that makes a decision trustworthy
_EDGE = 0.05  # of the guide's range: a difference between neighbors that holds depth back
_ACROSS_EDGE = 0.2  # the smoothness that is left across an edge of the picture
_ACROSS_JUMP = 1e-3  # the same, across a jump of a decision that is trustworthy
_ROUNDS = 12
_COARSEST = 8  # pixels


def depth_map(
    decision: NDArray[np.uint8], confidence: NDArray[np.floating[Any]] | None, guide: Map, frames: int
) -> Map:
    """Which frame is sharp at each pixel, as a smooth surface between the frames' indices.

    On a slope, a step to the next frame is where both are equally sharp: there the confidence says where
    between the two the surface is. Elsewhere it keeps to the decision, the more the more detail the picture
    has. In between it is smooth, less so across edges of the picture, and hardly at all across jumps of the
    decision where there is detail. This is the weighted least squares of Levin et al., Colorization using
    Optimization (2004), with the trust in the decision as weights, solved from coarse to fine in linear time.

    Args:
        decision: H x W: the frame that each pixel came from.
        confidence: H x W, in [0, 1]: the probability of that frame; None is 1 everywhere.
        guide: H x W, the fused picture in gray, in [0, 1].
        frames: How many the stack has.

    Returns:
        H x W, float32, between the smallest and the largest frame of the decision.
    """
    height, width = decision.shape
    factor = math.ceil(math.sqrt(height * width / GRID))
    size = (max(1, width // factor), max(1, height // factor))
    chosen = _float(cv2.medianBlur(cv2.resize(decision, size, interpolation=cv2.INTER_NEAREST), _WINDOW))
    small = _reduced(guide, size)
    sure = np.ones_like(small) if confidence is None else _reduced(_float(confidence), size)
    trust = _trust(small, 2 / frames**3)
    slope = cv2.blur(sure, (_AROUND, _AROUND)) < 0.6 + 0.05 * frames  # the steps of many frames are finer
    value, weight = _evidence(chosen, sure, trust, slope)
    links = [_links(chosen, trust, slope, small, axis) for axis in (0, 1)]
    surface = _solved(value, weight, *links)
    full = cv2.resize(surface, (width, height), interpolation=cv2.INTER_LINEAR)
    return _float(full.clip(decision.min(), decision.max()))


def _trust(guide: Map, flat: float) -> Map:
    """How much a decision is worth at each pixel, up to 1: much where there is detail."""
    contrast = cv2.blur(np.abs(guide - cv2.GaussianBlur(guide, None, 1.5)), (3, 3))  # type: ignore[call-overload]
    return _float(np.maximum((contrast**2 / (contrast**2 + _DETAIL**2)) ** 2, flat))


def _evidence(chosen: Map, sure: Map, trust: Map, slope: Flags) -> tuple[Map, Map]:
    """What is known of the depth at each pixel, and how well."""
    value, weight = chosen.copy(), np.zeros_like(chosen)
    jumps = np.zeros(chosen.shape, np.uint8)
    for axis in (0, 1):
        one, other = _sides(chosen, axis)
        for here, step in zip(range(2), (other - one, one - other), strict=True):
            near = _sides(slope, axis)[here] & (np.abs(step) == 1)
            between = _sides(chosen, axis)[here] + step * (1 - _sides(sure, axis)[here]).clip(0, 0.5)
            np.copyto(_sides(value, axis)[here], between, where=near)
            np.copyto(_sides(weight, axis)[here], 1, where=near)
            np.copyto(_sides(jumps, axis)[here], 1, where=(step != 0) & ~near)
    reach: Any = _REACH * math.hypot(*chosen.shape)
    if jumps.any():
        reach = np.minimum(reach, cv2.distanceTransform(1 - jumps, cv2.DIST_L2, 3) + 1)
    return value, _float(trust * np.maximum(weight, 1 / reach**2))


def _links(chosen: Map, trust: Map, slope: Flags, guide: Map, axis: int) -> Map:
    """How smooth depth is between each pixel and the next along an axis, up to 1."""
    one, other = _sides(chosen, axis)
    jump = (one != other) & ~((np.abs(one - other) == 1) & _sides(slope, axis)[0])
    edge = np.exp(-((np.subtract(*_sides(guide, axis)) / _EDGE) ** 2))
    trusted = np.where(jump, np.minimum(*_sides(trust, axis)), 0)
    return _float(np.maximum(np.maximum(edge, _ACROSS_EDGE) * (1 - trusted), _ACROSS_JUMP))


def _solved(value: Map, weight: Map, down: Map, right: Map) -> Map:
    """The u that minimizes sum(weight (u - value)^2) + sum(down (du/dy)^2) + sum(right (du/dx)^2).

    By Jacobi's iterations, begun with the solution on a grid of half the size.
    """
    height, width = value.shape
    if min(height, width) <= _COARSEST:
        surface = np.full(value.shape, (value * weight).sum() / weight.sum(), np.float32)
    else:
        size = (width // 2, height // 2)
        total = _reduced(weight, size)
        coarse = _solved(
            _reduced(value * weight, size) / total,
            4 * total,
            _crossed(down, size[1] - 1, size[0]),
            _crossed(right.T, size[0] - 1, size[1]).T,
        )
        surface = _float(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    norm = _sum_of_links(weight, np.ones_like(weight), down, right)
    for _ in range(_ROUNDS):
        surface = 0.2 * surface + 0.8 * _sum_of_links(weight * value, surface, down, right) / norm
    return surface


def _sum_of_links(start: Map, surface: Map, down: Map, right: Map) -> Map:
    """What each pixel has, and its four neighbors weighted by their links."""
    total = start.copy()
    total[:-1] += down * surface[1:]
    total[1:] += down * surface[:-1]
    total[:, :-1] += right * surface[:, 1:]
    total[:, 1:] += right * surface[:, :-1]
    return total


def _crossed(links: Map, rows: int, columns: int) -> Map:
    """Links of a grid of half the size: the weakest that each of them crosses."""
    weakest = np.minimum(np.minimum(links[:-2], links[1:-1]), links[2:])[: 2 * rows : 2]
    return _reduced(weakest, (columns, rows))


def _sides(values: Any, axis: int) -> tuple[Any, Any]:
    """Views of all values but the last along an axis, and of all but the first."""
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])


def _reduced(values: Map, size: tuple[int, int]) -> Map:
    return _float(cv2.resize(values, size, interpolation=cv2.INTER_AREA))


def _float(values: NDArray[Any]) -> Map:
    return np.asarray(values, np.float32)
