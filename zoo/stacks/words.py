"""What is said about a stack before it is fused: in a line for each frame if they are few, else in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.console import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.stacks.planning.exposure import Tone
    from zoo.stacks.planning.levels import Levels
    from zoo.stacks.planning.plan import StackPlan

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
            offset = _offset(frame.tone) if _shifts(frame.tone, plan.levels) else ""
            yield f"{frame.name} is matched in exposure: {frame.tone.describe()}{offset}"
    elif matched:
        gains = [gain for frame in matched for gain in frame.tone.gain]
        offsets = [each for frame in matched for each in frame.tone.offset]
        between = f", offsets {_signed(min(offsets))} to {_signed(max(offsets))}"
        shifted = any(_shifts(frame.tone, plan.levels) for frame in matched)
        yield (
            f"{_are(len(matched))} matched in exposure: gains {min(gains):.2f} to {max(gains):.2f}"
            f"{between if shifted else ''}"
        )


def _shifts(tone: Tone, levels: Levels) -> bool:
    """Whether a tone changes black by more than its gain changes the middle of the range."""
    half = (levels.white - levels.black) / 2
    changes = [abs(gain - 1) * half for gain in tone.gain]
    channels = zip(tone.gain, tone.offset, strict=True)
    return max(abs((gain - 1) * levels.black + offset) for gain, offset in channels) > max(changes)


def _offset(tone: Tone) -> str:
    """One offset if all channels have nearly the same."""
    each = [_signed(offset) for offset in tone.offset]
    return f", offset {each[0]}" if len({*each}) == 1 else f", offsets {', '.join(each)}"


def _signed(value: float) -> str:
    """Three digits, or all before the point: 16 bits have five."""
    return f"{value:+.0f}" if abs(value) >= 10 else f"{value:+.3g}"


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
