"""What a picture says of its segments, for draws that depend on it: how low they end, how sharp they are.

All of it is the same on every machine: sums of whole numbers, added in one order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth import limits
from mfsynth.errors import UnusableImage
from mfsynth.recipe import Traits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from numpy.typing import NDArray

    from mfsynth.recipe import SegmentInfo
    from mfsynth.sample import Picture, SegmentMap
    from mfsynth.synthesis.draw import DrawOptions

    Borders = Mapping[int, Counter[int]]
    """For each segment, the length of its border with each neighbor, in pixels."""

MARGIN = 5
"""Pixels along a segment's border that its sharpness leaves out: a border is an edge, however blurred."""
_TAPS = np.array([1, 4, 6, 4, 1], np.float32)
"""Of the small blur, a Gaussian of sigma 1 in whole numbers; they sum to 16 in either direction."""


def traits_of(
    picture: Picture,
    segments: SegmentMap,
    infos: Sequence[SegmentInfo],
    stuff: Set[int],
    options: DrawOptions,
) -> tuple[Traits, ...]:
    """The traits of an image's segments; none if the options do not need them.

    Args:
        picture: H x W x 3, RGB, uint8.
        segments: H x W, the index of the segment.
        infos: The segments.
        stuff: Ids of the categories that are stuff; void, category 0, always is.
        options: Of the draw.

    Raises:
        UnusableImage: If too many segments are not sharp enough.
    """
    if not options.optical:
        return ()
    count = len(infos)
    sharpness = sharpness_of(picture, segments, count)
    blurred = {index for index, sharp in enumerate(sharpness) if sharp < options.min_sharpness}
    if len(blurred) > limits.BLURRED_SEGMENTS:
        told = (
            f"{len(blurred):,} of its segments are not sharp, at most {limits.BLURRED_SEGMENTS:,} join others"
        )
        raise UnusableImage("min-sharpness", told)
    void = next((info.index for info in infos if info.id == 0), None)
    groups = grouped(blurred, borders(segments), void) if blurred else {}
    return tuple(
        Traits(
            bottom, int(info.category_id == 0 or info.category_id in stuff), sharp, groups.get(index, index)
        )
        for index, (info, bottom, sharp) in enumerate(
            zip(infos, _bottoms(segments, count), sharpness, strict=True)
        )
    )


def _bottoms(segments: SegmentMap, count: int) -> list[int]:
    """The lowest row with a pixel of each segment."""
    height, width = segments.shape
    bottoms = np.zeros(count, np.int64)
    np.maximum.at(bottoms, segments.ravel(), np.repeat(np.arange(height), width))
    rows: list[int] = bottoms.tolist()
    return rows


def sharpness_of(picture: Picture, segments: SegmentMap, count: int) -> list[float]:
    """How much a small blur changes each segment: root mean square of the change, in gray levels.

    Gray is (R + 2 G + B) / 4. What a photographer left out of focus changes little, and so does what is
    smooth by itself. Pixels within 5 of another segment do not count, unless there are no others.
    """
    red, green, blue = cv2.split(picture)
    gray = cv2.add(cv2.add(red, blue, dtype=cv2.CV_32F), cv2.add(green, green, dtype=cv2.CV_32F))
    blurred = cv2.sepFilter2D(gray, -1, _TAPS, _TAPS, borderType=cv2.BORDER_REFLECT_101)
    change = (256 * gray - blurred).astype(np.float64)  # in 1/1024 of a gray level
    change *= change
    inside = _inside(segments)
    sums, counts = _sums(segments[inside], change[inside], count)
    if not counts.all():
        all_sums, all_counts = _sums(segments.ravel(), change.ravel(), count)
        sums, counts = np.where(counts, sums, all_sums), np.where(counts, counts, all_counts)
    sharpness: list[float] = (np.sqrt(sums / np.maximum(1, counts)) / 1024).tolist()
    return sharpness


def _inside(segments: SegmentMap) -> NDArray[np.bool_]:
    """Where only one segment lies within the margin."""
    around = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    inside: NDArray[np.bool_] = cv2.erode(segments, around) == cv2.dilate(segments, around)
    return inside


def _sums(
    indices: SegmentMap, values: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.signedinteger[Any]]]:
    return np.bincount(indices, values, count), np.bincount(indices, minlength=count)  # type: ignore[return-value]


# --- groups -------------------------------------------------------------------------------------------


def borders(segments: SegmentMap) -> dict[int, Counter[int]]:
    """How long a border any two segments share: pairs of pixels, side by side or one above the other."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for one, other in ((segments[:, :-1], segments[:, 1:]), (segments[:-1], segments[1:])):
        differ = one != other
        pairs = one[differ].astype(np.int64) << 32 | other[differ]
        for pair, length in zip(
            *(each.tolist() for each in np.unique(pairs, return_counts=True)), strict=True
        ):
            first, second = pair >> 32, pair & 0xFFFFFFFF
            found[first][second] += length
            found[second][first] += length
    return found


def grouped(blurred: Set[int], shared: Borders, void: int | None = None) -> dict[int, int]:
    """For each segment that is not sharp enough, the one whose plane it shares.

    One after another, by ascending index, they join the neighbor with the longest shared border, of equal
    ones the first; with those that joined them already, until one of the group is sharp. If none of the
    picture is, all share the first's. Void, which runs along outlines and lies nowhere in particular, is
    joined only by segments that have no other neighbor.
    """
    members = {index: [index] for index in blurred}
    root = {index: index for index in blurred}
    border = {index: Counter(shared[index]) for index in blurred}
    for index in sorted(blurred):
        while (here := root[index]) in blurred and border[here]:
            there = min(border[here], key=lambda other: (other == void, -border[here][other], other))
            _join(here, there, members, root, border)
    return root


def _join(
    here: int,
    there: int,
    members: dict[int, list[int]],
    root: dict[int, int],
    border: dict[int, Counter[int]],
) -> None:
    """Let a group join another; where the other is not sharp either, their borders become one."""
    joining = members.pop(here)
    lengths = border.pop(here)
    root.update(dict.fromkeys(joining, there))
    if there in border:
        members[there] += joining
        border[there].update(lengths)
        del border[there][here], border[there][there]
    for other in lengths:
        if other != there and other in border:
            border[other][there] += border[other].pop(here)
