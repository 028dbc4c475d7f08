"""Trying again: whatever may pass is tried several times, with growing pauses."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

_Answer = TypeVar("_Answer")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """When to give up on a server: requests in a row without progress, and times in seconds."""

    tries: int = 8
    pause: float = 1.0  # before the second try, then doubled
    longest: float = 60.0  # of all pauses
    timeout: float = 10.0  # without a byte
    stalls: int = 3  # tries in a row in which no byte came
    total: float = 120.0  # without progress: no further try begins after that

    @property
    def brief(self) -> Patience:
        """For a server's first answer: a wrong address should fail soon, not after minutes."""
        return replace(self, tries=min(self.tries, 3))


PATIENCE = Patience()


class Setback(Exception):  # noqa: N818 - not an error yet: the request is tried again
    """A request made no progress, for a reason that may pass.

    Args:
        reason: Why.
        pause: Seconds that the server asks to wait.
        stalled: Whether the server was there and sent nothing.

    Attributes:
        tries: How many tries in a row ended so, once that was enough.
    """

    def __init__(self, reason: str, pause: float = 0.0, *, stalled: bool = False) -> None:
        super().__init__(reason)
        self.pause, self.stalled, self.tries = pause, stalled, 1

    @property
    def tried(self) -> str:
        """How often it was tried, in words."""
        return "1 try" if self.tries == 1 else f"{self.tries} tries in a row"


def patiently(call: Callable[[], _Answer], what: str, patience: Patience) -> _Answer:
    """Call until it succeeds; `what` names it in the log.

    Raises:
        Setback: The last one, when there were as many in a row, or for as long, as the patience allows.
    """
    pause, started, stalls = patience.pause, time.monotonic(), 0
    for tries in itertools.count(1):
        try:
            return call()
        except Setback as setback:
            setback.tries = tries
            stalls = stalls + 1 if setback.stalled else 0
            seconds = min(max(pause, setback.pause), patience.longest)
            late = time.monotonic() + seconds - started > patience.total
            if tries >= patience.tries or stalls >= patience.stalls or late:
                raise
            log.warning("%s: %s; trying again in %.1f s", what, setback, seconds)
            time.sleep(seconds)
            pause *= 2
    raise AssertionError("counting does not end")
