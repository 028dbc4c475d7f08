"""A stack, fused: one look at each frame, a plan, and then each frame prepared and fused in its turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.fusing.frames import check_count
from zoo.fusing.fuse_layers import fuse_layers
from zoo.fusing.scorer import runner_of
from zoo.stacks.bursts import burst_of, comparisons, cost_lines, fewer
from zoo.stacks.given import stack_of
from zoo.stacks.memory import enough_memory
from zoo.stacks.options import FuseOptions
from zoo.stacks.pace import Pace, Stopwatch
from zoo.stacks.planning.plan import StackPlan, plan
from zoo.stacks.planning.survey import survey
from zoo.stacks.prepare import prepared
from zoo.stacks.words import plan_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from zoo.fusing.fuse_layers import Layer
    from zoo.fusing.interface import Burst, FusionNetwork
    from zoo.stacks.given import Frames
    from zoo.stacks.pace import Progress


@dataclass(frozen=True, slots=True, eq=False)
class FusedStack:
    """A fused stack.

    Attributes:
        image: H x W x 3 or H x W, of the frames' dtype, in the frames' own values.
        decision: H x W, uint8: the place in the stack of the frame that each pixel mostly came from. None
            where no frame is chosen.
        confidence: H x W, float16; see `Fused`.
        plan: What was done with each frame.
        burst: How more than two frames were fused. None: all in one pass, by a network for sets.
        seconds: How long each stage took.
        backend: What computed the network: `torch`, `onnxruntime` or `openvino`.
        precision: What it computed in: `fp32`, `bf16` or `fp16`.
    """

    image: NDArray[Any]
    decision: NDArray[np.uint8] | None
    confidence: NDArray[np.float16] | None
    plan: StackPlan
    burst: Burst | None = "joint"
    seconds: Mapping[str, float] = field(default_factory=dict)
    backend: str = "torch"
    precision: str = "fp32"


@enough_memory()
def fuse_stack(
    model: FusionNetwork,
    frames: Frames,
    options: FuseOptions | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> FusedStack:
    """Fuse a stack as people have them: frames that moved, differ in exposure, or use little of their range.

    This is what `mfsynth fuse` does; `zoo.fuse` is the bare network. Frames are read when they are needed,
    so that a stack may be larger than the memory.

    Args:
        model: A network: for sets of frames, or for two, as HF-Seg and HF-Reg are.
        frames: Two to 255 paths of picture files, or arrays of one size, H x W x 3 (RGB) or H x W (gray);
            uint8, uint16, or float32 of any range.
        options: How to fuse.
        say: Called with lines about what is odd, and about what was done with frames.
        progress: Called with a stage's name, and the number of its steps that are done and to do; a
            comparison of two frames, or the pass over all of them, may be done in part.

    Raises:
        PictureError: If a frame cannot be read.
        FrameError: If the frames cannot be fused, or there is not enough memory.
        AlignmentError: If they could not be registered.
        OptionsError: If the network cannot do what the options say.
    """
    options = options or FuseOptions()
    options.check_network(model)
    stack = stack_of(frames, linear=options.linear)
    check_count(len(stack.names))
    progress("reading", 0, len(stack.names))
    watch = Stopwatch()
    looks = survey(stack, partial(progress, "reading"))
    watch.lap("reading")
    how = plan(looks, options, progress)
    del looks  # they grow with the number of frames
    watch.lap("aligning")
    for line in plan_lines(how):
        say(line)
    number = len(how.frames)
    burst = burst_of(model, number, options.burst)
    for line in cost_lines(model, number, options.burst):
        say(line)
    steps = comparisons(model, number, burst)
    layers: Iterator[Layer] = (prepared(stack.frame(each.place), each, how, options) for each in how.frames)
    if model.config.sets:
        layers = _all_first(layers, number, progress, watch)
    else:
        progress("fusing", 0, steps)
    fused = fuse_layers(
        model,
        layers,
        rule=options.rule,
        burst=burst,
        symmetric=options.symmetric,
        tile=options.tile,
        raw=options.raw_decision,
        progress=Pace(steps, say, partial(progress, "fusing"), fewer(model, number, burst)),
        expected=number,
    )
    watch.lap("fusing")
    places = np.array([each.place for each in how.frames], np.uint8)
    decision = None if fused.decision is None else places[fused.decision]
    met = None if model.config.sets else burst
    by = runner_of(model)
    return FusedStack(
        fused.image, decision, fused.confidence, how, met, watch.seconds, by.backend, by.precision
    )


def _all_first(layers: Iterable[Layer], number: int, progress: Progress, watch: Stopwatch) -> Iterator[Layer]:
    """Layers for a network for sets, which takes all of them before the first tile is scored."""
    progress("preparing", 0, number)
    for done, layer in enumerate(layers, 1):
        yield layer
        del layer  # before the next frame is read
        progress("preparing", done, number)
    watch.lap("preparing")
    progress("fusing", 0, 1)
