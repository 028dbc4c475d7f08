"""In which plane each segment lies: segments are shared out among the planes at random, or by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.errors import UnusableImage
from mfsynth.order import uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from mfsynth.recipe import Traits

MAX_TRIES = 100
JITTER = 0.15
"""Largest change of a segment's depth in its order, as a fraction of the picture's height."""


def draw_planes(areas: Sequence[int], min_area: float, words: np.random.Philox) -> tuple[list[int], int]:
    """Divide segments between the two planes.

    The subset in plane 1 is uniform over all subsets that leave both planes at least `min_area` of the
    picture. After 100 tries the largest segment goes to plane 1, all others to plane 0 (tries is then 101).

    Returns:
        The plane of each segment, and how many subsets were drawn.

    Raises:
        UnusableImage: If there is only one segment, or not even the last resort keeps `min_area`.
    """
    total = sum(areas)
    least = max(1, min_area * total)
    if len(areas) < 2 or max(areas) > total - least:
        raise UnusableImage("min-area", f"its largest segment covers {max(areas) / total:.1%} of it")
    for tries in range(1, MAX_TRIES + 1):
        planes = _bits(words, len(areas))
        sharp = sum(area for area, plane in zip(areas, planes, strict=True) if plane)
        if least <= sharp <= total - least:
            return planes, tries
    if max(areas) < least:
        raise UnusableImage("min-area", f"no subset of its {len(areas)} segments was large enough")
    largest = areas.index(max(areas))
    return [int(index == largest) for index in range(len(areas))], MAX_TRIES + 1


def _bits(words: np.random.Philox, count: int) -> list[int]:
    """The next `count` random bits, from whole words, lowest bit first."""
    drawn = words.random_raw(-(-count // 64)).tolist()
    return [(drawn[k >> 6] >> (k & 63)) & 1 for k in range(count)]


def draw_many_planes(
    areas: Sequence[int], planes: int, min_area: float, words: np.random.Philox
) -> tuple[list[int], int]:
    """Share segments out among any number of planes at random.

    As many planes as there are segments of at least `min_area` get one of those, drawn without
    repetition; every other segment goes to a plane drawn from all.

    Returns:
        The plane of each segment, and 1.

    Raises:
        UnusableImage: If fewer than two segments keep `min_area`.
    """
    total = sum(areas)
    large = [index for index, area in enumerate(areas) if area >= max(1, min_area * total)]
    if len(large) < 2:
        raise UnusableImage("min-area", f"its largest segment covers {max(areas) / total:.1%} of it")
    chosen = [int(uniform(words) * planes) for _ in areas]
    first = sorted(large, key=lambda _: uniform(words))
    for plane, index in zip(sorted(range(planes), key=lambda _: uniform(words)), first, strict=False):
        chosen[index] = plane
    return chosen, 1


def draw_by_layout(
    areas: Sequence[int],
    traits: Sequence[Traits],
    planes: int,
    height: int,
    min_area: float,
    words: np.random.Philox,
) -> tuple[list[int], int]:
    """Share segments out among planes by a guess of their depth, the farthest first.

    Stuff lies behind things; of either, what ends lower in the picture is nearer. That is a heuristic: it
    holds for things that stand on the ground. Each segment's row is moved by a draw.

    Returns:
        The plane of each segment, and how many ways to cut the order were tried.

    Raises:
        UnusableImage: If no cut keeps `min_area` in two planes.
    """
    rows = [each.bottom / height + JITTER * (2 * uniform(words) - 1) for each in traits]
    order = sorted(range(len(areas)), key=lambda k: (-traits[k].stuff, rows[k]))
    total = sum(areas)
    least = max(1, min_area * total)
    if len(areas) < 2 or max(areas) > total - least:
        raise UnusableImage("min-area", f"its largest segment covers {max(areas) / total:.1%} of it")
    wanted = min(planes, sum(area >= least for area in areas))
    for tries in range(1, MAX_TRIES + 1):
        cuts = sorted(int(uniform(words) * (len(areas) - 1)) + 1 for _ in range(planes - 1))
        chosen = [0] * len(areas)
        for place, index in enumerate(order):
            chosen[index] = sum(cut <= place for cut in cuts)
        filled = [sum(a for a, p in zip(areas, chosen, strict=True) if p == plane) for plane in range(planes)]
        if sum(area >= least for area in filled) >= max(2, wanted):
            return chosen, tries
        wanted = max(2, wanted - (tries % 20 == 0))
    raise UnusableImage("min-area", f"no cut between its {len(areas)} segments was large enough")
