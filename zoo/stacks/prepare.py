"""A frame as it takes part in fusion: repaired, moved, matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.alignment.canvas import onto
from zoo.fusing.layers import Layer
from zoo.stacks.hot import repaired

if TYPE_CHECKING:
    from zoo.stacks.exposure import Tone
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.plan import FramePlan, StackPlan
    from zoo.stacks.stack import Frame


def prepared(frame: Frame, how: FramePlan, plan: StackPlan, options: FuseOptions) -> Layer:
    """A frame, brought onto the plan's canvas and into the result's exposure.

    With `exposure="keep"` the pixels keep their own values; what the network sees is matched all the same.
    """
    pixels = repaired(frame, plan.levels) if options.hot_pixels else frame
    pixels, shown = onto(pixels, how.move, plan.canvas)
    span = plan.levels.white - plan.levels.black
    if options.exposure == "keep":
        gain = tuple(each / span for each in how.tone.gain)
        offset = tuple((each - plan.levels.black) / span for each in how.tone.offset)
        return Layer(pixels, gain, offset, shown)
    channels = len(how.tone.gain)
    toned = matched(pixels, how.tone)
    return Layer(toned, (1 / span,) * channels, (-plan.levels.black / span,) * channels, shown)


def matched(pixels: Frame, tone: Tone) -> Frame:
    """Pixels in the common exposure, rounded to their dtype; the array itself if nothing changes."""
    if tone.plain:
        return pixels
    gain, offset = (np.array(each, np.float32) for each in (tone.gain, tone.offset))
    values = pixels * gain + offset if pixels.ndim == 3 else pixels * gain[0] + offset[0]
    if pixels.dtype.kind == "f":
        return values
    return np.rint(values).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)  # type: ignore[no-any-return]
