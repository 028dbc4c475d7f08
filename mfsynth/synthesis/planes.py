"""In which plane each segment lies: groups of segments are shared out among planes, at random or by depth.

A group is a segment with those that share its plane since they are not sharp; see `Traits.group`. However
many planes there are, an image is refused only if one group leaves less than `min_area` to all others.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from mfsynth.errors import UnusableImage
from mfsynth.order import uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.order import RandomWords

MAX_TRIES = 100
JITTER = 0.15
"""Largest change of a segment's lowest row in its order, as a fraction of the picture's height."""


def draw_planes(areas: Sequence[int], min_area: float, words: RandomWords) -> tuple[list[int], int]:
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


def _bits(words: RandomWords, count: int) -> list[int]:
    """The next `count` random bits, from whole words, lowest bit first."""
    drawn = words.random_raw(-(-count // 64)).tolist()
    return [(drawn[k >> 6] >> (k & 63)) & 1 for k in range(count)]


def deal_planes(
    areas: Sequence[int], planes: int, focused: Sequence[int], min_area: float, words: RandomWords
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
    words: RandomWords,
) -> tuple[list[int], int]:
    """Cut the groups' order in depth into planes.

    The order is a guess: stuff lies behind things; of either, what ends lower in the picture is nearer, as it
    stands on the same ground. Each row is moved by a draw, up to 0.15 of the height. The order is cut at
    drawn places that leave `min_area` to either side; where those are too few, at others too.

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
    drawn = [uniform(words) for _ in areas[1:]]
    served = [uniform(words) for _ in range(planes)]
    cuts = _cuts(
        [areas[k] for k in order], planes - 1, least, sorted(range(1, len(areas)), key=lambda k: drawn[k - 1])
    )
    if planes == 2 and not cuts:
        largest = areas.index(max(areas))
        return [int((group == largest) != places[largest].stuff) for group in range(len(areas))], 2
    first = sorted(range(planes), key=lambda plane: (plane not in focused, served[plane]))
    used = sorted(first[: len(cuts) + 1])
    chosen = {group: used[bisect(cuts, place)] for place, group in enumerate(order)}
    return [chosen[group] for group in range(len(areas))], 1


def _cuts(areas: Sequence[int], most: int, least: float, turns: Sequence[int]) -> list[int]:
    """Where to cut an order: one place after another, if it leaves enough on both sides; then any others.

    A single cut must leave enough.
    """
    before = list(accumulate(areas, initial=0))
    cuts = [0, len(areas)]
    for place in turns:
        after = bisect(cuts, place)
        sides = before[place] - before[cuts[after - 1]], before[cuts[after]] - before[place]
        if len(cuts) < most + 2 and min(sides) >= least:
            cuts.insert(after, place)
    others = [place for place in turns if place not in cuts] if most > 1 else []
    return sorted(cuts[1:-1] + others[: most + 2 - len(cuts)])
