"""The C library's heap: memory that a training's step frees is kept for the next."""

from __future__ import annotations

import ctypes
import sys

_MMAP_MAX = -4
"""A parameter of glibc's mallopt: how many arrays may lie outside of the heap."""
_TRIM_THRESHOLD = -1
"""Another: how much may be free at the heap's end before it is given back; -1 is any amount."""


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of large arrays, instead of giving it back and fetching it anew.

    By default, glibc maps arrays above 32 MB by themselves, unmaps them when they are freed, and gives back
    what is free at the heap's end. The system clears each page before it is used again. Results do not depend
    on it.

    Returns:
        Whether the C library does so; others than glibc are left as they are.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # to another one, the numbers may mean other things
        return False
    return bool(library.mallopt(_MMAP_MAX, 0) and library.mallopt(_TRIM_THRESHOLD, -1))
