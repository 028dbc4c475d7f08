"""Frames as colors, and how much of a picture is in focus in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth import plots

if TYPE_CHECKING:
    from mfsynth.sample import FocusMap, Picture, Recipe

# After those of all drawings, in this order: each is as far as can be from all before it, in CIELAB.
_MORE = (
    (0, 0, 255), (0, 255, 0), (255, 0, 225), (75, 60, 15), (75, 15, 135), (180, 225, 90), (255, 0, 90),
    (240, 210, 165), (120, 0, 30), (45, 120, 255), (0, 240, 135), (75, 45, 75), (0, 135, 0), (30, 90, 90),
    (210, 0, 135), (225, 135, 255), (90, 240, 240), (150, 60, 240), (255, 135, 120), (135, 135, 30),
    (255, 0, 0), (0, 75, 15), (240, 210, 240), (165, 120, 105), (165, 165, 255), (165, 225, 165),
)  # fmt: skip
_COLORS = (*map(plots.color, range(6)), *_MORE)


def color(frame: int) -> tuple[int, int, int]:
    """A frame's color, RGB, 0 to 255; the first 32 differ clearly."""
    return _COLORS[frame % len(_COLORS)]


def css_color(frame: int) -> str:
    """The same color for a page.

    >>> css_color(0)
    '#0072b2'
    """
    return "#{:02x}{:02x}{:02x}".format(*color(frame))


def dark_color(frame: int) -> tuple[int, int, int]:
    """A darker shade of a frame's color, RGB, that can be read as text on white."""
    red, green, blue = color(frame)
    shade = min(0.75, 125 / max(1.0, 0.299 * red + 0.587 * green + 0.114 * blue))
    return int(red * shade), int(green * shade), int(blue * shade)


def color_map(focus: FocusMap) -> Picture:
    """A focus or decision map in the frames' colors, H x W x 3, RGB, uint8."""
    table = np.array([color(frame) for frame in range(256)], np.uint8)
    return table[focus]


def focus_shares(recipe: Recipe) -> tuple[float, ...]:
    """The fraction of the picture that is sharper in each frame than in the others."""
    total = sum(segment.area for segment in recipe.segments)
    areas = [0] * len(recipe.frames)
    sharpest = recipe.sharpest()
    for segment in recipe.segments:
        areas[sharpest[segment.plane]] += segment.area
    return tuple(area / total for area in areas)


def sharp_segments(recipe: Recipe, frame: int) -> int:
    """How many segments are sharper in a frame than in the others."""
    sharpest = recipe.sharpest()
    return sum(sharpest[segment.plane] == frame for segment in recipe.segments)
