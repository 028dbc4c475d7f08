"""A frame as it takes part in fusion: repaired, moved, matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo.alignment.canvas import onto
from zoo.fusing.fuse_layers import Layer
from zoo.stacks.planning.hot import repaired

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.stacks.options import FuseOptions
    from zoo.stacks.planning.exposure import Tone
    from zoo.stacks.planning.plan import FramePlan, StackPlan
    from zoo.stacks.stack import Frame


def prepared(frame: Frame, how: FramePlan, plan: StackPlan, options: FuseOptions) -> Layer:
    """A frame, brought onto the plan's canvas and into the result's exposure.

    Hot pixels are repaired first: resampling would spread them. With `exposure="keep"` the pixels keep
    their own values; what the network sees is matched all the same.
    """
    pixels, shown = onto(repaired(frame, how.hot), how.move, plan.canvas)
    gain, offset = np.ones(len(how.tone.gain)), np.zeros(len(how.tone.gain))
    if options.exposure == "keep":
        gain, offset = np.array(how.tone.gain), np.array(how.tone.offset)
    else:
        pixels = matched(pixels, how.tone)
    black, span = plan.levels.black, plan.levels.white - plan.levels.black
    return Layer(pixels, tuple(gain / span), tuple((offset - black) / span), shown)


def matched(pixels: Frame, tone: Tone) -> Frame:
    """Pixels in the common exposure; the array itself if nothing changes.

    Integers are rounded and saturate at the ends of their dtype; floats are not clipped.
    """
    if tone.plain:
        return pixels
    if pixels.dtype.kind == "f":
        gain, offset = (np.array(each, np.float32) for each in (tone.gain, tone.offset))
        values = pixels * (gain if pixels.ndim == 3 else gain[0])
        values += offset if pixels.ndim == 3 else offset[0]
        return values
    return cv2.LUT(np.ascontiguousarray(pixels), _table(tone, pixels.dtype))


def _table(tone: Tone, dtype: np.dtype[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """What becomes of each value of a dtype, 1 x values x channels, as OpenCV wants it."""
    white = np.iinfo(dtype).max
    values = np.arange(white + 1.0)[:, None] * np.array(tone.gain) + np.array(tone.offset)
    return np.rint(values).clip(0, white).astype(dtype)[None]  # type: ignore[no-any-return]
