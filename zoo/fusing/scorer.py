"""What a network says about layers, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from zoo.errors import ZooError
from zoo.fusing.tiles import tile_side, tiles_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from zoo.fusing.fused import FusionNetwork
    from zoo.fusing.layer import Layer
    from zoo.fusing.tiles import Tile, Window

RIM = 16
"""Pixels over which a layer, as the network sees it, fades into the other one towards where it ends."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A network, and how it is run.

    Args:
        model: HF-Seg or HF-Reg.
        symmetric: Evaluate both orders of every two layers.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        progress: Called after each comparison of two layers' tiles, with the tile's share of the picture.
    """

    model: FusionNetwork
    symmetric: bool = True
    tile: int | None = None
    progress: Callable[[float], None] = lambda _share: None

    def scores(self, layers: Sequence[Layer]) -> Iterator[tuple[Window, Tensor]]:
        """How likely it is that each layer is the sharp one, tile by tile.

        Yields:
            A window, and for it n x h x w, -inf where a layer shows nothing: HF-Seg's mean logit of each
            layer against all that show something there, so that the softmax for two is Eq. 2's z; or HF-Reg's
            negated squared distance of each of two layers from the predicted picture.
        """
        for views in self._tiles(layers):
            scores = self._mean_logits(views) if self.model.config.task == "seg" else self._nearness(views)
            if views.masked:
                scores = scores.masked_fill(~views.shown(), -torch.inf)
            yield views.tile.window, scores

    def pictures(self, layers: Sequence[Layer]) -> Iterator[tuple[Window, Tensor]]:
        """HF-Reg's prediction from two layers, tile by tile: a window, and 3 x h x w in [0, 1]."""
        for views in self._tiles(layers):
            yield views.tile.window, self._picture(views)

    def _tiles(self, layers: Sequence[Layer]) -> Iterator[_Views]:
        height, width = layers[0].pixels.shape[:2]
        fades = [None if each.shown is None else fade(each.shown) for each in layers]
        side = tile_side(self.model.config, self.tile, height, width)
        for tile in tiles_for(self.model.config, height, width, side):
            rows, columns = tile.window
            share = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
            seen = [_tensor(layer.seen(tile.outer)).to(self.model.device) for layer in layers]
            alphas = [
                None if each is None or (each[tile.outer] == RIM).all()
                else torch.from_numpy(each[tile.outer]).to(self.model.device) / RIM
                for each in fades
            ]  # fmt: skip
            yield _Views(seen, alphas, tile, share)

    @torch.inference_mode()
    def _mean_logits(self, views: _Views) -> Tensor:
        count = len(views.seen)
        scores = [torch.zeros_like(each[0, 0][views.tile.inner]) for each in views.seen]
        for first, second in combinations(range(count), 2):
            logit = self._pair(*views.pair(first, second))[0, 0][views.tile.inner]
            if views.masked:
                logit = logit * (views.shown(first) & views.shown(second))
            scores[first] = scores[first] + logit
            scores[second] = scores[second] - logit
            self.progress(views.share)
        return _finite(torch.stack(scores) / (views.shown().sum(0).clamp(min=1) if views.masked else count))

    @torch.inference_mode()
    def _picture(self, views: _Views) -> Tensor:
        picture = self._pair(*views.pair(0, 1))[0][(slice(None), *views.tile.inner)]
        self.progress(views.share)
        return _finite(picture).clamp(0, 1)

    @torch.inference_mode()
    def _nearness(self, views: _Views) -> Tensor:
        picture = self._picture(views)
        inside = (0, slice(None), *views.tile.inner)
        return -torch.stack([(picture - frame[inside]).square().sum(0) for frame in views.seen])

    def _pair(self, a: Tensor, b: Tensor) -> Tensor:
        return self.model.symmetric(a, b) if self.symmetric else self.model(a, b)


@dataclass(frozen=True, slots=True)
class _Views:
    """What the network sees of a tile: of each layer 1 x 3 x H x W, and H x W how much of it is its own."""

    seen: list[Tensor]
    alphas: list[Tensor | None]
    tile: Tile
    share: float

    @property
    def masked(self) -> bool:
        return any(alpha is not None for alpha in self.alphas)

    def shown(self, number: int | None = None) -> Tensor:
        """Where a layer shows something, h x w; n x h x w for all."""
        if number is None:
            return torch.stack([self.shown(each) for each in range(len(self.seen))])
        alpha = self.alphas[number]
        everywhere = torch.ones_like(self.seen[number][0, 0], dtype=torch.bool)
        return (everywhere if alpha is None else alpha > 0)[self.tile.inner]

    def pair(self, first: int, second: int) -> tuple[Tensor, Tensor]:
        """Two layers, each filled with the other where it shows nothing, so that no edge appears there.

        They fade into each other, since a sudden change from a blurred layer to a sharp one would look sharp.
        """
        a, b = self.seen[first], self.seen[second]
        one, other = self.alphas[first], self.alphas[second]
        if one is None and other is None:
            return a, b
        full = torch.ones_like(a[0, 0])
        one, other = full if one is None else one, full if other is None else other
        total = one + other
        share = torch.where(total > 0, one / total.clamp(min=1 / RIM), 0.5)
        filling = share * a + (1 - share) * b
        return one * a + (1 - one) * filling, other * b + (1 - other) * filling


def fade(shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The distance to where a layer ends, in whole pixels, RIM at most: H x W, 0 where it shows nothing."""
    distance = cv2.distanceTransform(shown.astype(np.uint8), cv2.DIST_L2, 3)
    return np.where(shown, distance.clip(1, RIM), 0).astype(np.uint8)


def _tensor(values: NDArray[np.float32]) -> Tensor:
    tensor = torch.from_numpy(values)
    return (tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor.expand(3, *tensor.shape))[None]


def _finite(values: Tensor) -> Tensor:
    if not values.isfinite().all():
        raise ZooError("the network's result is not finite", "compute in fp32 or bf16, or check its weights")
    return values
