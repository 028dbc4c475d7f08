"""Fusing layers: all at once, or one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.fusing.coarse import Coarse
from zoo.fusing.interface import RULES, Fused
from zoo.fusing.layer import Layer, plain
from zoo.fusing.regular import regularized
from zoo.fusing.rules import blended, halved, mixed, nearness, rounded, selected, softmax, winner
from zoo.fusing.tiles import strips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from zoo.fusing.interface import Rule
    from zoo.fusing.layer import View
    from zoo.fusing.runner import Map
    from zoo.fusing.scorer import Scorer
    from zoo.fusing.tiles import Window


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is fused so far: a layer, or several.

    Attributes:
        pixels: The picture, in the layers' own values: in floats, or by a rule that copies pixels of the
            layers' dtype.
        layer: What the network sees of it: the same picture, or, if layers that the network sees by different
            maps were joined, its own.
        decision: H x W, uint8, the number of the layer that each pixel came from.
        confidence: H x W, float16, in that decision.
        like: The first layer, without its pixels: the result has its dtype.
    """

    pixels: NDArray[Any]
    layer: Layer
    decision: NDArray[np.uint8]
    confidence: NDArray[np.float16]
    like: Layer


@dataclass(frozen=True, slots=True)
class _Choice:
    """Of a window: the layers' pixels; h x w, the number of a layer; n x h x w, how much there is of each."""

    window: Window
    pixels: Sequence[NDArray[Any]]
    decision: NDArray[np.uint8]
    weights: Map

    @property
    def confidence(self) -> NDArray[np.float16]:
        """How much there is of the layer that is chosen: of none is there more."""
        return halved(self.weights.max(0))


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """What becomes a `Fused` that has a decision, window by window."""

    image: NDArray[Any]
    decision: NDArray[np.uint8]
    confidence: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Fuser:
    """The settings of a call.

    Args:
        scorer: The network.
        rule: One that it has.
        raw: Keep the network's decision as it is, pixel by pixel.
        limits: The smallest and the largest value of float32 pictures, if they have any.
    """

    scorer: Scorer
    rule: Rule
    raw: bool
    limits: tuple[float, float] | None = None

    def joint(self, layers: Sequence[View]) -> Fused:
        """Fuse two layers, or with a network that decides any number at once."""
        first, shown = layers[0], shown_in_any(layers)
        image = np.empty(first.shape, first.dtype)
        if self.rule == "direct":
            for window, picture in self.scorer.pictures(layers):
                values = first.part(window).unseen(_laid_out(picture, image.ndim))
                image[window] = rounded(values, image.dtype, self.limits)
            return _blank(Fused(image, None, None), shown)
        decided = _Decided(image, np.empty(image.shape[:2], np.uint8), np.empty(image.shape[:2], np.float16))
        config = self.scorer.runner.config
        coarse = Coarse.of(layers, config.stride) if config.sets and not self.raw else None
        for choice in self._choices(layers, coarse):
            self._put(choice, decided)
            del choice  # before the next tile is scored
        if coarse is not None:
            for window, where, scores in coarse.doubtful(layers, decided.decision):
                pixels = [each.part(window).pixels for each in layers]
                self._put(self._choice(window, scores, pixels), decided, where)
        return _blank(Fused(decided.image, decided.decision, decided.confidence), shown)

    def _put(self, choice: _Choice, decided: _Decided, where: Any = ...) -> None:
        """Write a window, or some pixels of it."""
        made = self._made(choice, choice.pixels, decided.image)
        decided.image[choice.window][where] = made[where]
        decided.decision[choice.window][where] = choice.decision[where]
        decided.confidence[choice.window][where] = choice.confidence[where]

    def fold(self, layers: Iterable[Layer]) -> Fused:
        """Fuse the first two, the result with the third, and so on; each layer is taken in its turn."""
        states = map(self.start, layers, count())
        state = next(states)
        while (other := next(states, None)) is not None:
            state = self.join(state, other)
            del other  # before the next layer is read
        return self.finish(state)

    def tournament(self, layers: Iterable[Layer]) -> Fused:
        """Fuse neighbors, then their results, and so on; of n layers, at most log2(n) states are held."""
        states = map(self.start, layers, count())
        held: list[tuple[int, State]] = []  # with the rounds that each has won, which get fewer
        while (state := next(states, None)) is not None:
            rounds = 0
            while held and held[-1][0] == rounds:
                state = self.join(held.pop()[1], state)
                rounds += 1
            held.append((rounds, state))
            del state  # before the next layer is read
        _, state = held.pop()
        while held:
            state = self.join(held.pop()[1], state)
        return self.finish(state)

    def start(self, layer: Layer, number: int) -> State:
        """A layer that was not fused yet."""
        like = replace(layer, pixels=np.empty((0, *layer.pixels.shape[1:]), layer.pixels.dtype), shown=None)
        if self.rule == "direct":
            layer = plain(layer.seen(), shown=layer.shown)
        shape = layer.pixels.shape[:2]
        decision = np.broadcast_to(np.array(number, np.uint8), shape)
        confidence = np.broadcast_to(np.array(1, np.float16), shape)
        return State(layer.pixels, layer, decision, confidence, like)

    def join(self, one: State, other: State) -> State:
        """Two states in one."""
        layers, shown = [one.layer, other.layer], shown_in_any([one.layer, other.layer])
        if self.rule == "direct":
            picture = np.empty_like(one.pixels)
            for window, values in self.scorer.pictures(layers):
                picture[window] = rounded(_laid_out(values, picture.ndim), picture.dtype, self.limits)
            return replace(one, pixels=picture, layer=plain(picture, shown=shown))
        pixels = np.empty(one.pixels.shape, self._held(one.like.pixels.dtype))
        alike = _alike(one, other)
        seen = pixels if alike else np.empty(one.pixels.shape, np.float32)
        decision, confidence = np.empty(pixels.shape[:2], np.uint8), np.empty(pixels.shape[:2], np.float16)
        for choice in self._choices(layers):
            window = choice.window
            pixels[window] = self._made(choice, [one.pixels[window], other.pixels[window]], pixels)
            if not alike:
                seen[window] = self._made(choice, [each.seen(window) for each in layers], seen)
            taken = choice.decision == 1
            sure = choice.confidence
            decision[window] = np.where(taken, other.decision[window], one.decision[window])
            confidence[window] = sure * np.where(taken, other.confidence[window], one.confidence[window])
        layer = Layer(pixels, one.layer.gain, one.layer.offset, shown) if alike else plain(seen, shown=shown)
        return State(pixels, layer, decision, confidence, one.like)

    def _held(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Of unfinished pictures: float16 has three bits more than 8-bit frames, at half the memory."""
        if self.rule in ("select", "nearest"):
            return dtype
        return np.dtype(np.float16 if dtype == np.uint8 else np.float32)

    def finish(self, state: State) -> Fused:
        """The picture, in the dtype of the first layer, and by the rule `direct` in its exposure."""
        chosen, dtype = self.rule != "direct", state.like.pixels.dtype
        values = state.pixels if chosen else state.like.unseen(state.pixels)
        image = values if values.dtype == dtype else rounded(values, dtype)
        fused = Fused(image, state.decision if chosen else None, state.confidence if chosen else None)
        return _blank(fused, state.layer.shown)

    def _choices(self, layers: Sequence[View], coarse: Coarse | None = None) -> Iterator[_Choice]:
        scored = self.scorer.scores(layers)
        if self.rule in RULES["seg"] and not self.raw and coarse is None:
            scored = regularized(scored, layers)
        for (rows, columns), scores in scored:
            if coarse is not None:
                coarse.add((rows, columns), scores)
            pixels = [each.part((rows, columns)).pixels for each in layers]
            for strip in strips(*scores.shape[1:]):
                window = slice(rows.start + strip.start, rows.start + strip.stop), columns
                yield self._choice(window, scores[:, strip], [each[strip] for each in pixels])
            del scores, pixels  # before the next tile is scored

    def _choice(self, window: Window, scores: Map, pixels: Sequence[NDArray[Any]]) -> _Choice:
        weigh = nearness if self.rule == "nearest" else softmax
        return _Choice(window, pixels, winner(scores, pixels), weigh(scores))

    def _made(self, choice: _Choice, parts: Sequence[NDArray[Any]], like: NDArray[Any]) -> NDArray[Any]:
        """A window of a picture, by the rule."""
        if self.rule in ("select", "nearest"):
            return selected(choice.decision, parts)
        weights = blended(choice.weights) if self.rule == "blend" else choice.weights
        return mixed(weights, parts, like.dtype, self.limits)


def fuse_together(fuser: Fuser, layers: Sequence[View]) -> Fused:
    """Fuse layers so that any order of them gives the same picture."""
    if len(layers) == 2:
        return fuser.joint(layers)
    keys = [each.key() for each in layers]
    order = sorted(range(len(layers)), key=keys.__getitem__)
    ordered = [layers[place] for place in order]
    if fuser.rule in RULES["seg"]:
        fused = fuser.joint(ordered)
    else:
        fused = fuser.fold(each.part() for each in ordered)
    if fused.decision is None:
        return fused
    decision = np.array(order, np.uint8)[fused.decision]
    return _blank(Fused(fused.image, decision, fused.confidence), shown_in_any(layers))


def shown_in_any(layers: Sequence[View]) -> NDArray[np.bool_] | None:
    """Where any layer shows something; None is everywhere."""
    shown = None
    for layer in layers:
        mask = layer.mask()
        if mask is None:
            return None
        shown = mask.copy() if shown is None else np.logical_or(shown, mask, out=shown)
    return shown


def _alike(one: State, other: State) -> bool:
    """Whether the network sees both pictures, and so what is made of them, by one map of their values."""
    own = one.layer.pixels is one.pixels and other.layer.pixels is other.pixels
    return own and one.layer.looks_like(other.layer)


def _laid_out(picture: Map, dimensions: int) -> Map:
    """3 x h x w as h x w x 3, or as h x w, the channels' mean."""
    return picture.mean(0) if dimensions == 2 else picture.transpose(1, 2, 0)


def _blank(fused: Fused, shown: NDArray[np.bool_] | None) -> Fused:
    """Zeros where no layer shows anything."""
    if shown is not None and not shown.all():
        for each in (fused.image, fused.decision, fused.confidence):
            if each is not None:
                each[~shown] = 0
    return fused
