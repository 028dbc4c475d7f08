"""From frames to one sharp picture: the network on arrays, as in the paper.

Everything works on the frames' own values: HF-Seg's `select` and HF-Reg's `nearest` copy pixels of the
frames, and the other rules compute in float32 and round once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from zoo.fusing.frames import WHITE, canonical_order, check_frames
from zoo.fusing.interface import (
    RULES,
    Burst,
    Fused,
    FusionNetwork,
    NetworkConfig,
    Rule,
    check_burst,
    rule_of,
)  # fmt: skip
from zoo.fusing.joining import Fuser, fuse_together
from zoo.fusing.layer import plain
from zoo.fusing.rules import rounded
from zoo.fusing.scorer import Scorer, runner_of
from zoo.fusing.spool import spooled
from zoo.fusing.tiles import tiles
from zoo.networks.shapes import MIN_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MIN_SIDE", "RULES", "Burst", "Fused", "FusionNetwork", "NetworkConfig", "Rule",
    "canonical_order", "check_frames", "fuse", "tiles",
]  # fmt: skip


def fuse(
    model: FusionNetwork,
    frames: Sequence[np.ndarray],
    *,
    rule: Rule | None = None,
    burst: Burst = "joint",
    symmetric: bool = True,
    tile: int | None = None,
) -> Fused:
    """Fuse pictures of one scene that are focused at different distances and aligned to one another.

    The network runs where its weights are, in their dtype.

    Args:
        model: A network for sets, HF-Seg or HF-Reg.
        frames: Two to 255 pictures of equal shape and dtype, H x W x 3 (RGB) or H x W (gray); uint8, uint16,
            or float32 in [0, 1]; sides of at least 16 pixels.
        rule: HF-Seg, and a network for sets: `weighted` (Eq. 2, HF-Seg's default), `select` (each pixel from
            the likeliest frame) or `blend` (the likeliest frame, mixed only with others that are likely, too,
            as at the rims of things; the default of a network for sets).
            HF-Reg: `direct` (the default) or `nearest` (Eq. 6, the frame's pixel nearest to the prediction).
        burst: How more than two frames are fused. `joint`: a network for sets sees all in one pass, HF-Seg
            compares every two of them and makes scores of its logits, HF-Reg folds in an order that the
            frames' content determines, so that any order of the input gives the same picture. `fold`:
            f(f(x_0, x_1), x_2) and so on, as in the paper. `tournament`: neighbors first,
            f(f(x_0, x_1), f(x_2, x_3)) and so on.
        symmetric: Evaluate both orders of every two frames and antisymmetrize, so that swapping the frames
            gives the same picture, bit for bit. False takes one pass, as in the paper, at half the cost. A
            network for sets makes one pass in any case.
        tile: Side, in pixels, of the tiles that larger pictures are cut into, at least as wide as their
            margins; None takes the largest that need about 1 GB of memory.

    Raises:
        FrameError: If the frames cannot be fused.
        OptionsError: If the network does not have the rule, or an option is out of range.
        ZooError: If the network's result is not finite, such as for values too large for fp16.
    """
    frames = check_frames(frames)
    rule = rule_of(model, rule)
    check_burst(burst)
    fuser = Fuser(Scorer(runner_of(model), symmetric, tile), rule, raw=True, limits=(0, 1))
    dtype, white = frames[0].dtype, WHITE[frames[0].dtype]
    if len(frames) == 2:
        return fuser.joint([plain(frame, white) for frame in frames])
    if burst == "joint" and rule in RULES["seg"]:
        with spooled((plain(frame, white) for frame in frames), memory=sys.maxsize) as held:
            return fuse_together(fuser, held)
    order = canonical_order(frames) if burst == "joint" else list(range(len(frames)))
    join = fuser.tournament if burst == "tournament" else fuser.fold
    unit = join(plain(plain(frames[place], white).seen()) for place in order)
    image = rounded(unit.image * np.float32(white), dtype, (0, 1))
    if unit.decision is None:
        return Fused(image, None, None)
    return Fused(image, np.array(order, np.uint8)[unit.decision], unit.confidence)
