"""Fusing frames that were prepared: moved, matched in exposure, shown only in part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from zoo.fusing.frames import check_alike, check_count, check_pixels, kind
from zoo.fusing.interface import check_burst, rule_of
from zoo.fusing.joining import Fuser, fuse_together
from zoo.fusing.layer import Layer
from zoo.fusing.scorer import Scorer, runner_of
from zoo.fusing.spool import MEMORY, spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zoo.fusing.interface import Burst, Fused, FusionNetwork, Rule

__all__ = ["Layer", "fuse_layers"]


def fuse_layers(
    model: FusionNetwork,
    layers: Iterable[Layer],
    *,
    rule: Rule | None = None,
    burst: Burst = "joint",
    symmetric: bool = True,
    tile: int | None = None,
    raw: bool = False,
    progress: Callable[[float], None] = lambda _done: None,
    expected: int | None = None,
) -> Fused:
    """Fuse layers of one size; each is taken in its turn, once.

    A joint burst takes all before it fuses any; what is more than 512 MB goes to a temporary file (see
    `zoo.fusing.spool`), so that memory does not grow with the number of layers. A list or tuple is in memory
    already, and stays there. A fold or a tournament fuses each layer before it takes the next.

    Pixels that a layer does not show take no part. By HF-Reg's rule `direct`, the picture is in the first
    layer's exposure, whatever the others' is; every other rule uses the layers' own values.

    Args:
        model: A network for sets, HF-Seg or HF-Reg.
        layers: Two to 255.
        rule: As in `zoo.fuse`.
        burst: As in `zoo.fuse`.
        symmetric: As in `zoo.fuse`.
        tile: As in `zoo.fuse`.
        raw: Keep the network's decision as it is, pixel by pixel, even where nothing is sharp in any frame.
        progress: Called after each tile with the number of comparisons of two whole frames that are done. In
            all there are n - 1; for HF-Seg's joint bursts n (n - 1) / 2; for a joint burst of a network for
            sets a single one, of all layers, and it is called after each tile of each layer, too.
        expected: The number of layers, if it is known: what does not fit on the disk is then refused at once.

    Returns:
        `decision` counts the layers. The image has the layers' dtype and range; where no layer shows
        anything, image, decision and confidence are 0.

    Raises:
        FrameError: If the layers cannot be fused, or there is no room for the temporary file.
        OptionsError: If the network does not have the rule, or an option is out of range.
        ZooError: If the network's result is not finite.
    """
    rule = rule_of(model, rule)
    check_burst(burst)
    fuser = Fuser(Scorer(runner_of(model), symmetric, tile, _summed(progress)), rule, raw)
    taken = _checked(layers)
    if burst == "joint":
        with spooled(taken, expected, sys.maxsize if isinstance(layers, (list, tuple)) else MEMORY) as held:
            return fuse_together(fuser, held)
    return fuser.fold(taken) if burst == "fold" else fuser.tournament(taken)


def _checked(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, each checked when it is taken."""
    number, kind_of_first = 0, ""
    for layer in layers:
        check_count(max(number + 1, 2))
        check_pixels(layer.pixels, f"frame {number}")
        kind_of_first = kind_of_first or kind(layer.pixels)
        check_alike(kind_of_first, layer.pixels, number)
        number += 1
        yield layer
        del layer  # before the next one is read
    check_count(number)


def _summed(progress: Callable[[float], None]) -> Callable[[float], None]:
    """From shares, as they are done, to how much is done in all."""
    done = 0.0

    def told(share: float) -> None:
        nonlocal done
        done += share
        progress(done)

    return told
