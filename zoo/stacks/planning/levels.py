"""The values of black and white: one affine stretch, common to all frames, for network and aligner only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.stacks.planning.survey import Look

NARROW = 1 / 4
"""Data that use less than this part of their dtype's range are stretched."""

_WHITE = 3 / 255
"""Frames that are this near to white all over say nothing of the others."""

_STEPS, _DIGITS = 8.0, 1e-5
"""The narrowest range of black and white: of whole numbers, and of floats relative to the largest. Less is
noise, or nothing."""

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Levels:
    """The values that the network sees as 0 and 1.

    Args:
        black: In the frames' own values.
        white: The same; larger.
    """

    black: float
    white: float

    def seen(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values as the network sees them: float32 in [0, 1], of the same shape."""
        span = np.float32(self.white - self.black)
        return np.asarray(((values.astype(np.float32) - np.float32(self.black)) / span).clip(0, 1))


def levels_of(looks: Sequence[Look], given: tuple[float, float] | None = None) -> Levels:
    """The levels of a stack: its dtype's where the data use them, else the data's smallest and largest.

    Floats have the levels 0 and 1 if all are within and use them. Single pixels that stand out do not
    count, nor do frames that are saturated all over.

    Args:
        looks: The frames.
        given: The values of black and white, if they are known.

    Raises:
        FrameError: If no value of the frames lies between those given.
    """
    if given is not None:
        return _checked(Levels(*given), looks)
    dtype = looks[0].dtype
    full = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    exposed = [look for look in looks if dtype.kind == "f" or look.low < (1 - _WHITE) * full] or looks
    low, high = min(look.low for look in exposed), max(look.high for look in exposed)
    if low >= 0 and high <= full and high - low >= NARROW * full:
        return Levels(0.0, full)
    least = _DIGITS * max(abs(low), abs(high)) if dtype.kind == "f" else _STEPS
    return Levels(low, high) if high - low >= max(least, _TINY) else Levels(0.0, full)


def _checked(levels: Levels, looks: Sequence[Look]) -> Levels:
    low, high = min(look.low for look in looks), max(look.high for look in looks)
    if high <= levels.black or low >= levels.white:
        raise FrameError(
            f"the frames have values from {low:g} to {high:g}, none of them between black ({levels.black:g}) "
            f"and white ({levels.white:g})",
            "correct --range, or omit it",
        )
    return levels
