"""The values of black and white: one affine stretch, common to all frames, for network and aligner only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.stacks.survey import Look


@dataclass(frozen=True, slots=True)
class Levels:
    """The values that the network sees as 0 and 1.

    Args:
        black: In the frames' own values.
        white: The same; larger.
    """

    black: float
    white: float


def levels_of(looks: Sequence[Look], given: tuple[float, float] | None = None) -> Levels:
    """The levels of a stack: its dtype's own where the data uses them, narrower where it does not.

    Args:
        looks: The frames.
        given: The values of black and white, if they are known.
    """
    if given is not None:
        return Levels(*given)
    dtype = looks[0].dtype
    return Levels(0.0, 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max))


def seen(look: Look, levels: Levels) -> NDArray[np.float32]:
    """A small picture as aligner and network see it: float32 in [0, 1]."""
    return ((look.small - levels.black) / (levels.white - levels.black)).clip(0, 1)
