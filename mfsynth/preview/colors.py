"""Focus planes as colors, and how much of a picture is in focus in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.plots import color

if TYPE_CHECKING:
    from mfsynth.sample import FocusMap, Picture, Recipe


def dark_color(plane: int) -> tuple[int, int, int]:
    """A darker shade of a plane's color, RGB, that can be read as text on white."""
    red, green, blue = (value * 3 // 4 for value in color(plane))
    return red, green, blue


def color_map(focus: FocusMap) -> Picture:
    """A focus or decision map in the planes' colors, H x W x 3, RGB, uint8."""
    table = np.array([color(plane) for plane in range(256)], np.uint8)
    return table[focus]


def focus_shares(recipe: Recipe) -> tuple[float, ...]:
    """The fraction of the picture that is in focus in each frame."""
    total = sum(segment.area for segment in recipe.segments)
    return tuple(
        sum(segment.area for segment in recipe.segments if segment.plane == frame.plane) / total
        for frame in recipe.frames
    )
