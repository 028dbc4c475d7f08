"""In which plane each layer of a depth map lies: nothing is drawn, the map has said it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.errors import UnusableImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.recipe import SegmentInfo


def planes_by_depth(
    layers: Sequence[SegmentInfo], planes: int, focus: Sequence[int], min_area: float
) -> list[int]:
    """The plane of each layer, as its id says: layer k, plane k, has id k + 1.

    Args:
        layers: The layers that have pixels, as segments.
        planes: Number of planes.
        focus: The plane that each frame focuses.
        min_area: At least two frames keep this fraction in focus: the planes that are nearest to theirs.

    Raises:
        UnusableImage: If the segments are not layers, or only one frame keeps `min_area` in focus.
    """
    if not all(1 <= layer.id <= planes for layer in layers):
        raise UnusableImage("depth-broken", f"its segments are not {planes} layers of a depth map")
    sharp = [0] * len(focus)
    for layer in layers:
        nearest = min(range(len(focus)), key=lambda k: abs(focus[k] - (layer.id - 1)))
        sharp[nearest] += layer.area
    total = sum(sharp)
    if sum(area >= max(1, min_area * total) for area in sharp) < 2:
        raise UnusableImage("min-area", f"by depth, one frame has {max(sharp) / total:.1%} of it in focus")
    return [layer.id - 1 for layer in layers]
