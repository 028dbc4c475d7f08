"""What will be done with each frame of a stack, decided from one look at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from zoo.alignment.canvas import Canvas, canvas_of, shown_by_any
from zoo.alignment.chain import register
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.errors import FrameError
from zoo.stacks.planning.exposure import Tone, clipped, match
from zoo.stacks.planning.hot import MOVED, NONE, faults
from zoo.stacks.planning.levels import Levels, levels_of
from zoo.stacks.planning.likeness import likeness_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.stacks.options import FuseOptions
    from zoo.stacks.pace import Progress
    from zoo.stacks.planning.survey import Look

Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FramePlan:
    """What is done with a frame that takes part.

    Args:
        place: In the stack.
        name: For people.
        move: Where it lies relative to the first frame that takes part, in full-size pixels.
        tone: From its values to those of the common exposure.
        hot: Places of hot and dead pixels to repair, as in `HotPixels`.
    """

    place: int
    name: str
    move: Similarity
    tone: Tone
    hot: NDArray[np.int64] = field(default_factory=lambda: NONE.places, compare=False)


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

    def shown(self) -> NDArray[np.bool_]:
        """Where the result has something to show, H x W: beyond the first frame, perhaps no frame does."""
        return shown_by_any([frame.move for frame in self.frames], self.height, self.width, self.canvas)


def plan(
    looks: Sequence[Look],
    options: FuseOptions,
    progress: Progress = lambda _stage, _done, _total: None,
) -> StackPlan:
    """Decide what is done with each frame of a stack.

    Raises:
        AlignmentError: If frames that take part cannot be registered.
        FrameError: If fewer than two frames are left; with `strict`, if any is left out; if the range that
            was given holds none of their values.
    """
    levels = levels_of(looks, options.range)
    out = clipped(looks, levels)
    likeness = likeness_of(_left(looks, out), levels, aligned=options.align)
    out |= likeness.unlike
    moves, drift = {look.place: IDENTITY for look in _left(looks, out)}, 0.0
    if options.align:
        moves, failed, drift = _registered(_left(looks, out), levels, progress)
        out |= failed
    matched = match(_left(looks, out), moves, levels, options.exposure)
    out |= matched.failed
    taken = _left(looks, out)
    left_out = {look.name: out[look.place] for look in looks if look.place in out}
    _check_left(len(taken), left_out, options.strict)
    first = taken[0]
    relative = [_relative(moves, look, first) for look in taken]
    moved = max(each.displacement(first.height, first.width) for each in relative) > MOVED
    found = [look.hot for look in taken]
    hot = faults(found, moved=moved) if options.hot_pixels else [NONE.places] * len(taken)
    frames = tuple(
        FramePlan(look.place, look.name, move, matched.tones[look.place], places)
        for look, move, places in zip(taken, relative, hot, strict=True)
    )
    canvas = canvas_of([each.move for each in frames], first.height, first.width, options.crop)
    return StackPlan(frames, left_out, levels, canvas, drift, likeness.warnings, first.height, first.width)


def _left(looks: Sequence[Look], out: Mapping[int, str]) -> list[Look]:
    return [look for look in looks if look.place not in out]


@dataclass(frozen=True, slots=True)
class _Seen(Sequence[Picture]):
    """Small pictures for the aligner, made when asked for: all of a long stack would fill memory."""

    looks: list[Look]
    levels: Levels

    def __len__(self) -> int:
        return len(self.looks)

    @overload
    def __getitem__(self, number: int) -> Picture: ...
    @overload
    def __getitem__(self, number: slice) -> list[Picture]: ...
    def __getitem__(self, number: int | slice) -> Picture | list[Picture]:
        if isinstance(number, slice):
            return [self.levels.seen(look.small) for look in self.looks[number]]
        return self.levels.seen(self.looks[number].small)


def _registered(
    looks: list[Look], levels: Levels, progress: Progress
) -> tuple[dict[int, Similarity], dict[int, str], float]:
    """Where frames lie in full-size pixels, why others could not be registered, and the drift."""
    if len(looks) < 2:
        return {look.place: IDENTITY for look in looks}, {}, 0.0
    found = register(_Seen(looks, levels), progress=lambda done, total: progress("aligning", done, total))
    factor = looks[0].factor
    moves = {looks[k].place: move.enlarged(factor) for k, move in found.moves.items()}
    return moves, {looks[k].place: why for k, why in found.failed.items()}, found.drift * factor


def _relative(moves: Mapping[int, Similarity], look: Look, first: Look) -> Similarity:
    """Where a frame lies relative to the first that takes part, even if others were left out since."""
    return IDENTITY if look is first else moves[look.place].relative_to(moves[first.place])


def _check_left(number: int, left_out: Mapping[str, str], strict: bool) -> None:
    reasons = "; ".join(f"{name} {why}" for name, why in left_out.items())
    if left_out and strict:
        these = "this frame" if len(left_out) == 1 else "these frames"
        raise FrameError(reasons, f"leave {these} out, or omit --strict")
    if number < 2:
        raise FrameError(f"{reasons}: fewer than two frames are left", "give frames of one scene")
