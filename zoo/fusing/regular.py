"""One frame over a wide area where nothing is sharp in any: the regularized decision.

Where frames hardly differ, a network's logits are small, and its decision flickers: it changes every few
pixels. There, scores are replaced by what is said around: evidence spreads by pull-push (Gortler et al., The
Lumigraph, 1996), that is, what is missing comes from a pyramid of weighted means, from the finest level that
knows enough. Where the decision does not flicker, or logits are large, scores stay exactly as they are.

A seam is not flicker. In front of a plain sky, logits are small along the outline of a thing, too, since they
change their sign there; but the decision changes once, along a line, and the network is right on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from zoo.fusing.layer import View
    from zoo.fusing.tiles import Window

    Map = NDArray[np.float32]

WEAK, STRONG = 3.0, 4.5
"""Logits, in the mean over a neighborhood, that are no evidence at all, and full evidence."""

ALONE = 2.0
"""How much larger the logit of a pixel must be than the mean of its neighborhood to count as much."""

NEIGHBORHOOD = 11
"""Side of the neighborhood, in pixels: wider than the seam between two frames, where logits change sign."""

AREA = 129
"""Side of the square, in pixels, in which changes of the decision are counted.

A seam that crosses it changes the decision at one in 129 pixels.
"""

FLICKER = 0.012, 0.02
"""Shares of pixels at which the decision changes: a seam up to the first, flicker from the second on."""

NOISE = (0.5 / 255, 3 / 255)
"""The least and the most that counts as noise: the rms difference of two layers as the network sees them."""

NOISY = 3.0
"""What may count as noise in any case, in units of the standard deviation of a layer's own noise."""

DIFFERENT = 1.3, 2.6
"""Differences, in units of noise, that noise can be, and that it cannot be."""

LEAST = 1e-6
"""Evidence anywhere: where there is no other within a thousand pixels or so, the mean of all scores there."""

_SECOND = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32)

LIMIT = 4.0
"""The largest score that spreads, so that a very sure pixel counts no more than a sure one."""


def regularized(scored: Iterable[tuple[Window, Map]], layers: Sequence[View]) -> Iterator[tuple[Window, Map]]:
    """HF-Seg's scores, n x h x w for each window, with one frame over a wide area where nothing is sharp.

    Swapping layers swaps scores, bit for bit.
    """
    windows, scores = _held(scored, layers)
    regularize(scores, differing(layers))
    for window in windows:
        yield window, scores[(slice(None), *window)]


def _held(
    scored: Iterable[tuple[Window, Map]], layers: Sequence[View]
) -> tuple[list[Window], NDArray[np.float32]]:
    windows, scores = [], np.empty((len(layers), *layers[0].shape[:2]), np.float32)
    for window, each in scored:
        windows.append(window)
        scores[(slice(None), *window)] = each
    return windows, scores


def regularize(scores: Map, different: Map) -> None:
    """Replace scores, n x H x W, where frames are alike, logits are small, and the decision flickers.

    What replaces them is as sure as the scores around are on average, so that frames are mixed as much as
    before, and noise with them.

    Args:
        scores: -inf where a layer shows nothing.
        different: How surely layers differ by more than noise, H x W in [0, 1].
    """
    hidden = np.isneginf(scores)
    masked = bool(hidden.any())
    if masked:
        scores[hidden] = -LIMIT  # what spreads from here: the others are the ones to take
    best = scores.max(0)
    evidence, sureness = evident(best - scores.min(0), changes(each == best for each in scores), different)
    if masked:
        evidence[hidden.sum(0) == len(scores) - 1] = 1
        evidence[hidden.all(0)] = LEAST
    levels = pyramid(evidence)
    for each in scores:
        each += (1 - evidence) * (sureness * spread(each.clip(-LIMIT, LIMIT), levels) - each)
    scores[hidden] = -np.inf


def evident(logits: Map, changing: NDArray[np.bool_], different: Map) -> tuple[Map, Map]:
    """How much evidence there is at each pixel, H x W from `LEAST` to 1, and how sure decisions around are.

    Args:
        logits: By how much the best score is above the worst, or the second.
        changing: Where the decision changes. Only changes at weak pixels count: where logits are large,
            details are decided one by one.
        different: See `regularize`.
    """
    mean = np.asarray(cv2.blur(logits, (NEIGHBORHOOD, NEIGHBORHOOD)), np.float32)
    weak = (1 - different) * (1 - _step(np.maximum(mean, logits - ALONE), WEAK, STRONG))
    flicker = _step(np.asarray(cv2.blur(changing * weak, (AREA, AREA)), np.float32), *FLICKER)
    evidence = np.asarray((1 - weak * flicker).clip(LEAST), np.float32)
    return evidence, np.asarray((mean / (2 * LIMIT)).clip(0, 1))


def changes(chosen: Iterable[NDArray[Any]]) -> NDArray[np.bool_]:
    """Where any map of what is chosen changes to the right or below."""
    changing: list[NDArray[np.bool_]] = []
    for each in chosen:
        here = np.zeros(each.shape, bool)
        here[:, :-1] |= each[:, :-1] != each[:, 1:]
        here[:-1] |= each[:-1] != each[1:]
        changing = [here if not changing else np.logical_or(changing[0], here, out=changing[0])]
    return changing[0]


def differing(layers: Sequence[View]) -> Map:
    """How surely layers differ by more than noise, H x W in [0, 1].

    The noise is what they differ by where they differ least. Every second pixel is looked at.
    """
    height, width = layers[0].shape[:2]
    squares, own = _differences(layers)
    rms = np.sqrt(_blurred(squares))
    noise = np.percentile(rms, 10).clip(NOISE[0], max(NOISE[1], NOISY * own))
    sure = _step(rms / noise, *DIFFERENT)
    return np.asarray(cv2.resize(sure, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _differences(layers: Sequence[View]) -> tuple[Map, float]:
    """The largest difference between any two layers, squared, and the noise of the noisiest."""
    every = (slice(None, None, 2), slice(None, None, 2))
    low = np.full_like(layers[0].part(every).pixels, np.inf, np.float32)
    high, noise = -low, 0.0
    for layer in (each.part(every) for each in layers):
        seen, where = layer.seen(), np.True_ if layer.shown is None else layer.shown
        where = where.reshape(where.shape + (1,) * (low.ndim - 2)) if where.ndim else where
        np.minimum(low, seen, out=low, where=where)
        np.maximum(high, seen, out=high, where=where)
        noise = max(noise, _noise(seen))
    return _mean(np.square((high - low).clip(0))), noise


def _noise(seen: Map) -> float:
    """The standard deviation of a picture's noise, where it is calmest.

    By the second difference of second differences, as in Immerkær, Fast noise variance estimation, 1996.
    """
    squares = _mean(np.square(cv2.filter2D(seen, cv2.CV_32F, _SECOND)))
    return float(np.sqrt(np.percentile(_blurred(squares), 10)) / 6)


def _blurred(squares: Map) -> Map:
    """Means of 5 x 5; OpenCV takes them from running sums, which may end a little below zero."""
    return np.asarray(cv2.blur(squares, (5, 5)).clip(0), np.float32)


def _mean(values: Map) -> Map:
    """Over channels, if there are any."""
    return np.asarray(values.mean(2) if values.ndim == 3 else values, np.float32)


@dataclass(frozen=True, slots=True)
class Level:
    """Of a pyramid: how much evidence there is, at most 1, and by what the means of the finer level grow."""

    evidence: Map
    growth: Map | float = 1.0


def pyramid(evidence: Map) -> list[Level]:
    """Evidence in ever wider surroundings, up to a single pixel; a quarter of them is enough to be sure."""
    levels = [Level(evidence)]
    while max(levels[-1].evidence.shape) > 1:
        mean = np.asarray(cv2.pyrDown(levels[-1].evidence), np.float32)
        growth = np.asarray(1 / mean.clip(0.25), np.float32)
        levels.append(Level(np.asarray(mean * growth), growth))
    return levels


def spread(values: Map, levels: list[Level]) -> Map:
    """Values where there is evidence, and as far as it lacks those of ever wider surroundings."""
    sums = [values * levels[0].evidence]
    for level in levels[1:]:
        sums.append(cv2.pyrDown(sums[-1]) * level.growth)
    spread: Map = sums[-1] / levels[-1].evidence
    for known, level in zip(sums[-2::-1], levels[-2::-1], strict=True):
        height, width = known.shape
        coarse = np.asarray(cv2.pyrUp(spread, dstsize=(width, height)), np.float32)
        spread = known + (1 - level.evidence) * coarse
    return spread


def _step(values: Map, low: float, high: float) -> Map:
    """0 below, 1 above, and smooth between."""
    t = np.asarray(((values - low) / (high - low)).clip(0, 1), np.float32)
    return np.asarray(t * t * (3 - 2 * t))
