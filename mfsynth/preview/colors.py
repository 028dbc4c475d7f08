"""Planes for the eye: a colour for each, and how much of a picture is in focus in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mfsynth.sample import FocusMap, Picture, Recipe

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (86, 180, 233))


def colour(plane: int) -> tuple[int, int, int]:
    """The colour that stands for a plane, RGB, 0 to 255."""
    return _COLOURS[plane % len(_COLOURS)]


def hex_colour(plane: int) -> str:
    """The same colour as CSS and matplotlib write it.

    >>> hex_colour(0)
    '#0072b2'
    """
    return "#{:02x}{:02x}{:02x}".format(*colour(plane))


def ink(plane: int) -> str:
    """A darker shade of it that can be read as text on white."""
    return "#{:02x}{:02x}{:02x}".format(*(value * 3 // 4 for value in colour(plane)))


def colour_map(focus: FocusMap) -> Picture:
    """A focus map in the planes' colours, H x W x 3, RGB, uint8."""
    table = np.array([colour(plane) for plane in range(256)], np.uint8)
    return table[focus]


def focus_shares(recipe: Recipe) -> tuple[float, ...]:
    """The fraction of the picture that is in focus in each frame."""
    total = sum(segment.area for segment in recipe.segments)
    return tuple(
        sum(segment.area for segment in recipe.segments if segment.plane == frame.plane) / total
        for frame in recipe.frames
    )
