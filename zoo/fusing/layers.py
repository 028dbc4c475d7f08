"""Fusing frames that were prepared: moved, matched in exposure, shown only in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.fusing.fusion import Fused, fuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from zoo.fusing.fusion import Burst, FusionNetwork, Rule


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A frame, prepared: what the result is made of, and what the network sees of it.

    The network sees `gain * pixels + offset`, clipped to [0, 1].

    Args:
        pixels: H x W x 3 (RGB) or H x W (gray); uint8, uint16, or float32 of any range.
        gain: One for each channel.
        offset: One for each channel.
        shown: H x W, bool: where the frame shows the scene; None is everywhere. Elsewhere its pixels mean
            nothing, and take no part in the result.
    """

    pixels: NDArray[Any]
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    shown: NDArray[np.bool_] | None = None

    def seen(self) -> NDArray[np.float32]:
        """What the network sees: float32 in [0, 1], of the pixels' shape."""
        gain, offset = (np.array(each, np.float32) for each in (self.gain, self.offset))
        if self.pixels.ndim == 2:
            gain, offset = gain[0], offset[0]
        return np.asarray((self.pixels * gain + offset).clip(0, 1), np.float32)


def fuse_layers(
    model: FusionNetwork,
    layers: Iterable[Layer],
    *,
    rule: Rule | None = None,
    burst: Burst = "joint",
    symmetric: bool = True,
    tile: int | None = None,
    raw: bool = False,
    progress: Callable[[int], None] = lambda _done: None,
) -> Fused:
    """Fuse layers of one size; with `burst="fold"` each is taken only when its turn comes.

    Args:
        model: HF-Seg or HF-Reg.
        layers: Two to 255.
        rule: As in `zoo.fuse`.
        burst: As in `zoo.fuse`.
        symmetric: As in `zoo.fuse`.
        tile: As in `zoo.fuse`.
        raw: Keep the network's decision as it is, pixel by pixel, also where nothing is sharp in any frame.
        progress: Called with the number of comparisons of two whole frames that are done.

    Returns:
        `decision` counts the layers. The image has the layers' dtype and range; where no layer shows
        anything it is 0.
    """
    taken = list(layers)
    fused = fuse(
        model, [each.seen() for each in taken], rule=rule, burst=burst, symmetric=symmetric, tile=tile
    )
    if fused.decision is None:
        return fused
    pixels = np.stack([each.pixels for each in taken])
    index = fused.decision[None] if pixels.ndim == 3 else fused.decision[None, ..., None]
    return Fused(np.take_along_axis(pixels, index, 0)[0], fused.decision, fused.confidence)
