"""What to do when memory runs out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2

from zoo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALLER = "fuse smaller tiles (--tile 256), fewer frames, or on another device (--device cpu)"
"""What needs less memory."""

_ACCELERATOR = "OutOfMemoryError"  # torch's, which need not be there
_TORCH = "DefaultCPUAllocator: "  # a plain RuntimeError, told by its text only


@contextmanager
def enough_memory(remedy: str = SMALLER) -> Iterator[None]:
    """Say what to do when the memory of the machine or of its accelerator runs out.

    Args:
        remedy: What to do.

    Raises:
        FrameError: In its place.
    """
    try:
        yield
    except (MemoryError, RuntimeError, cv2.error) as error:
        reason = _lack(error)
        if reason is None:
            raise
        raise FrameError(f"there is not enough memory: {reason}", remedy) from error


def _lack(error: Exception) -> str | None:
    """What memory was lacking for; None for other errors."""
    if isinstance(error, MemoryError) or type(error).__name__ == _ACCELERATOR:
        return next(iter(str(error).splitlines()), "all of it is used")
    if isinstance(error, cv2.error):
        return str(error.err) if error.code == cv2.Error.StsNoMem else None
    head = str(error).partition("\n")[0]
    return head.partition(_TORCH)[2] if _TORCH in head else None
