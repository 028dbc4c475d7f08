"""Registering a frame of a focus stack to another, by a similarity: shift, scale and small rotation.

Refocusing a lens changes its magnification a little, and a hand-held camera moves. The search starts from
"not moved"; if the pictures then do not look alike, from what most matches of features agree on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.alignment.features import by_features
from zoo.alignment.pair import finished, refined
from zoo.alignment.pictures import check_frames, pyramid
from zoo.alignment.similarity import Similarity, similarity_of
from zoo.errors import AlignmentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.alignment.pictures import Frame, Pyramid
    from zoo.alignment.similarity import Matrix

SCALES = (0.8, 1.25)
"""The range of plausible magnifications between two frames of one stack."""

MAX_ANGLE = 10.0
"""The largest plausible rotation between two frames, in degrees."""

# Aligned pairs, with half of each frame blurred by a sigma of up to 5 and with noise, all stay below 0.5.
UNALIGNED = 2.0
"""Frames that move by more than this many pixels, by `looks_unaligned`, deserve a warning."""

# Frames of one scene reach 0.8 and more, frames of different scenes less than 0.1.
MIN_LIKENESS = 0.5
"""A registration counts from this likeness on."""

# A defocus of 5 % of the picture makes aligned frames look moved by several pixels, and less alike.
_CERTAIN = 5.0
"""A move is certain if it is so many times what it may be off by."""

HINT = "use frames of one scene from one camera position, or fuse them without alignment"

_QUICK_PIXELS = 250_000
_NEAR_LEVEL = 2


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        move: Where the second frame lies relative to the first, in pixels of their pyramids' `gray`.
        likeness: The correlation of the equalized pictures under it, -1 to 1.
        error: What the move may be off by at a corner, in pixels, as far as the likeness tells.
    """

    move: Similarity
    likeness: float
    error: float

    @property
    def plausible(self) -> bool:
        """Whether frames of one stack can lie so."""
        return SCALES[0] <= self.move.scale <= SCALES[1] and abs(self.move.angle) <= MAX_ANGLE

    @property
    def good(self) -> bool:
        """Whether it counts."""
        return self.likeness >= MIN_LIKENESS and self.plausible


def estimate(reference: Frame, moving: Frame) -> Similarity:
    """Where a frame is relative to the reference, found on gray pictures of up to a megapixel.

    Args:
        reference: H x W x 3 or H x W; uint8, uint16, or float32 in [0, 1].
        moving: Of the same shape and dtype; may be focused differently.

    Raises:
        FrameError: If the frames differ in shape or dtype, or are too small.
        AlignmentError: If there is too little texture, or the pictures do not match, or match only under a
            scale or an angle that no focus stack has.
    """
    check_frames([reference, moving])
    first, second = pyramid(reference), pyramid(moving)
    for each, name in ((first, "the first frame"), (second, "the frame")):
        if not each.textured:
            raise AlignmentError(f"{name} has too little texture to align by", HINT)
    found = find(first, second)
    if not found.good:
        raise AlignmentError(f"the frame {reason(found, 'the first')}", HINT)
    return found.move.enlarged(first.factor)


def find(first: Pyramid, second: Pyramid) -> Found:
    """The first search that counts, or else the last."""
    for start in _starts(first, second):
        matrix, alike = refined(first, second, start)
        if alike >= MIN_LIKENESS:
            break
    return _finished(first, second, matrix, alike)


def find_near(first: Pyramid, second: Pyramid, guess: Similarity) -> Found:
    """What lies within a few pixels of a guess."""
    return _finished(first, second, *refined(first, second, guess.matrix, _NEAR_LEVEL))


def _finished(first: Pyramid, second: Pyramid, matrix: Matrix, alike: float) -> Found:
    """With the finest detail, if both have enough of it."""
    if alike >= MIN_LIKENESS:
        finer, as_fine = finished(first, second, matrix)
        if as_fine >= MIN_LIKENESS:
            return Found(similarity_of(finer), alike, 0.03 + 8 * (1 - as_fine) ** 2)
    return Found(similarity_of(matrix), alike, _error(alike))


def reason(found: Found, other: str) -> str:
    """Why a registration to another frame does not count, as what follows "the frame"."""
    if found.likeness < MIN_LIKENESS:
        return f"does not match {other} (likeness {found.likeness:.2f} of 1)"
    how = f"scaled by {found.move.scale:.2f} and rotated by {found.move.angle:.1f} degrees"
    return f"only matches {other} when {how}, unlike in a focus stack"


def looks_unaligned(frames: Sequence[Frame]) -> list[float]:
    """A quick estimate of each frame's displacement from the first: the largest of its corners, in pixels.

    Meant for a warning above `UNALIGNED`. It detects moves of up to a twentieth of the picture. It is NaN
    where nothing is known (too little texture, or no likeness), so that comparisons do not warn.

    Args:
        frames: Of one size and dtype; as for `estimate`.

    Raises:
        FrameError: If there are no frames, they differ in shape or dtype, or are too small.
    """
    check_frames(frames)
    first = pyramid(frames[0], _QUICK_PIXELS)
    return [0.0, *(_displacement(first, pyramid(frame, _QUICK_PIXELS)) for frame in frames[1:])]


def _displacement(first: Pyramid, second: Pyramid) -> float:
    if not (first.textured and second.textured):
        return math.nan
    matrix, alike = refined(first, second, np.eye(2, 3))
    far = similarity_of(matrix).displacement(*first.gray.shape)
    if alike < MIN_LIKENESS or UNALIGNED / first.factor < far < _CERTAIN * _error(alike):
        return math.nan
    return first.factor * far


def _error(alike: float) -> float:
    """What a move may be off by at a corner, in pixels, as far as the likeness of coarse detail tells."""
    return 0.1 + 8 * (1 - alike) ** 2


def _starts(first: Pyramid, second: Pyramid) -> Iterator[Matrix]:
    yield np.eye(2, 3)
    matched = by_features(first.features, second.features)
    if matched is not None:
        yield matched
