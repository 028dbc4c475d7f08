"""Frames that are read once, where all fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.stacks.stack import Frame, Stack

LIMIT = 1_000_000_000
"""The most bytes of frames that are kept after the first look."""


class RememberedStack:
    """A stack that reads each frame once if all its frames fit in memory, and each time otherwise.

    Args:
        stack: What to read.
        first: Its first frame, if that was read already.
    """

    def __init__(self, stack: Stack, first: Frame | None = None) -> None:
        self._stack = stack
        self._kept: dict[int, Frame] = {} if first is None else {0: first}

    @property
    def names(self) -> Sequence[str]:
        """The frames' names, for people."""
        return self._stack.names

    def frame(self, number: int) -> Frame:
        """A frame.

        Raises:
            PictureError: If it cannot be read.
        """
        if number in self._kept:
            return self._kept[number]
        frame = self._stack.frame(number)
        if frame.nbytes * len(self.names) <= LIMIT:
            self._kept[number] = frame
        return frame
