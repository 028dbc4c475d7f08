"""Frames as `mfsynth fuse` prepares them, for networks and classic methods alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.fusing.fuse_layers import fuse_layers
from zoo.stacks.bursts import burst_of
from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.plan import plan
from zoo.stacks.planning.survey import survey
from zoo.stacks.prepare import prepared
from zoo.stacks.stack import ArrayStack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from zoo.alignment.canvas import Canvas
    from zoo.fusing.fuse_frames import Fused, FusionNetwork
    from zoo.fusing.fuse_layers import Layer


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A stack's frames, surveyed, planned and prepared.

    Attributes:
        layers: Those that take part.
        places: Of the layers in the stack.
        canvas: What the layers cover, in the geometry of the first.
    """

    layers: tuple[Layer, ...]
    places: NDArray[np.uint8]
    canvas: Canvas

    @classmethod
    def of(cls, frames: Sequence[NDArray[Any]], options: FuseOptions) -> Prepared:
        """Prepare frames in memory.

        Raises:
            FrameError: If the frames cannot be fused.
            AlignmentError: If they cannot be registered.
        """
        stack = ArrayStack(frames)
        how = plan(survey(stack), options)
        layers = tuple(prepared(stack.frame(each.place), each, how, options) for each in how.frames)
        return cls(layers, np.array([each.place for each in how.frames], np.uint8), how.canvas)

    def reversed(self) -> Prepared:
        """The same layers in the other order."""
        return Prepared(self.layers[::-1], self.places[::-1], self.canvas)

    def fused(self, network: FusionNetwork, rule: Any = None, symmetric: bool = True) -> Fused:
        """Fuse the layers with a network, as `fuse_stack` does."""
        burst = burst_of(network, len(self.layers))
        done = fuse_layers(network, self.layers, rule=rule, burst=burst, symmetric=symmetric)
        return done if done.decision is None else replace(done, decision=self.places[done.decision])

    def fused_classically(self, fuse: Callable[[Sequence[NDArray[Any]]], Fused]) -> Fused:
        """Fuse the layers' pixels with a classic method.

        Where a layer shows nothing, the method gets the pixels of the first layer that shows something: it
        has no other way to hear of it.
        """
        filled = _filled(self.layers)
        done = fuse([_with(layer, filled) for layer in self.layers])
        return done if done.decision is None else replace(done, decision=self.places[done.decision])


def _filled(layers: Sequence[Layer]) -> NDArray[Any]:
    """At each pixel, what the first layer that shows anything there has."""
    filled = layers[0].pixels.copy()
    missing = np.zeros(filled.shape[:2], bool) if layers[0].shown is None else ~layers[0].shown
    for layer in layers[1:]:
        here = missing if layer.shown is None else missing & layer.shown
        filled[here] = layer.pixels[here]
        missing &= ~here
    return filled


def _with(layer: Layer, filled: NDArray[Any]) -> NDArray[Any]:
    if layer.shown is None:
        return layer.pixels
    shown = layer.shown if layer.pixels.ndim == 2 else layer.shown[..., None]
    return np.where(shown, layer.pixels, filled)
