"""Bounds of one try: a few seconds, and a stated amount of memory above what the process has."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SECONDS = 20
BYTES = 1 << 30
_PAGE = resource.getpagesize()


class Hang(BaseException):
    """A try took too long. It is no Exception, so that no handler takes it for a broken file."""


@contextmanager
def bounded() -> Iterator[None]:
    """Raise MemoryError or Hang where a try goes beyond its bounds."""
    before = signal.signal(signal.SIGALRM, _stop)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Hang(f"more than {SECONDS} seconds")
