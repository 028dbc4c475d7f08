"""A stack, fused: one look at each frame, a plan, and then each frame prepared and fused in its turn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfsynth.console import count
from zoo.errors import FrameError
from zoo.fusing.layers import fuse_layers
from zoo.stacks.options import FuseOptions
from zoo.stacks.plan import StackPlan, plan
from zoo.stacks.prepare import prepared
from zoo.stacks.stack import LARGEST
from zoo.stacks.survey import survey
from zoo.stacks.words import plan_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from zoo.fusing.fusion import Burst, FusionNetwork
    from zoo.stacks.stack import Stack

JOINT = 8
"""The most frames that are compared each with each; more are folded, in linear time."""


@dataclass(frozen=True, slots=True, eq=False)
class FusedStack:
    """A fused stack.

    Attributes:
        image: H x W x 3 or H x W, of the frames' dtype, in the frames' own values.
        decision: H x W, uint8: the place in the stack of the frame that each pixel mostly came from. None
            where no frame is chosen.
        confidence: H x W, float16; see `Fused`.
        plan: What was done with each frame.
        burst: How more than two frames were fused.
        seconds: How long each stage took.
    """

    image: NDArray[Any]
    decision: NDArray[np.uint8] | None
    confidence: NDArray[np.float16] | None
    plan: StackPlan
    burst: Burst = "joint"
    seconds: Mapping[str, float] = field(default_factory=dict)


def fuse_stack(
    model: FusionNetwork,
    stack: Stack,
    options: FuseOptions | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> FusedStack:
    """Fuse a stack as people have them: frames that moved, differ in exposure, or use little of their range.

    Args:
        model: HF-Seg or HF-Reg.
        stack: Two to 255 frames.
        options: How to fuse.
        say: Called with lines about what is odd, and about what was done with frames.
        progress: Called with a stage's name, and the number of its steps that are done and to do.

    Raises:
        PictureError: If a frame cannot be read.
        FrameError: If the frames cannot be fused.
        AlignmentError: If they could not be registered.
        OptionsError: If the network does not have the rule, or an option is out of range.
    """
    options = options or FuseOptions()
    number = len(stack.names)
    if not 2 <= number <= LARGEST:
        raise FrameError(f"fusion takes from 2 to {LARGEST} frames, not {number}", "give two or more")
    looks = survey(stack, lambda done, total: progress("looking", done, total))
    how = plan(looks, options, progress)
    for line in plan_lines(how):
        say(line)
    burst = options.burst or ("joint" if len(how.frames) <= JOINT else "fold")
    if options.burst is None and burst == "fold":
        say(f"{count(len(how.frames), 'frame')} are fused one after the other; --burst joint compares all")
    layers = (prepared(stack.frame(each.place), each, how, options) for each in how.frames)
    fused = fuse_layers(
        model,
        layers,
        rule=options.rule,
        burst=burst,
        symmetric=options.symmetric,
        tile=options.tile,
        raw=options.raw_decision,
    )
    if fused.decision is not None:
        places = np.array([each.place for each in how.frames], np.uint8)
        fused = replace(fused, decision=places[fused.decision])
    return FusedStack(fused.image, fused.decision, fused.confidence, how, burst)
