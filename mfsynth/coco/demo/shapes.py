"""Outlines (N x 2, x before y, in pixels) and coverages (H x W, uint8, 255 inside, anti-aliased)."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Mask = NDArray[np.uint8]
Points = NDArray[np.float64]
Rng = np.random.Generator

_SUBPIXEL_BITS = 4
_FONT = cv2.FONT_HERSHEY_DUPLEX


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """The outline of an upright rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def ellipse(x: float, y: float, across: float, down: float) -> Points:
    """The outline of an ellipse around (x, y) with these half axes."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    return np.stack([x + across * np.cos(angle), y + down * np.sin(angle)], 1)


def blob(rng: Rng, x: float, y: float, across: float, down: float, wobble: float = 0.08) -> Points:
    """The outline of an ellipse that is dented at random, as a pebble or a crown of leaves is."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = range(2, 7)
    dents = sum(
        rng.normal(0, wobble / wave**0.8) * np.cos(wave * angle + rng.uniform(0, 6.3)) for wave in waves
    )
    return np.stack([x + across * (1 + dents) * np.cos(angle), y + down * (1 + dents) * np.sin(angle)], 1)


def lathe(x: float, top: float, bottom: float, radii: Iterable[float]) -> Points:
    """The outline of a turned body: its radii from top to bottom, joined smoothly."""
    knots = np.array(list(radii), float)
    where = np.linspace(0, len(knots) - 1, 60)
    left = where.astype(int).clip(0, len(knots) - 2)
    step = where - left
    radius = knots[left] + (knots[left + 1] - knots[left]) * step * step * (3 - 2 * step)
    y = np.linspace(top, bottom, 60)
    return np.concatenate([np.stack([x + radius, y], 1), np.stack([x - radius, y], 1)[::-1]])


def turned(points: Points, degrees: float, x: float, y: float) -> Points:
    """An outline turned clockwise around (x, y)."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.asarray((points - [x, y]) @ np.array([[cosine, sine], [-sine, cosine]]) + [x, y], np.float64)


def filled(points: Points, height: int, width: int) -> Mask:
    """The coverage of an outline's inside."""
    coverage = np.zeros((height, width), np.uint8)
    fixed = np.round((points - 0.5) * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(coverage, [fixed], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return coverage


def strokes(canvas: Mask, lines: Points, colour: list[float] | int, thickness: int = 1) -> None:
    """Draw polylines (count x points x 2) onto a uint8 picture or coverage, in place."""
    fixed = np.round(lines * 2**_SUBPIXEL_BITS).astype(np.int32)
    ink = colour if isinstance(colour, list) else [float(colour)]
    cv2.polylines(canvas, list(fixed), False, ink, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def lettering(text: str, height: int, width: int) -> Mask:
    """The coverage of one line of text, as large as fits and in the middle."""
    (wide, high), _ = cv2.getTextSize(text, _FONT, 1.0, 1)
    scale = min(0.94 * width / max(wide, 1), 0.8 * height / max(high, 1))
    (wide, high), _ = cv2.getTextSize(text, _FONT, scale, 1)
    coverage = np.zeros((max(height, 1), max(width, 1)), np.uint8)
    origin = ((width - wide) // 2, (height + high) // 2)
    cv2.putText(coverage, text, origin, _FONT, scale, 255, 1, cv2.LINE_AA)
    return coverage
