"""What a network says about layers, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, cast

import torch

from zoo.errors import ZooError
from zoo.fusing.tiles import strips, tile_side, tiles_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from zoo.fusing.fused import FusionNetwork, SetNetwork
    from zoo.fusing.layer import View
    from zoo.fusing.tiles import Tile, Window

MIDDLE = 0.5
"""What the network sees where no layer shows anything."""

SEEING = 0.5
"""Of the time of a network for sets, about what it takes to see the layers; their scores come after that."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A network, and how it is run.

    Args:
        model: A network for sets, HF-Seg or HF-Reg.
        symmetric: Evaluate both orders of every two layers.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        progress: Called after each comparison of two layers' tiles, with the tile's share of the picture. A
            network for sets makes one comparison of all layers; it is called after each tile of each layer,
            and when all are scored there.
    """

    model: FusionNetwork
    symmetric: bool = True
    tile: int | None = None
    progress: Callable[[float], None] = lambda _share: None

    def scores(self, layers: Sequence[View]) -> Iterator[tuple[Window, Tensor]]:
        """How likely it is that each layer is the sharp one, tile by tile, or in strips of tiles.

        Yields:
            A window, which begins at multiples of the stride, and for it n x h x w, -inf where a layer shows
            nothing: what a network for sets says; HF-Seg's scores, from its logits for every two layers that
            show something there, so that the softmax for two is Eq. 2's z; or HF-Reg's negated squared
            distance of each of two layers from the predicted picture.
        """
        if self.model.config.sets:
            yield from self._set_scores(layers)
            return
        for views in self._views(layers):
            scores = self._pairwise(views) if self.model.config.task == "seg" else self._nearness(views)
            if views.masked:
                scores = scores.masked_fill(~views.shown(), -torch.inf)
            yield views.tile.window, scores

    def pictures(self, layers: Sequence[View]) -> Iterator[tuple[Window, Tensor]]:
        """HF-Reg's prediction from two layers, tile by tile: a window, and 3 x h x w in [0, 1]."""
        for views in self._views(layers):
            yield views.tile.window, self._picture(views)

    def _tiles(self, layers: Sequence[View]) -> Iterator[tuple[Tile, float]]:
        """Tiles, and their shares of the picture."""
        height, width = layers[0].shape[:2]
        side = tile_side(self.model.config, self.tile, height, width, len(layers))
        for tile in tiles_for(self.model.config, height, width, side):
            rows, columns = tile.window
            yield tile, (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)

    def _views(self, layers: Sequence[View]) -> Iterator[_Views]:
        for tile, share in self._tiles(layers):
            seen = [self._seen(layer, tile) for layer in layers]
            masks = [self._mask(layer, tile) for layer in layers]
            yield _Views(seen, masks, tile, share)

    def _seen(self, layer: View, tile: Tile) -> Tensor:
        return _tensor(layer.part(tile.outer).seen()).to(self.model.device)

    def _mask(self, layer: View, tile: Tile) -> Tensor | None:
        """Where a layer shows something; None is everywhere in the tile and its surroundings."""
        shown = layer.mask(tile.outer)
        return None if shown is None or shown.all() else torch.tensor(shown, device=self.model.device)

    @torch.inference_mode()
    def _set_scores(self, layers: Sequence[View]) -> Iterator[tuple[Window, Tensor]]:
        model = cast("SetNetwork", self.model)
        for tile, share in self._tiles(layers):
            masks = [self._mask(layer, tile) for layer in layers]
            seen = self._filled(layers, masks, tile, SEEING * share / len(layers))
            parts = model.scores(seen, tile.inner)
            self.progress((1 - SEEING) * share)
            rows, columns = tile.window
            inside = [None if mask is None else mask[tile.inner] for mask in masks]
            # in strips: what is made of the scores needs many times their memory
            height, width = parts[0].shape[-2:]
            for strip in strips(height, width, model.config.stride):
                scores = _finite(torch.stack([part[0, 0, strip] for part in parts]))
                for score, mask in zip(scores, inside, strict=True):
                    if mask is not None:
                        score.masked_fill_(~mask[strip], -torch.inf)
                yield (slice(rows.start + strip.start, rows.start + strip.stop), columns), scores
            del parts  # before the next tile is seen

    def _filled(
        self, layers: Sequence[View], masks: Sequence[Tensor | None], tile: Tile, share: float
    ) -> Iterator[Tensor]:
        """What the network sees of each layer: where it shows nothing, the mean of those that do.

        So no edge appears where a layer ends, and the network sees no deviation from the mean there.
        """
        mean = self._mean(layers, masks, tile) if any(mask is not None for mask in masks) else None
        for layer, mask in zip(layers, masks, strict=True):
            seen = self._seen(layer, tile)
            yield seen if mask is None or mean is None else torch.where(mask, seen, mean)
            self.progress(share)

    def _mean(self, layers: Sequence[View], masks: Sequence[Tensor | None], tile: Tile) -> Tensor:
        """The mean of the layers that show something."""
        total: Tensor | float = 0.0
        count: Tensor | float = 0.0
        for layer, mask in zip(layers, masks, strict=True):
            seen = self._seen(layer, tile)
            total = total + (seen if mask is None else seen.where(mask, 0))
            count = count + (1 if mask is None else mask.to(seen.dtype))
        known = torch.as_tensor(count)
        return torch.where(known > 0, total / known.clamp(min=1), MIDDLE)

    @torch.inference_mode()
    def _pairwise(self, views: _Views) -> Tensor:
        """Scores from the logits l_kj of every two layers: -log(sum_j exp(-l_kj)), with l_kk = 0.

        If logits were differences of scores, these would be the scores, but for what all have in common. A
        mean over j is diluted: most of its logits only compare blurred layers with one another.
        """
        zero = torch.zeros_like(views.seen[0][0, 0][views.tile.inner])
        totals = [zero] * len(views.seen)
        for first, second in combinations(range(len(views.seen)), 2):
            logit = self._pair(*views.pair(first, second))[0, 0][views.tile.inner]
            both = views.shown(first) & views.shown(second) if views.masked else None
            self.progress(views.share)
            if len(views.seen) == 2:  # half the logit each, which swapping negates bit for bit
                logit = logit if both is None else logit * both
                return _finite(torch.stack([logit, -logit]) / 2)
            for place, against in ((first, -logit), (second, logit)):
                other = against if both is None else against.masked_fill(~both, -torch.inf)
                totals[place] = torch.logaddexp(totals[place], other)
        return _finite(-torch.stack(totals))

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
    """What the network sees of a tile: of each layer 1 x 3 x H x W, and H x W where it shows something."""

    seen: list[Tensor]
    masks: list[Tensor | None]
    tile: Tile
    share: float

    @property
    def masked(self) -> bool:
        return any(mask is not None for mask in self.masks)

    def shown(self, number: int | None = None) -> Tensor:
        """Where a layer shows something inside the tile, h x w; n x h x w for all."""
        if number is None:
            return torch.stack([self.shown(each) for each in range(len(self.seen))])
        mask = self.masks[number]
        inside = self.seen[number][0, 0][self.tile.inner]
        return torch.ones_like(inside, dtype=torch.bool) if mask is None else mask[self.tile.inner]

    def pair(self, first: int, second: int) -> tuple[Tensor, Tensor]:
        """Two layers, each filled with the other where it shows nothing, so that no edge appears there."""
        a, b = self.seen[first], self.seen[second]
        one, other = self.masks[first], self.masks[second]
        from_one = a if one is None else torch.where(one, a, MIDDLE)
        from_other = b if other is None else torch.where(other, b, MIDDLE)
        return (
            a if one is None else torch.where(one, a, from_other),
            b if other is None else torch.where(other, b, from_one),
        )


def _tensor(values: NDArray[np.float32]) -> Tensor:
    tensor = torch.from_numpy(values)
    return (tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor.expand(3, *tensor.shape))[None]


def _finite(values: Tensor) -> Tensor:
    if not torch.stack(values.aminmax()).isfinite().all():  # nan is the least, and the largest
        raise ZooError("the network's result is not finite", "compute in fp32 or bf16, or check its weights")
    return values
