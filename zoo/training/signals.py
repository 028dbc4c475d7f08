"""SIGINT and SIGTERM ask a training to stop after its step."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Signals:
    """Whether a signal has come, and when. A second SIGINT is a KeyboardInterrupt.

    Args:
        say: Called with a line at the first signal.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.came = False
        self._when = 0.0

    @property
    def seconds(self) -> float:
        """How long ago it came."""
        return time.monotonic() - self._when

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Note signals until the block ends."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._note) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        self.came, self._when = True, time.monotonic()
        self._say("stopping after this step; press Ctrl-C again to stop at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)
