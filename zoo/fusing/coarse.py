"""The regularized decision of `zoo.fusing.regular`, for any number of layers.

The scores of all layers at every pixel would not fit into memory. What spreads is smooth, so it is kept at an
eighth of the resolution. Each pixel either keeps its own decision, or is decided by what spreads to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo.fusing.regular import ALONE, AREA, LIMIT, STRONG, changes, differing, evident, pyramid, spread
from zoo.fusing.rules import halved, unhalved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from zoo.fusing.layer import View
    from zoo.fusing.regular import Map
    from zoo.fusing.tiles import Window

BLOCK = 8
"""Side of the squares of pixels whose scores are averaged."""

STRIP = 512
"""Rows of a strip."""

DOUBT = 0.5
"""The evidence below which a pixel is decided by what is around."""


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """What is kept of the scores of a picture.

    Attributes:
        logits: H x W, float16: by how much the best score is above the second.
        scores: Of each layer, the means of blocks, float16 up to `LIMIT`.
        block: Their side; every window begins at a multiple of it.
        windows: Those that were added.
    """

    logits: NDArray[np.float16]
    scores: NDArray[np.float16]
    block: int
    windows: list[Window]

    @classmethod
    def of(cls, layers: Sequence[View], stride: int) -> Coarse:
        """Nothing yet, for windows that begin at multiples of the stride."""
        height, width = layers[0].shape[:2]
        block = gcd(stride, BLOCK)
        scores = np.zeros((len(layers), -(-height // block), -(-width // block)), np.float16)
        return cls(np.zeros((height, width), np.float16), scores, block, [])

    def add(self, window: Window, scores: Map) -> None:
        """Keep what matters of a window's scores, n x h x w, -inf where a layer shows nothing."""
        hidden = scores == -np.inf
        shown = np.where(hidden, np.float32(-LIMIT), scores)  # what spreads: the others are the ones to take
        best, second = _best_two(shown)
        alone = hidden.sum(0) == len(scores) - 1
        logits = np.where(alone, np.float32(ALONE + STRONG), best - second)  # a lone layer is evident
        self.logits[window] = halved(np.minimum(logits, 1000))
        rows, columns = (slice(part.start // self.block, -(-part.stop // self.block)) for part in window)
        self.scores[:, rows, columns] = [halved(self._means(each)) for each in shown.clip(-LIMIT, LIMIT)]
        self.windows.append(window)

    def doubtful(
        self, layers: Sequence[View], decision: NDArray[np.uint8]
    ) -> Iterator[tuple[Window, NDArray[np.bool_], Map]]:
        """Windows with pixels to decide by what is around: where they are, and scores, n x h x w."""
        doubt, sureness, evidence = self._evident(differing(layers), changes([decision]))
        if not doubt.any():
            return
        levels = pyramid(evidence)
        for each in self.scores:
            each[...] = spread(unhalved(each), levels)
        for window in self.windows:
            if doubt[window].any():
                scores = self._enlarged(window) * unhalved(sureness[window])
                for score, layer in zip(scores, layers, strict=True):
                    mask = layer.mask(window)
                    if mask is not None:
                        score[~mask] = -np.inf
                yield window, doubt[window], scores

    def _evident(
        self, different: Map, changing: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float16], Map]:
        """Where there is doubt and how sure decisions around are, H x W; and the evidence in each block.

        Strip by strip, since intermediate maps of the whole would need more memory than the result.
        """
        height, width = self.logits.shape
        doubt, sureness = np.empty((height, width), bool), np.empty((height, width), np.float16)
        evidence = np.empty(self.scores.shape[1:], np.float32)
        for top in range(0, height, STRIP):
            outer = slice(max(top - AREA, 0), top + STRIP + AREA)
            inner = slice(top - outer.start, top - outer.start + STRIP)
            logits = unhalved(self.logits[outer])
            here, sure = (each[inner] for each in evident(logits, changing[outer], different[outer]))
            rows = slice(top, top + STRIP)
            doubt[rows], sureness[rows] = here < DOUBT, halved(sure)
            means = self._means(here)
            evidence[top // self.block : top // self.block + len(means)] = means
        return doubt, sureness, evidence

    def _means(self, values: Map) -> Map:
        """Of H x W values, those of blocks, which may be smaller at the border."""
        height, width = values.shape
        rows, columns = (-(-side // self.block) for side in (height, width))
        below, beside = rows * self.block - height, columns * self.block - width
        whole = cv2.copyMakeBorder(values, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0.0)
        means = np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
        means[-1] *= self.block / (self.block - below)
        means[:, -1] *= self.block / (self.block - beside)
        return means

    def _enlarged(self, window: Window) -> Map:
        """What spread, at full resolution, interpolated as if of the whole."""
        sizes = self.scores.shape[1:]
        outer = [
            slice(max(part.start // self.block - 1, 0), min(-(-part.stop // self.block) + 1, size))
            for part, size in zip(window, sizes, strict=True)
        ]
        rows, columns = (
            slice(part.start - each.start * self.block, part.stop - each.start * self.block)
            for part, each in zip(window, outer, strict=True)
        )
        height, width = (self.block * (each.stop - each.start) for each in outer)
        parts = (unhalved(each) for each in self.scores[(slice(None), *outer)])
        return np.stack([cv2.resize(each, (width, height))[rows, columns] for each in parts])


def _best_two(scores: Map) -> tuple[Map, Map]:
    """The largest and the second largest of n x h x w scores."""
    best, second = np.maximum(scores[0], scores[1]), np.minimum(scores[0], scores[1])
    for each in scores[2:]:
        second = np.maximum(second, np.minimum(best, each))
        best = np.maximum(best, each)
    return best, second
