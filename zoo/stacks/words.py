"""What is said about a stack before it is fused: in a line for each frame if they are few, else in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.console import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.stacks.plan import StackPlan

FEW = 8
"""The most frames that are told one by one."""


def plan_lines(plan: StackPlan) -> list[str]:
    """What is odd about the frames, which are left out, and how the others are repaired, matched, moved."""
    left_out = [f"{name} is left out: it {why}" for name, why in plan.left_out.items()]
    return [*plan.warnings, *left_out, *_hot(plan), *_gains(plan), *_moves(plan)]


def _hot(plan: StackPlan) -> Iterator[str]:
    frames = [frame for frame in plan.frames if len(frame.hot)]
    if frames:
        number = sum(len(frame.hot) for frame in frames)
        values, was = count(number, "value"), "was" if number == 1 else "were"
        where = frames[0].name if len(frames) == 1 else count(len(frames), "frame")
        yield f"{values} of hot or dead pixels {was} repaired in {where}"


def _gains(plan: StackPlan) -> Iterator[str]:
    matched = [frame for frame in plan.frames if not frame.tone.plain]
    if len(plan.frames) <= FEW:
        for frame in matched:
            yield f"{frame.name} is matched in exposure: {frame.tone.describe()}"
    elif matched:
        gains = [gain for frame in matched for gain in frame.tone.gain]
        yield f"{_are(len(matched))} matched in exposure: gains {min(gains):.2f} to {max(gains):.2f}"


def _moves(plan: StackPlan) -> Iterator[str]:
    size = plan.canvas.height, plan.canvas.width
    first = plan.frames[0].name
    far = {frame.place: frame.move.displacement(*size) for frame in plan.frames[1:]}
    moved = [frame for frame in plan.frames[1:] if far[frame.place] > 0]
    if len(plan.frames) <= FEW:
        for frame in moved:
            yield f"{frame.name} relative to {first}: {frame.move.describe()}"
    elif moved:
        farthest = max(moved, key=lambda frame: far[frame.place])
        pixels = f"{far[farthest.place]:.1f} pixels at a corner ({farthest.name})"
        yield f"{_are(len(moved))} moved, relative to {first}, by up to {pixels}"


def _are(number: int) -> str:
    return f"{count(number, 'frame')} {'is' if number == 1 else 'are'}"
