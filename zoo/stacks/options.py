"""How stacks are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoo.alignment.canvas import Crop
    from zoo.fusing.fusion import Burst, Rule

Exposure = Literal["first", "median", "keep"]
"""The exposure of the result: the first frame's, the median of all frames', or each pixel its own frame's."""


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How a stack is fused; see `zoo.fusing.fusion.fuse`.

    Args:
        rule: None takes the network's default.
        burst: `joint` or `fold`; None takes `joint` up to eight frames, `fold` beyond.
        symmetric: Evaluate both orders of the frames.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        align: Register every frame.
        crop: What the result covers, after `align`.
        exposure: Of the result.
        raw_decision: Keep the network's decision, pixel by pixel, where frames hardly differ, too.
        hot_pixels: Repair pixels that are far outside all their neighbors in one frame.
        range: The values of black and white; None takes them from the data.
        strict: Refuse the stack if a frame cannot be matched or registered, rather than leave it out.
        quality: Of JPEG output.
    """

    rule: Rule | None = None
    burst: Burst | None = None
    symmetric: bool = True
    tile: int | None = None
    align: bool = False
    crop: Crop = "first"
    exposure: Exposure = "first"
    raw_decision: bool = False
    hot_pixels: bool = True
    range: tuple[float, float] | None = None
    strict: bool = False
    quality: int = 95
