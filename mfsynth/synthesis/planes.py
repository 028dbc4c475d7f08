"""In which plane each segment lies: groups of segments are shared out among planes, at random or by depth.

A group is a segment with those that share its plane since they are not sharp; see `Traits.group`. However
many planes there are, an image is refused only if one group leaves less than `min_area` to all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from mfsynth.errors import UnusableImage
from mfsynth.order import uniform

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

MAX_TRIES = 100
JITTER = 0.15
"""Largest change of a segment's lowest row in its order, as a fraction of the picture's height."""


def draw_planes(areas: Sequence[int], min_area: float, words: np.random.Philox) -> tuple[list[int], int]:
    """Divide groups between the two planes of a pair.

    The subset in plane 1 is uniform over all subsets that leave both planes at least `min_area` of the
    picture. After 100 tries the largest group goes to plane 1, all others to plane 0 (tries is then 101).

    Returns:
        The plane of each group, and how many subsets were drawn.

    Raises:
        UnusableImage: If there is only one group, or not even the last resort keeps `min_area`.
    """
    total, least = _least(areas, min_area)
    for tries in range(1, MAX_TRIES + 1):
        planes = _bits(words, len(areas))
        sharp = sum(area for area, plane in zip(areas, planes, strict=True) if plane)
        if least <= sharp <= total - least:
            return planes, tries
    if max(areas) < least:
        raise UnusableImage("min-area", f"no subset of its {len(areas)} segments was large enough")
    largest = areas.index(max(areas))
    return [int(index == largest) for index in range(len(areas))], MAX_TRIES + 1


def _least(areas: Sequence[int], min_area: float) -> tuple[int, float]:
    """The picture's area, and the least that a plane keeps.

    Raises:
        UnusableImage: If all but the largest have less than that.
    """
    total = sum(areas)
    least = max(1, min_area * total)
    if len(areas) < 2 or max(areas) > total - least:
        raise UnusableImage("min-area", f"its largest segment covers {max(areas) / total:.1%} of it")
    return total, least


def _bits(words: np.random.Philox, count: int) -> list[int]:
    """The next `count` random bits, from whole words, lowest bit first."""
    drawn = words.random_raw(-(-count // 64)).tolist()
    return [(drawn[k >> 6] >> (k & 63)) & 1 for k in range(count)]


def deal_planes(
    areas: Sequence[int], planes: int, focused: Sequence[int], min_area: float, words: np.random.Philox
) -> list[int]:
    """Deal groups out among three planes or more, at random.

    In turn, groups of at least `min_area` first, each goes to a plane that has nothing yet; else to one that
    has less than `min_area`; else to any. Planes that a frame focuses are served before others.

    Args:
        areas: Of the groups, in pixels; 0 for one that has none.
        planes: How many planes there are.
        focused: Those that a frame focuses.
        min_area: What a plane should have, as a fraction of the picture.
        words: Two are read for each group, one for each plane.

    Returns:
        The plane of each group.

    Raises:
        UnusableImage: If all groups but the largest have less than `min_area`.
    """
    _, least = _least(areas, min_area)
    turns = [uniform(words) for _ in areas]
    any_of = [int(uniform(words) * planes) for _ in areas]
    served = [uniform(words) for _ in range(planes)]
    order = sorted(range(planes), key=lambda plane: (plane not in focused, served[plane]))
    held, dealt = [0] * planes, [0] * len(areas)
    for group in sorted(range(len(areas)), key=lambda k: (areas[k] < least, turns[k])):
        empty = (plane for plane in order if not held[plane])
        short = (plane for plane in order if held[plane] < least)
        dealt[group] = next(empty, next(short, any_of[group]))
        held[dealt[group]] += areas[group]
    return dealt


@dataclass(frozen=True, slots=True)
class Place:
    """A group in the picture: whether it is stuff, and its lowest row as a fraction of the height."""

    stuff: bool
    row: float


def lay_out_planes(
    areas: Sequence[int],
    places: Sequence[Place],
    planes: int,
    focused: Sequence[int],
    min_area: float,
    words: np.random.Philox,
) -> tuple[list[int], int]:
    """Cut the groups' order in depth into planes.

    The order is a guess: stuff lies behind things; of either, what ends lower in the picture is nearer, as it
    stands on the same ground. Each row is moved by a draw, up to 0.15 of the height. The cuts are drawn from
    all between runs that keep `min_area`, and from the others where those are too few.

    Args:
        areas: Of the groups, in pixels.
        places: Of the groups.
        planes: How many planes there are.
        focused: Those that a frame focuses; they are served first if there are fewer groups than planes.
        min_area: What a plane should have, as a fraction of the picture.
        words: One is read for each group, one for each place between two, one for each plane.

    Returns:
        The plane of each group, and 1; 2 if no cut in two leaves both enough, so that the largest group
        lies behind all others if it is stuff, and before them if not.

    Raises:
        UnusableImage: If all groups but the largest have less than `min_area`.
    """
    _, least = _least(areas, min_area)
    moved = [place.row + JITTER * (2 * uniform(words) - 1) for place in places]
    order = sorted(range(len(areas)), key=lambda k: (not places[k].stuff, moved[k]))
    cuts = [uniform(words) for _ in areas[1:]]
    served = [uniform(words) for _ in range(planes)]
    enough = _ends_of_runs([areas[k] for k in order], least)
    if planes == 2 and not enough:
        largest = areas.index(max(areas))
        return [int((group == largest) != places[largest].stuff) for group in range(len(areas))], 2
    chosen = sorted(range(len(cuts)), key=lambda cut: (cut not in enough, cuts[cut]))[: planes - 1]
    runs = list(accumulate(place - 1 in chosen for place in range(len(areas))))
    first = sorted(range(planes), key=lambda plane: (plane not in focused, served[plane]))
    used = sorted(first[: len(chosen) + 1])
    return [used[run] for _, run in sorted(zip(order, runs, strict=True))], 1


def _ends_of_runs(areas: Iterable[int], least: float) -> set[int]:
    """Places after which an order may be cut, so that every run has enough: the first, from its beginning on.

    >>> sorted(_ends_of_runs([5, 1, 1, 1, 9], 2))
    [0, 2]
    """
    ends, held = [], 0
    for place, area in enumerate(areas):
        held += area
        if held >= least:
            ends.append(place)
            held = 0
    return set(ends[:-1])  # the last run takes what is left
