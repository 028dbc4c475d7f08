"""What a network says about layers, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, cast

import numpy as np

from zoo.errors import ZooError
from zoo.fusing.runner import HALF, Runner
from zoo.fusing.tiles import strips, tile_side, tiles_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from zoo.fusing.interface import FusionNetwork, TorchNetwork
    from zoo.fusing.layer import View
    from zoo.fusing.runner import Map
    from zoo.fusing.tiles import Tile, Window

    Mask = NDArray[np.bool_]

MIDDLE = HALF
"""What the network sees where no layer shows anything."""

SEEING = 0.5
"""Of the time of a network for sets, about what it takes to see the layers; their scores come after that."""


def runner_of(model: FusionNetwork) -> Runner:
    """A network as one that runs on arrays; torch is imported for its own networks only."""
    if isinstance(model, Runner):
        return model
    from zoo.fusing.torch_runner import TorchRunner

    return TorchRunner(cast("TorchNetwork", model))


@dataclass(frozen=True, slots=True)
class Scorer:
    """A network, and how it is run.

    Args:
        runner: A network for sets, HF-Seg or HF-Reg, that runs on arrays.
        symmetric: Evaluate both orders of every two layers.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        progress: Called after each comparison of two layers' tiles, with the tile's share of the picture. A
            network for sets makes one comparison of all layers; it is called after each tile of each layer,
            and when all are scored there.
    """

    runner: Runner
    symmetric: bool = True
    tile: int | None = None
    progress: Callable[[float], None] = lambda _share: None

    def scores(self, layers: Sequence[View]) -> Iterator[tuple[Window, Map]]:
        """How likely it is that each layer is the sharp one, tile by tile, or in strips of tiles.

        Yields:
            A window, which begins at multiples of the stride, and for it n x h x w, -inf where a layer shows
            nothing: what a network for sets says; HF-Seg's scores, from its logits for every two layers that
            show something there, so that the softmax for two is Eq. 2's z; or HF-Reg's negated squared
            distance of each of two layers from the predicted picture.
        """
        if self.runner.config.sets:
            yield from self._set_scores(layers)
            return
        for views in self._views(layers):
            scores = self._pairwise(views) if self.runner.config.task == "seg" else self._nearness(views)
            if views.masked:
                scores[~views.shown()] = -np.inf
            yield views.tile.window, scores

    def pictures(self, layers: Sequence[View]) -> Iterator[tuple[Window, Map]]:
        """HF-Reg's prediction from two layers, tile by tile: a window, and 3 x h x w in [0, 1]."""
        for views in self._views(layers):
            yield views.tile.window, self._picture(views)

    def _tiles(self, layers: Sequence[View]) -> Iterator[tuple[Tile, float]]:
        """Tiles, and their shares of the picture."""
        height, width = layers[0].shape[:2]
        config = self.runner.config
        with_margins = self.runner.all_at_once
        side = tile_side(config, self.tile, height, width, len(layers), with_margins)
        for tile in tiles_for(config, height, width, side):
            rows, columns = tile.window
            yield tile, (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)

    def _views(self, layers: Sequence[View]) -> Iterator[_Views]:
        for tile, share in self._tiles(layers):
            seen = [_seen(layer, tile) for layer in layers]
            masks = [_mask(layer, tile) for layer in layers]
            yield _Views(seen, masks, tile, share)

    def _set_scores(self, layers: Sequence[View]) -> Iterator[tuple[Window, Map]]:
        for tile, share in self._tiles(layers):
            masks = [_mask(layer, tile) for layer in layers]
            seen = self._filled(layers, masks, tile, SEEING * share / len(layers))
            parts = self.runner.scores(seen, tile.inner)
            self.progress((1 - SEEING) * share)
            rows, columns = tile.window
            inside = [None if mask is None else mask[tile.inner] for mask in masks]
            # in strips: what is made of the scores needs many times their memory
            height, width = parts[0].shape
            for strip in strips(height, width, self.runner.config.stride):
                scores = _finite(np.stack([part[strip] for part in parts]))
                for score, mask in zip(scores, inside, strict=True):
                    if mask is not None:
                        score[~mask[strip]] = -np.inf
                yield (slice(rows.start + strip.start, rows.start + strip.stop), columns), scores
            del parts  # before the next tile is seen

    def _filled(
        self, layers: Sequence[View], masks: Sequence[Mask | None], tile: Tile, share: float
    ) -> Iterator[Map]:
        """What the network sees of each layer: where it shows nothing, the mean of those that do.

        So no edge appears where a layer ends, and the network sees no deviation from the mean there.
        """
        mean = _mean(layers, masks, tile) if any(mask is not None for mask in masks) else None
        for layer, mask in zip(layers, masks, strict=True):
            seen = _seen(layer, tile)
            yield seen if mask is None or mean is None else np.where(_of_values(mask, seen), seen, mean)
            self.progress(share)

    def _pairwise(self, views: _Views) -> Map:
        """Scores from the logits l_kj of every two layers: -log(sum_j exp(-l_kj)), with l_kk = 0.

        If logits were differences of scores, these would be the scores, but for what all have in common. A
        mean over j is diluted: most of its logits only compare blurred layers with one another.
        """
        totals = [np.zeros_like(views.inside(0)) for _ in views.seen]
        for first, second in combinations(range(len(views.seen)), 2):
            logit = self._pair(*views.pair(first, second))[(0, *views.tile.inner)]
            both = views.shown(first) & views.shown(second) if views.masked else None
            self.progress(views.share)
            if len(views.seen) == 2:  # half the logit each, which swapping negates bit for bit
                logit = logit if both is None else logit * both
                return _finite(np.stack([logit, -logit]) * HALF)
            for place, against in ((first, -logit), (second, logit)):
                other = against if both is None else np.where(both, against, -np.inf)
                totals[place] = np.logaddexp(totals[place], other)
        return _finite(-np.stack(totals))

    def _picture(self, views: _Views) -> Map:
        picture = self._pair(*views.pair(0, 1))[(slice(None), *views.tile.inner)]
        self.progress(views.share)
        return _finite(picture).clip(0, 1)

    def _nearness(self, views: _Views) -> Map:
        picture = self._picture(views)
        frames = (_planes(each)[(slice(None), *views.tile.inner)] for each in views.seen)
        return -np.stack([np.square(picture - frame).sum(0) for frame in frames])

    def _pair(self, a: Map, b: Map) -> Map:
        return self.runner.symmetric(a, b) if self.symmetric else self.runner.pair(a, b)


@dataclass(frozen=True, slots=True)
class _Views:
    """What the network sees of a tile: of each layer H x W (x 3), and H x W where it shows something."""

    seen: list[Map]
    masks: list[Mask | None]
    tile: Tile
    share: float

    @property
    def masked(self) -> bool:
        return any(mask is not None for mask in self.masks)

    def inside(self, number: int) -> Map:
        """A channel of a layer inside the tile, h x w."""
        return _planes(self.seen[number])[(0, *self.tile.inner)]

    def shown(self, number: int | None = None) -> Mask:
        """Where a layer shows something inside the tile, h x w; n x h x w for all."""
        if number is None:
            return np.stack([self.shown(each) for each in range(len(self.seen))])
        mask = self.masks[number]
        return np.ones(self.inside(number).shape, bool) if mask is None else mask[self.tile.inner]

    def pair(self, first: int, second: int) -> tuple[Map, Map]:
        """Two layers, each filled with the other where it shows nothing, so that no edge appears there."""
        a, b = self.seen[first], self.seen[second]
        one, other = (
            None if mask is None else _of_values(mask, a) for mask in (self.masks[first], self.masks[second])
        )
        from_one = a if one is None else np.where(one, a, MIDDLE)
        from_other = b if other is None else np.where(other, b, MIDDLE)
        return (
            a if one is None else np.where(one, a, from_other),
            b if other is None else np.where(other, b, from_one),
        )


def _seen(layer: View, tile: Tile) -> Map:
    return layer.part(tile.outer).seen()


def _mask(layer: View, tile: Tile) -> Mask | None:
    """Where a layer shows something; None is everywhere in the tile and its surroundings."""
    shown = layer.mask(tile.outer)
    return None if shown is None or shown.all() else shown


def _mean(layers: Sequence[View], masks: Sequence[Mask | None], tile: Tile) -> Map:
    """The mean of the layers that show something."""
    total: Map = np.zeros((), np.float32)
    count: Map = np.zeros((), np.float32)
    for layer, mask in zip(layers, masks, strict=True):
        seen = _seen(layer, tile)
        known = np.ones((), bool) if mask is None else _of_values(mask, seen)
        total = total + np.where(known, seen, np.float32(0))
        count = count + known.astype(np.float32)
    return np.where(count > 0, total / np.maximum(count, 1), MIDDLE)


def _of_values(mask: Mask, values: Map) -> Mask:
    """A mask of pixels as one of their values, if these have channels."""
    return mask if values.ndim == 2 else mask[..., None]


def _planes(values: Map) -> Map:
    """3 x H x W, from H x W x 3 or H x W."""
    return values.transpose(2, 0, 1) if values.ndim == 3 else np.broadcast_to(values, (3, *values.shape))


def _finite(values: Map) -> Map:
    if not np.isfinite([values.min(), values.max()]).all():  # nan is the least, and the largest
        raise ZooError("the network's result is not finite", "compute in fp32 or bf16, or check its weights")
    return values
