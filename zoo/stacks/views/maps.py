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


def drawn_decision(fused: FusedStack, frames: int) -> NDArray[np.uint8]:
    """A decision map as a gray picture, H x W uint8, from black (the first frame) to white (the last).

    Args:
        fused: The stack.
        frames: How many it has.

    Raises:
        FrameError: If nothing was decided: HF-Reg chooses frames only by the rule `nearest`.
    """
    levels = np.linspace(0, 255, frames).round().astype(np.uint8)
    return levels[_decision(fused)]


def depth_of(fused: FusedStack, frames: int) -> NDArray[np.float32]:
    """The smooth depth of a fused stack, H x W float32, from 0 (the first frame) to 1 (the last).

    Raises:
        FrameError: If nothing was decided.
    """
    guide = fused.plan.levels.seen(_gray(fused.image))
    places = [frame.place for frame in fused.plan.frames]
    ranks = np.searchsorted(places, _decision(fused)).astype(np.uint8)  # neighbors though some were left out
    depth = depth_map(ranks, fused.confidence, guide, len(places))
    if len(places) < frames:
        depth = np.interp(depth, range(len(places)), places).astype(np.float32)
    return depth / np.float32(frames - 1)


def as_numbers(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth from 0 to 1 in 16 bits: from 0 to 65535."""
    return np.rint(depth * 65535).astype(np.uint16)


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
