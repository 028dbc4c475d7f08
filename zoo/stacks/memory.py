"""What to do when memory runs out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from zoo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def enough_memory() -> Iterator[None]:
    """Say what to do when the memory of the machine or of its accelerator runs out.

    Raises:
        FrameError: In its place.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        reason = next(iter(str(error).splitlines()), "all of it is used")
        raise FrameError(
            f"there is not enough memory: {reason}",
            "fuse smaller tiles (--tile 512), fewer frames, or on another device (--device cpu)",
        ) from error
