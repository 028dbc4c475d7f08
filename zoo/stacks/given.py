"""Stacks as callers give them: arrays, paths of files, or stacks already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import FrameError
from zoo.fusing.frames import check_count, check_pixels
from zoo.pictures.frames import frames_of, read_frame
from zoo.pictures.raw import development_of
from zoo.stacks.remembered import RememberedStack
from zoo.stacks.stack import ArrayStack, FileStack, Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Frames = Stack | Sequence[NDArray[Any]] | Sequence[str | os.PathLike[str]]


def stack_of(frames: Frames, *, linear: bool = False) -> Stack:
    """A stack of what was given.

    Args:
        frames: Arrays, paths, or a stack.
        linear: Develop RAW files in linear light.

    Raises:
        FrameError: If it is neither arrays nor paths, or both, or an array cannot be a frame.
        PictureError: If a file cannot be read.
    """
    if isinstance(frames, Stack):
        return frames
    if isinstance(frames, (str, os.PathLike)):
        raise FrameError("a single path is not a stack", "give a list of two or more")
    items = list(frames)
    files = [Path(each) for each in items if isinstance(each, (str, os.PathLike))]
    arrays = [np.asarray(each) for each in items if not isinstance(each, (str, os.PathLike))]
    if files and arrays:
        raise FrameError("some frames are paths, others are arrays", "give only paths, or only arrays")
    if files:
        check_count(max(2, len(files)))  # before any is opened; one file may hold several
        found, development = frames_of(files), development_of(files[0], linear=linear)
        first = read_frame(found[0], development)
        return RememberedStack(FileStack(found, first.icc, development), first.pixels)
    for number, array in enumerate(arrays):
        check_pixels(array, f"frame {number}")
    return ArrayStack(arrays)
