"""Frames that are looked at twice but read once, where all fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.stacks.stack import Frame, Stack

LIMIT = 512 << 20
"""The most bytes of frames that are kept after the first look."""


class RememberedStack:
    """A stack that keeps its frames from the first look to the second, if all fit in memory, and not longer.

    Args:
        stack: What to read.
        first: Its first frame, if that was read already.
    """

    def __init__(self, stack: Stack, first: Frame | None = None) -> None:
        self._stack = stack
        self._first = first
        self._kept: dict[int, Frame] = {}
        self._looked: set[int] = set()

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
            return self._kept.pop(number)
        frame = self._read(number)
        if number not in self._looked and frame.nbytes * len(self.names) <= LIMIT:
            self._kept[number] = frame
        self._looked.add(number)
        return frame

    def _read(self, number: int) -> Frame:
        if number == 0 and self._first is not None:
            first, self._first = self._first, None
            return first
        return self._stack.frame(number)
