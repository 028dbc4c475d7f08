"""Decision and depth as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.errors import FrameError
from zoo.stacks.views.depth import depth_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.stacks.fuse import FusedStack

NOT_SHOWN = 128
"""The gray of what no frame shows, or one frame does not, in pictures for people."""


def drawn_decision(fused: FusedStack, frames: int) -> NDArray[np.uint8]:
    """A decision map as a gray picture, H x W uint8, from black (the first frame) to white (the last).

    What no frame shows is black, as it is in the result.

    Args:
        fused: The stack.
        frames: How many it has.

    Raises:
        FrameError: If nothing was decided: HF-Reg chooses frames only by the rule `nearest`.
    """
    levels = np.linspace(0, 255, frames).round().astype(np.uint8)
    return np.where(fused.plan.shown(), levels[_decision(fused)], np.uint8(0))


def depth_of(fused: FusedStack, frames: int) -> NDArray[np.float32]:
    """The smooth depth of a fused stack, H x W float32, from 0 (the first frame) to 1 (the last).

    What no frame shows is 0.

    Raises:
        FrameError: If nothing was decided.
    """
    guide = fused.plan.levels.seen(_gray(fused.image))
    places = [frame.place for frame in fused.plan.frames]
    ranks = np.searchsorted(places, _decision(fused)).astype(np.uint8)  # neighbors though some were left out
    depth = depth_map(ranks, fused.confidence, guide, len(places))
    if len(places) < frames:
        depth = np.interp(depth, range(len(places)), places).astype(np.float32)
    return np.where(fused.plan.shown(), depth / np.float32(frames - 1), np.float32(0))


def as_numbers(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth from 0 to 1 in 16 bits: from 0 to 65535."""
    return np.rint(depth * 65535).astype(np.uint16)


def depth_in_colors(fused: FusedStack, frames: int) -> Picture:
    """The depth of a fused stack in colors for people, H x W x 3 uint8, gray where no frame shows anything.

    Raises:
        FrameError: If nothing was decided.
    """
    return grayed(in_colors(depth_of(fused, frames)), fused.plan.shown())


def grayed(picture: Picture, shown: NDArray[np.bool_]) -> Picture:
    """A picture, H x W x 3 uint8, gray where nothing is shown."""
    return np.where(shown[..., None], picture, np.uint8(NOT_SHOWN))


def in_colors(depth: NDArray[np.float32]) -> Picture:
    """Depth from 0 to 1 in colors for people, H x W x 3 uint8: from dark violet to yellow (viridis)."""
    colors = cv2.applyColorMap(np.rint(depth * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB), np.uint8)


def _gray(image: NDArray[Any]) -> NDArray[Any]:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _decision(fused: FusedStack) -> NDArray[np.uint8]:
    if fused.decision is None:
        raise FrameError("the network chose no frames, so there are no maps", "use --rule nearest")
    return fused.decision
