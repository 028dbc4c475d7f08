"""Warm calls, timed; and the memory that a process takes."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mfsynth.sample import Picture

WARM = 2
"""Calls that do not count: the first ones open graphs, and claim memory."""
LEAST, MOST = 3, 50
"""How many calls count, at least and at most."""
ENOUGH = 3.0
"""Seconds of one thing's calls, after which there are no more."""

REST = 0.3
"""Seconds before each of several things: meanwhile, threads of the one before stop spinning on the cores."""


def drawn(frames: int, height: int, width: int) -> list[Picture]:
    """Frames of a texture, H x W x 3, uint8; each is sharp in a stripe of its own, and soft elsewhere."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    sharp, soft = (np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma), np.uint8) for sigma in (1, 4))
    stacked = []
    for number in range(frames):
        frame, stripe = soft.copy(), slice(number * width // frames, (number + 1) * width // frames)
        frame[:, stripe] = sharp[:, stripe]
        stacked.append(frame)
    return stacked


def timed(calls: Mapping[str, Callable[[], object]], repeats: int | None = None) -> dict[str, list[float]]:
    """How long warm calls take, each time, in seconds.

    All are called in turns, so that whatever else the machine does slows them alike. Where there are several,
    each has a pause before its turn, and a call that does not count.

    Args:
        calls: By name.
        repeats: How many calls count; None makes 3 to 50, and no more once each had three seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM + (repeats or MOST)):
        spent = min(map(sum, seconds.values()))
        if repeats is None and turn >= WARM + LEAST and spent >= ENOUGH:
            break
        for name, call in calls.items():
            if len(calls) > 1:
                time.sleep(REST)
                call()  # wakes its own threads
            started = time.perf_counter()
            call()
            if turn >= WARM:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def peak_memory() -> int:
    """The most memory that this process had at once, in bytes, with all that it has loaded."""
    status = Path("/proc/self/status")
    if status.exists():  # what `resource` says is at least what the parent had when it started this process
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
