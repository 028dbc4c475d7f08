"""Whether frames can be of one stack: other scenes, turned frames and duplicates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.alignment.register import MIN_SIDE, UNALIGNED, looks_unaligned
from zoo.stacks.levels import seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.stacks.levels import Levels
    from zoo.stacks.survey import Look


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is odd about the frames of a stack.

    Attributes:
        unlike: Why each of some frames is of another scene or is turned, by its place: it is left out.
        warnings: Lines for people: duplicates, frames that look shifted.
    """

    unlike: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def likeness_of(looks: Sequence[Look], levels: Levels, *, aligned: bool) -> Likeness:
    """Compare the frames of a stack.

    Args:
        looks: The frames.
        levels: Black and white.
        aligned: Whether they will be registered, so that shifts are no reason for a warning.
    """
    if aligned or min(looks[0].small.shape[:2]) < MIN_SIDE:
        return Likeness()
    moved = looks_unaligned([seen(look, levels) for look in looks])
    pixels = [far * look.factor for far, look in zip(moved, looks, strict=True)]
    return Likeness(
        warnings=tuple(
            f"{look.name} looks shifted by {far:.1f} pixels from {looks[0].name}; consider --align"
            for look, far in zip(looks[1:], pixels[1:], strict=True)
            if far > UNALIGNED  # false for NaN, where nothing is known
        )
    )
