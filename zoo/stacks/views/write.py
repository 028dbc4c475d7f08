"""What is written beside a fused picture: maps, and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth import storage
from zoo.pictures.picture import PictureFile
from zoo.pictures.write import check_output, write_picture
from zoo.stacks.views.maps import as_numbers, depth_in_colors, depth_of, drawn_decision
from zoo.stacks.views.page import write_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo.pictures.picture import Pixels
    from zoo.stacks.fuse import FusedStack
    from zoo.stacks.options import Extras, FuseOptions
    from zoo.stacks.report import FusedFile
    from zoo.stacks.stack import Stack

_NUMBERS = (".png", ".tif", ".tiff")


def check_extras(extras: Extras) -> None:
    """Check before the work that the maps' formats are known and can hold them.

    Raises:
        PictureError: If not.
    """
    if extras.decision_map is not None:
        check_output(extras.decision_map, np.uint8)
    if extras.depth_map is not None:
        check_output(extras.depth_map, np.uint16 if _holds_numbers(extras.depth_map) else np.uint8)


def write_extras(
    extras: Extras,
    fused: FusedStack,
    stack: Stack,
    options: FuseOptions,
    report: FusedFile,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Write what is requested besides the picture.

    Args:
        extras: What, and where.
        fused: The stack.
        stack: Its frames; for the page they are read once more, one after the other.
        options: How it was fused.
        report: What is told of it.
        progress: Called with the number of frames on the page that are done and to do.

    Raises:
        FrameError: If the network chose no frames.
        PictureError: If a frame cannot be read, or a map not written.
        OutputError: If the page cannot be written.
    """
    number = len(stack.names)
    if extras.decision_map is not None:
        write_picture(extras.decision_map, PictureFile(drawn_decision(fused, number)))
    if extras.depth_map is not None:
        write_picture(extras.depth_map, PictureFile(_drawn_depth(extras.depth_map, fused, number)))
    if extras.preview is not None:
        storage.write(extras.preview, write_page(fused, stack, options, report, progress))


def _drawn_depth(path: Path, fused: FusedStack, frames: int) -> Pixels:
    if _holds_numbers(path):
        return as_numbers(depth_of(fused, frames))
    return depth_in_colors(fused, frames)


def _holds_numbers(path: Path) -> bool:
    """Whether a depth map's file holds numbers in 16 bits, rather than colors for people."""
    return path.suffix.lower() in _NUMBERS
