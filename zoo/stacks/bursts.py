"""How the frames of a stack meet: all in one pass, or two at a time; and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.store.registry import BEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.fusing.interface import Burst, FusionNetwork

JOINT = 8
"""The most frames that are compared each with each by default; more take part in a tournament."""


def burst_of(model: FusionNetwork, frames: int, asked: Burst | None = None) -> Burst:
    """How so many frames meet, unless a burst is asked for; a network for sets takes all together."""
    return asked or ("joint" if model.config.sets or frames <= JOINT else "tournament")


def comparisons(model: FusionNetwork, frames: int, burst: Burst) -> int:
    """How many comparisons of two frames fusing takes; of a network for sets, the one pass over all.

    HF-Reg never compares each with each.
    """
    if model.config.sets:
        return 1
    joint = burst == "joint" and model.config.task == "seg"
    return frames * (frames - 1) // 2 if joint else frames - 1


def fewer(model: FusionNetwork, frames: int, burst: Burst) -> int | None:
    """How many comparisons a tournament of many frames takes, if it takes fewer."""
    fewest = comparisons(model, frames, "tournament")
    return fewest if frames > JOINT and fewest < comparisons(model, frames, burst) else None


def cost_lines(model: FusionNetwork, frames: int, asked: Burst | None) -> Iterator[str]:
    """What it costs that many frames meet two at a time, and what to use instead."""
    if frames <= JOINT or model.config.sets or asked not in (None, "joint"):
        return
    fewest, most = (comparisons(model, frames, burst) for burst in ("tournament", "joint"))
    if asked is None:
        cost = f"; --burst joint would take {most}" if most > fewest else ""
        yield f"{frames} frames meet in a tournament of {fewest} comparisons{cost}"
    elif most > fewest:
        instead = f"a tournament, without it, would take {fewest}, and --model {BEST} one pass"
        yield f"--burst joint takes {most} comparisons; {instead}"
