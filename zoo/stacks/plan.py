"""What will be done with each frame of a stack, decided from one look at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.alignment.canvas import Canvas, canvas_of
from zoo.alignment.chain import register
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.errors import FrameError
from zoo.stacks.exposure import Tone, match
from zoo.stacks.levels import Levels, levels_of, seen
from zoo.stacks.likeness import likeness_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.stacks.options import FuseOptions
    from zoo.stacks.survey import Look


@dataclass(frozen=True, slots=True)
class FramePlan:
    """What is done with a frame that takes part.

    Args:
        place: In the stack.
        name: For people.
        move: Where it lies relative to the first frame that takes part, in full-size pixels.
        tone: From its values to those of the common exposure.
    """

    place: int
    name: str
    move: Similarity
    tone: Tone


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What is done with a stack.

    Args:
        frames: Those that take part, in the stack's order; two or more.
        left_out: Why each of the others does not, by its name.
        levels: Black and white.
        canvas: What the result covers, in the geometry of the first frame that takes part.
        drift: Of the registration; see `Registration`.
        warnings: Lines for people.
        height: Of every frame, in pixels.
        width: The same.
    """

    frames: tuple[FramePlan, ...]
    left_out: Mapping[str, str]
    levels: Levels
    canvas: Canvas
    drift: float
    warnings: tuple[str, ...]
    height: int
    width: int


def plan(
    looks: Sequence[Look],
    options: FuseOptions,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> StackPlan:
    """Decide what is done with each frame of a stack.

    Raises:
        AlignmentError: If frames that take part cannot be registered.
        FrameError: If fewer than two frames are left; with `strict`, if any is left out.
    """
    levels = levels_of(looks, options.range)
    likeness = likeness_of(looks, levels, aligned=options.align)
    out = dict(likeness.unlike)
    moves = {look.place: IDENTITY for look in looks if look.place not in out}
    drift = 0.0
    if options.align:
        taken = [look for look in looks if look.place not in out]
        found = register([seen(look, levels) for look in taken])
        drift = found.drift * taken[0].factor
        moves = {taken[k].place: move.enlarged(taken[k].factor) for k, move in found.moves.items()}
        out |= {taken[k].place: why for k, why in found.failed.items()}
    matched = match(looks, moves, levels, options.exposure)
    out |= matched.failed
    frames = tuple(
        FramePlan(look.place, look.name, moves[look.place], matched.tones[look.place])
        for look in looks
        if look.place not in out
    )
    left_out = {look.name: out[look.place] for look in looks if look.place in out}
    _check_left(frames, left_out, options.strict)
    first = looks[0]
    canvas = canvas_of([each.move for each in frames], first.height, first.width, options.crop)
    return StackPlan(frames, left_out, levels, canvas, drift, likeness.warnings, first.height, first.width)


def _check_left(frames: Sequence[FramePlan], left_out: Mapping[str, str], strict: bool) -> None:
    reasons = "; ".join(f"{name} {why}" for name, why in left_out.items())
    if left_out and strict:
        raise FrameError(reasons, "leave these frames out, or omit --strict")
    if len(frames) < 2:
        raise FrameError(f"fewer than two frames are left: {reasons}", "give frames of one scene")
