"""A stack: frames with names, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoo.pictures.raw import AS_SHOT
from zoo.pictures.read import read_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zoo.pictures.raw import Development

    Frame = NDArray[Any]
    """H x W x 3 (RGB) or H x W (gray); uint8, uint16, or float32 of any range."""


@runtime_checkable
class Stack(Protocol):
    """Frames of one scene, in an order. A frame is read anew each time that it is asked for."""

    @property
    def names(self) -> Sequence[str]:
        """The frames' names, for people."""

    def frame(self, number: int) -> Frame:
        """A frame.

        Raises:
            PictureError: If it cannot be read.
        """


@dataclass(frozen=True, slots=True, eq=False)
class ArrayStack:
    """Frames that are in memory already."""

    frames: Sequence[Frame]

    @property
    def names(self) -> Sequence[str]:
        """`frame 0`, `frame 1`, …"""
        return [f"frame {number}" for number in range(len(self.frames))]

    def frame(self, number: int) -> Frame:
        """A frame."""
        return self.frames[number]


@dataclass(frozen=True, slots=True)
class FileStack:
    """Frames in files.

    Args:
        paths: The files.
        development: How they are developed, if they are RAW.
    """

    paths: tuple[Path, ...]
    development: Development = AS_SHOT

    @property
    def names(self) -> Sequence[str]:
        """The files' names."""
        return [path.name for path in self.paths]

    def frame(self, number: int) -> Frame:
        """A frame, read from its file."""
        return read_picture(self.paths[number], self.development).pixels
