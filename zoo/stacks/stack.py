"""A stack: frames with names, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from zoo.pictures.frames import distinct_names, in_profile, read_frame
from zoo.pictures.raw import AS_SHOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from zoo.pictures.frames import FrameFile
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
    """Frames in files, all in one color profile.

    Args:
        frames: Where they are.
        icc: The profile that frames in another one are converted to: the first frame's. None is sRGB.
        development: How they are developed, if they are RAW.
        say: Called with a line for people when the first frame is converted.

    Attributes:
        notes: What was said.
    """

    frames: tuple[FrameFile, ...]
    icc: bytes | None = None
    development: Development = AS_SHOT
    say: Callable[[str], None] = lambda _: None
    notes: list[str] = field(default_factory=list, init=False)

    @property
    def names(self) -> Sequence[str]:
        """The files' names; with the page where a file holds several, and folders where names are shared."""
        return distinct_names(self.frames)

    def frame(self, number: int) -> Frame:
        """A frame, read from its file."""
        where = self.frames[number]
        picture = read_frame(where, self.development)
        pixels = in_profile(picture, where, self.icc)
        if pixels is not picture.pixels and not self.notes:
            first = self.frames[0].name
            line = f"{where.name} has a different color profile than {first}; such frames are converted to it"
            self.notes.append(line)
            self.say(line)
        return pixels
