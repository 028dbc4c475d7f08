from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfsynth.errors import UnusableImage
from mfsynth.synthesis.planes import JITTER, Place, deal_planes, lay_out_planes
from mfsynth.synthesis.streams import stream

AREAS = st.lists(st.integers(1, 10_000), min_size=2, max_size=60)
PLANES = st.tuples(st.integers(2, 40), st.integers(2, 32)).map(lambda pair: (max(pair), min(pair)))
"""How many planes there are, and how many frames."""


def focused(planes: int, frames: int) -> list[int]:
    return [round(k * (planes - 1) / (frames - 1)) for k in range(frames)]


def held(areas: list[int], chosen: list[int], planes: int) -> list[int]:
    return [sum(a for a, p in zip(areas, chosen, strict=True) if p == plane) for plane in range(planes)]


def refused(areas: list[int], min_area: float) -> bool:
    return max(areas) > sum(areas) - max(1, min_area * sum(areas))


@given(areas=AREAS, sizes=PLANES, min_area=st.floats(0, 1 / 3), seed=st.integers(0, 999))
def test_dealing_refuses_no_more_than_pairs_do_and_leaves_no_plane_empty_that_could_have_something(
    areas: list[int], sizes: tuple[int, int], min_area: float, seed: int
) -> None:
    planes, frames = sizes
    words = stream("planes", seed, 0, 0)
    if refused(areas, min_area):
        with pytest.raises(UnusableImage, match="its largest segment covers"):
            deal_planes(areas, planes, focused(planes, frames), min_area, words)
        return
    chosen = deal_planes(areas, planes, focused(planes, frames), min_area, words)
    filled = [plane for plane, area in enumerate(held(areas, chosen, planes)) if area]
    assert len(filled) == min(planes, len(areas))
    if len(areas) <= frames:
        assert set(filled) <= set(focused(planes, frames))
    else:
        assert set(filled) >= set(focused(planes, frames))


def test_dealing_gives_every_plane_its_least_if_there_is_enough() -> None:
    areas = [400, 30, 30, 30, 30, *[5] * 40]
    for seed in range(50):
        chosen = deal_planes(areas, 6, focused(6, 6), 0.02, stream("planes", seed, 0, 0))
        assert min(held(areas, chosen, 6)) >= 0.02 * sum(areas)


def test_dealing_does_not_prefer_a_plane() -> None:
    """Of 3,000 draws, the first of five equal groups is in each of three planes about 1,000 times."""
    counts = [0, 0, 0]
    for seed in range(3000):
        counts[deal_planes([10] * 5, 3, [0, 1, 2], 0.02, stream("planes", seed, 0, 0))[0]] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 13.8  # one sampler in 1,000 would fail


@given(
    groups=st.lists(
        st.tuples(st.integers(1, 10_000), st.booleans(), st.floats(0, 1)), min_size=2, max_size=60
    ),
    sizes=PLANES,
    min_area=st.floats(0, 1 / 3),
    seed=st.integers(0, 999),
)
def test_a_layout_refuses_no_more_than_pairs_do_and_keeps_the_order(
    groups: list[tuple[int, bool, float]], sizes: tuple[int, int], min_area: float, seed: int
) -> None:
    planes, frames = sizes
    areas = [area for area, _, _ in groups]
    places = [Place(stuff, row) for _, stuff, row in groups]
    words = stream("layout", seed, 0, 0)
    if refused(areas, min_area):
        with pytest.raises(UnusableImage, match="its largest segment covers"):
            lay_out_planes(areas, places, planes, focused(planes, frames), min_area, words)
        return
    chosen, tries = lay_out_planes(areas, places, planes, focused(planes, frames), min_area, words)
    if planes == 2:
        assert min(held(areas, chosen, 2)) >= max(1, min_area * sum(areas))
    else:
        assert sum(area > 0 for area in held(areas, chosen, planes)) == min(planes, len(areas))
    for one, near in zip(places, chosen, strict=True):
        for other, nearer in zip(places, chosen, strict=True):
            behind = (not one.stuff, one.row + 2 * JITTER) < (not other.stuff, other.row)
            if tries == 1 and behind and one.stuff >= other.stuff:
                assert near <= nearer


def test_a_layout_of_a_street_is_sky_road_and_then_who_stands_nearest() -> None:
    sky, road, far, near = Place(True, 0.4), Place(True, 1.0), Place(False, 0.5), Place(False, 0.95)
    for seed in range(20):
        words = stream("layout", seed, 0, 0)
        chosen, _ = lay_out_planes([10] * 4, [near, road, far, sky], 4, [0, 1, 2, 3], 0.02, words)
        assert chosen == [3, 1, 2, 0]


def test_jitter_lets_those_that_end_alike_change_places() -> None:
    alike = [Place(False, 0.8), Place(False, 0.85)]
    drawn = {
        tuple(lay_out_planes([10, 10], alike, 2, [0, 1], 0.02, stream("layout", seed, 0, 0))[0])
        for seed in range(40)
    }
    assert drawn == {(0, 1), (1, 0)}


def test_a_layout_cuts_anywhere_that_leaves_both_enough() -> None:
    places = [Place(False, k) for k in range(5)]
    cuts = {
        sum(lay_out_planes([10] * 5, places, 2, [0, 1], 0.3, stream("layout", seed, 0, 0))[0])
        for seed in range(60)
    }
    assert cuts == {2, 3}


@pytest.mark.parametrize(("stuff", "planes"), [(True, [1, 0, 1]), (False, [0, 1, 0])])
def test_where_no_cut_will_do_the_largest_is_alone(stuff: bool, planes: list[int]) -> None:
    """Two crumbs, before and behind: stuff lies behind both, a thing in front of both."""
    places = [Place(stuff, 0), Place(stuff, 1), Place(stuff, 2)]
    words = stream("layout", 0, 0, 0)
    assert lay_out_planes([15, 970, 15], places, 2, [0, 1], 0.02, words) == (planes, 2)


def test_planes_between_frames_hold_something_only_after_those_in_focus() -> None:
    places = [Place(False, k / 3) for k in range(3)]
    for seed in range(20):
        words = stream("layout", seed, 0, 0)
        chosen, _ = lay_out_planes([10] * 3, places, 9, [0, 4, 8], 0.02, words)
        assert chosen == [0, 4, 8]
        assert all(low < high for low, high in pairwise(chosen))
