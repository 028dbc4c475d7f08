"""A picture in the making: what is drawn later lies in front, in the picture and in the segments alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np

from mfsynth.coco.demo import shapes as sh
from mfsynth.coco.demo import textures as tx
from mfsynth.coco.demo.shapes import Field, Mask, Points, Rng
from mfsynth.coco.demo.textures import Paint, varied

Surface = Paint | str
"""A texture, or a plain colour."""
T = TypeVar("T")


@dataclass
class Canvas:
    """A picture in the making, with the number of the segment that each pixel belongs to."""

    height: int
    width: int
    rng: Rng
    variant: int
    segments: list[tuple[str, int]] = field(default_factory=list)
    picture: Field = field(init=False)
    ids: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.picture = np.zeros((self.height, self.width, 3), np.float32)
        self.ids = np.zeros((self.height, self.width), np.uint8)

    def segment(self, category: str, crowd: bool = False) -> int:
        """The number of a new segment, to `put` its parts with."""
        self.segments.append((category, int(crowd)))
        return len(self.segments)

    def choose(self, *options: T) -> T:
        """The option of this variant of the scene."""
        return options[self.variant % len(options)]

    def palette(self, colours: str) -> tuple[str, ...]:
        """The colours of this variant, from a text as `aabbcc 112233 | ...` for all variants."""
        return tuple(f"#{colour}" for colour in self.choose(*colours.split("|")).split())

    def one_of(self, *options: T) -> T:
        """One of the options, at random."""
        return options[int(self.rng.integers(len(options)))]

    def near(self, *colours: str) -> str:
        """A colour near one of these, at random."""
        return varied(self.rng, self.one_of(*colours))

    def between(self, low: float, high: float) -> float:
        """A number at random."""
        return float(self.rng.uniform(low, high))

    def put(
        self,
        segment: int,
        shape: Points | Mask,
        surface: Surface,
        *,
        bulge: float = 0,
        spun: bool = False,
        gloss: float = 0,
        shadow: float = 0,
        light: float = 1,
    ) -> None:
        """Lay a shape (outline or coverage) on top; it belongs to the segment from now on.

        Args:
            segment: A number that `segment` gave.
            surface: What it looks like in even light.
            bulge: Radius of its rounded rim.
            spun: Shade it as an upright body turned on a lathe instead.
            gloss: Strength of the highlight.
            shadow: How far its shadow falls to the lower right.
            light: Scales the surface.
        """
        coverage = self._coverage(shape)
        if shadow:
            self.shade(coverage, 0.5, 0.7 * shadow, (shadow, 0.8 * shadow))
        part = bounds(coverage)
        inside = np.ascontiguousarray(coverage[part])
        look = self._look(surface, inside.shape)
        if light != 1:
            look = look * np.float32(light)
        if bulge or spun:
            shade, shine = tx.spun(inside) if spun else tx.dome(inside, bulge)
            look = (
                tx.shaded(look, shade)
                + tx.flat("#ffffff", *shine.shape) * (np.float32(gloss) * shine)[..., None]
            )
        self._lay(part, inside, look)
        self.ids[part][inside >= 128] = segment

    def decal(self, shape: Points | Mask, surface: Surface, opacity: float = 1) -> None:
        """Lay a shape on top that belongs to whatever it lies on."""
        coverage = self._coverage(shape)
        part = bounds(coverage)
        inside = np.ascontiguousarray(coverage[part])
        self._lay(part, inside, self._look(surface, inside.shape), opacity)

    def shade(
        self, shape: Points | Mask, amount: float, blur: float, shift: tuple[float, float] = (0, 0)
    ) -> None:
        """Darken by a soft shadow of a shape, moved by `shift` (right, down)."""
        coverage = self._coverage(shape)
        part = bounds(coverage, int(3 * blur + max(abs(shift[0]), abs(shift[1]))) + 2)
        area = coverage[part]
        if not area.size:
            return
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        moved = cv2.warpAffine(area, move, area.shape[::-1])
        side = 2 * round(1.2 * blur) + 1
        # Two boxes, not cv2.stackBlur: what that gives depends on the number of threads.
        soft = cv2.blur(cv2.blur(moved, (side, side)), (side, side)).astype(np.float32)
        picture = np.ascontiguousarray(self.picture[part])
        self.picture[part] = tx.shaded(picture, 1 - np.float32(amount / 255) * soft)

    def text(
        self, area: tuple[float, float, float, float], text: str, ink: str, upright: bool = False
    ) -> None:
        """Write a line of text into an area (left, top, right, bottom); if upright, from bottom to top."""
        left, top, right, bottom = (round(edge) for edge in area)
        letters = sh.lettering(
            text, *((right - left, bottom - top) if upright else (bottom - top, right - left))
        )
        if upright:
            letters = np.ascontiguousarray(np.rot90(letters))
        coverage = np.zeros((self.height, self.width), np.uint8)
        space = coverage[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        space[:] = letters[max(-top, 0) :, max(-left, 0) :][: space.shape[0], : space.shape[1]]
        self.decal(coverage, ink, 0.92)

    def _coverage(self, shape: Points | Mask) -> Mask:
        if shape.dtype == np.uint8:
            return np.asarray(shape, np.uint8)
        return sh.filled(np.asarray(shape, np.float64), self.height, self.width)

    def _look(self, surface: Surface, size: tuple[int, ...]) -> Field:
        if isinstance(surface, str):
            return tx.flat(surface, *size)
        return surface(self.rng, *size)

    def _lay(self, part: tuple[slice, slice], inside: Mask, look: Field, opacity: float = 1) -> None:
        if inside.size:
            share = inside.astype(np.float32) * np.float32(opacity / 255)
            self.picture[part] = tx.blend(np.ascontiguousarray(self.picture[part]), look, share)


def bounds(coverage: Mask, margin: int = 2) -> tuple[slice, slice]:
    """Rows and columns of a coverage.

    The margin lets a rounded rim see what lies outside of the shape; there is none at the picture's edge, so
    that what goes on beyond it is not rounded there.
    """
    x, y, width, height = cv2.boundingRect(coverage)
    if not width:
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(0, y - margin), y + height + margin),
        slice(max(0, x - margin), x + width + margin),
    )
