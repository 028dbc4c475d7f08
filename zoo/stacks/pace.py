"""How far fusing is, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from mfsynth.console import about

Progress = Callable[[str, float, float], None]
"""Called with a stage's name, and the number of its steps that are done, perhaps in part, and to do."""

LONG = 60.0
"""Seconds from which on it is said how long fusing will take."""

_ROUNDING = 1e-6  # of shares that are added up


class Stopwatch:
    """The time that stages take, one after the other.

    Args:
        clock: Seconds since any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """A stage has ended."""
        now = self._clock()
        self.seconds[stage] = now - self._last
        self._last = now


class Pace:
    """Passes progress on and, once, says how long the rest takes, if that is long.

    The time between its first two calls tells: what comes before the first is paid only once.

    Args:
        total: The number of steps to do.
        say: Called with that line.
        progress: Called with the number of steps that are done, and to do.
        fewer: The number of steps that a tournament would have, if that is fewer; then it is also said how
            long one would take.
        clock: Seconds since any moment.
    """

    def __init__(
        self,
        total: float,
        say: Callable[[str], None],
        progress: Callable[[float, float], None],
        fewer: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._say, self._progress, self._clock = total, say, progress, clock
        self._fewer = fewer
        self._calls: list[tuple[float, float]] = []

    def __call__(self, done: float) -> None:
        """So many steps are done."""
        done = self._total if self._total - done < _ROUNDING else done
        self._progress(done, self._total)
        if len(self._calls) == 2:
            return
        self._calls.append((done, self._clock()))
        if len(self._calls) == 2:
            (before, started), (_, now) = self._calls
            pace = (now - started) / (done - before)
            left = pace * (self._total - done)
            other = f"; a tournament would take about {about(pace * self._fewer)}" if self._fewer else ""
            if left >= LONG:
                self._say(f"fusing will take about {about(left)}{other}")
