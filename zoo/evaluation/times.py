"""How long methods take for a stack, all on the same pictures in one run (the paper's Table III)."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.errors import MfsynthError
from zoo.evaluation.paper import seconds as printed
from zoo.evaluation.tables import line

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.evaluation.data import Stack
    from zoo.evaluation.methods import Method

SIDES = (520, 260, 130)
"""Sides of the square pictures, in pixels: Table III's."""
_CALLS = (5, 50)
_ENOUGH = 3.0


@dataclass(frozen=True, slots=True)
class Time:
    """How long a method takes.

    Args:
        method: Its name.
        side: Of the square pictures, in pixels.
        seconds: Median of the calls, for one stack.
        calls: How many, after one that does not count.
        threads: Of torch and OpenCV.
    """

    method: str
    side: int
    seconds: float
    calls: int
    threads: int


def time_methods(
    methods: Sequence[Method],
    stacks: Sequence[Stack],
    *,
    threads: int,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Time]:
    """Time methods in this process, one after the other, on squares made of the stacks in turn.

    A network's result is an array, so a call ends only when a GPU has finished. Each method is called 5 to 50
    times, and no more once three seconds are spent. One that cannot fuse the squares of a side has no time
    there: the middle of a picture may have too little texture to align.

    Args:
        methods: Those that fuse are timed.
        stacks: One or more.
        threads: Of torch and OpenCV.
        say: Called with a line about each time that cannot be measured.
        progress: Called with the number of times measured and to measure.
    """
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    chosen = [method for method in methods if method.fuses]
    times = []
    for place, side in enumerate(SIDES):
        squares = [tuple(square(frame, side) for frame in stack.frames) for stack in stacks]
        for number, method in enumerate(chosen, 1):
            try:
                times.append(_time(method, squares, side, threads))
            except MfsynthError as error:
                say(f"no time of {method.name} at {side}²: {error}")
            progress(place * len(chosen) + number, len(SIDES) * len(chosen))
    return times


def square(picture: Picture, side: int) -> Picture:
    """The middle of a picture, H x W x 3 uint8, as a square of a side."""
    height, width = picture.shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    middle = picture[top : top + least, left : left + least]
    if least == side:
        return np.ascontiguousarray(middle)
    how = cv2.INTER_AREA if side < least else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, (side, side), interpolation=how), np.uint8)


def conditions(methods: Sequence[Method], threads: int, frames: int = 2) -> str:
    """The conditions of the measurement, for people; `frames` is the number that is fused."""
    devices = sorted({method.device for method in methods if method.fuses})
    return (
        f"{platform.machine()}, threads of torch and OpenCV: {threads}; networks on {', '.join(devices)}. "
        f"Medians of 5 to 50 warm calls for one {'pair' if frames == 2 else f'stack of {frames} frames'}."
    )


def markdown_of(times: Sequence[Time], note: str, paper: dict[str, dict[int, float]] | None = None) -> str:
    """Milliseconds, with methods in rows and sides in columns, and a note below.

    Args:
        times: What was measured.
        note: Its conditions.
        paper: Seconds that the paper prints, to stand beside them; those of Table III if None.
    """
    paper = printed() if paper is None else paper
    sides = sorted({each.side for each in times}, reverse=True)
    taken = {(each.method, each.side): each.seconds for each in times}
    theirs = sides if paper else []
    heads = ["", *(f"{side}², ms" for side in sides), *(f"*paper, {side}², ms*" for side in theirs)]
    lines = [line(heads), line(["---"] * len(heads))]
    for method in dict.fromkeys(each.method for each in times):
        ours = [f"{taken[method, side] * 1e3:.1f}" if (method, side) in taken else "–" for side in sides]
        cells = [
            f"*{value * 1e3:.1f}*" if (value := paper.get(method, {}).get(side)) else "" for side in theirs
        ]
        lines.append(line([method, *ours, *cells]))
    return "\n".join([*lines, "", note]) + "\n"


def csv_of(times: Sequence[Time]) -> str:
    """A line for each method and side."""
    lines = [f"{each.method},{each.side},{each.seconds!r},{each.calls},{each.threads}" for each in times]
    return "\n".join(["method,side,seconds,calls,threads", *lines]) + "\n"


def _time(method: Method, squares: Sequence[tuple[Picture, ...]], side: int, threads: int) -> Time:
    method.fuse(squares[0])
    spent: list[float] = []
    while len(spent) < _CALLS[0] or (len(spent) < _CALLS[1] and sum(spent) < _ENOUGH):
        started = time.perf_counter()
        method.fuse(squares[len(spent) % len(squares)])
        spent.append(time.perf_counter() - started)
    return Time(method.name, side, statistics.median(spent), len(spent), threads)
