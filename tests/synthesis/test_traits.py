from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import correlate1d, maximum_filter, minimum_filter

from mfsynth.errors import UnusableImage
from mfsynth.sample import SegmentInfo, Traits
from mfsynth.synthesis.draw import DrawOptions
from mfsynth.synthesis.traits import MARGIN, borders, grouped, sharpness_of, traits_of

OPTICAL = DrawOptions(light="linear")


def infos(segments: np.ndarray, categories: list[int]) -> list[SegmentInfo]:
    counts = np.bincount(segments.ravel(), minlength=len(categories)).tolist()
    return [
        SegmentInfo(k, k, category, 0, area)
        for k, (category, area) in enumerate(zip(categories, counts, strict=True))
    ]


def noise(height: int, width: int, key: int = 1) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=key))
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_sharpness_is_the_root_mean_square_of_what_a_small_blur_changes() -> None:
    picture = noise(60, 80)
    segments = (np.arange(80) >= 50).astype(np.uint8)[None].repeat(60, axis=0)
    gray = picture.astype(float) @ (0.25, 0.5, 0.25)
    taps = np.array([1, 4, 6, 4, 1]) / 16
    blurred = correlate1d(correlate1d(gray, taps, 0, mode="mirror"), taps, 1, mode="mirror")
    size = 2 * MARGIN + 1
    alone = maximum_filter(segments, size) == minimum_filter(segments, size)
    expected = [np.sqrt(np.mean((gray - blurred)[alone & (segments == k)] ** 2)) for k in (0, 1)]
    assert sharpness_of(picture, segments, 2) == pytest.approx(expected, rel=1e-12)


def test_the_small_blur_is_a_gaussian_of_sigma_1() -> None:
    """1 4 6 4 1 has the variance 1, and gratings fade as under the Gaussian, within 5 %."""
    assert np.average(np.arange(-2, 3) ** 2, weights=[1, 4, 6, 4, 1]) == 1
    for period in (6, 12, 24):
        row = np.rint(128 + 100 * np.cos(2 * np.pi * np.arange(240) / period)).astype(np.uint8)
        picture = np.broadcast_to(row[None, :, None], (40, 240, 3)).copy()
        sharp = sharpness_of(picture, np.zeros((40, 240), np.uint8), 1)[0]
        fades = 1 - np.exp(-2 * (np.pi / period) ** 2)
        assert sharp == pytest.approx(100 / np.sqrt(2) * fades, rel=0.05)


def test_what_a_lens_has_blurred_is_less_sharp_and_edges_of_others_do_not_count() -> None:
    picture = noise(90, 120)
    picture[:, 60:] = cv2.GaussianBlur(picture, (0, 0), 3)[:, 60:]
    picture[40:50, 60:] = 255
    segments = np.zeros((90, 120), np.uint8)
    segments[:, 60:] = 1
    segments[40:50, 60:] = 2
    first, second, _ = sharpness_of(picture, segments, 3)
    assert first > 20
    assert second < 3


def test_a_segment_that_is_all_border_counts_whole() -> None:
    picture, segments = noise(40, 40), np.zeros((40, 40), np.uint8)
    segments[20] = 1
    assert sharpness_of(picture, segments, 2)[1] > 20


def test_traits_say_the_lowest_row_and_which_are_stuff() -> None:
    segments = np.zeros((30, 40), np.uint16)
    segments[5:12, 3:9] = 1
    segments[20:, 3:9] = 2
    segments[12, 30] = 1
    listed = infos(segments, [0, 184, 1])
    made = traits_of(noise(30, 40), segments, listed, {184}, OPTICAL)
    assert [each.bottom for each in made] == [29, 12, 29]
    assert [each.stuff for each in made] == [1, 1, 0]
    assert [each.group for each in made] == [0, 1, 2]
    assert traits_of(noise(30, 40), segments, listed, {184}, DrawOptions()) == ()


def striped(widths: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(widths)), widths)[None].repeat(20, axis=0).astype(np.uint8)


def test_borders_are_pairs_of_pixels_beside_and_above_each_other() -> None:
    segments = np.array([[0, 0, 1], [0, 2, 1], [2, 2, 2]], np.uint8)
    assert borders(segments) == {0: {1: 1, 2: 3}, 1: {0: 1, 2: 2}, 2: {0: 3, 1: 2}}


@pytest.mark.parametrize(
    ("blurred", "groups"),
    [
        ({1}, {1: 0}),
        ({0}, {0: 1}),
        ({2, 3}, {2: 1, 3: 1}),
        ({0, 1, 2}, {0: 3, 1: 3, 2: 3}),
        ({0, 3}, {0: 1, 3: 2}),
        ({0, 1, 2, 3, 4}, dict.fromkeys(range(5), 4)),
    ],
)
def test_what_is_not_sharp_joins_the_neighbor_until_one_is(blurred: set[int], groups: dict[int, int]) -> None:
    """Five stripes side by side; of equal borders, the first counts."""
    found = grouped(blurred, borders(striped([4, 4, 4, 4, 4])))
    if len(blurred) == 5:
        assert len(set(found.values())) == 1
    else:
        assert found == groups


def test_the_longest_border_counts_and_grows_with_the_group() -> None:
    """3 touches 1 more than 0; joined with 2, which touches 0 most, it is 0 that they touch most."""
    segments = np.zeros((12, 12), np.uint8)
    segments[8:, :] = 1
    segments[4:8, 4:8] = 3
    assert grouped({3}, borders(segments)) == {3: 0}
    segments[0:4, 4:8] = 2
    segments[4:8, 0:4] = segments[4:8, 8:] = 1
    assert grouped({3}, borders(segments)) == {3: 1}
    assert grouped({2, 3}, borders(segments)) == {2: 0, 3: 1}


@given(
    segments=arrays.arrays(
        np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 7)
    ),
    sharp=st.sets(st.integers(0, 7)),
)
def test_every_group_is_in_one_piece_and_led_by_its_only_sharp_segment(
    segments: np.ndarray, sharp: set[int]
) -> None:
    present = set(np.unique(segments).tolist())
    blurred = present - sharp
    found = grouped(blurred, borders(segments))
    assert found.keys() == blurred
    if not present & sharp:
        assert len(set(found.values())) == 1
        assert set(found.values()) <= present
        return
    assert set(found.values()) <= present & sharp
    for leader in set(found.values()):
        members = {leader, *(k for k, group in found.items() if group == leader)}
        mask = np.isin(segments, list(members)).astype(np.uint8)
        pieces, _ = cv2.connectedComponents(mask, connectivity=4)
        alone, _ = cv2.connectedComponents((segments == leader).astype(np.uint8), connectivity=4)
        each = sum(
            cv2.connectedComponents((segments == k).astype(np.uint8), connectivity=4)[0] - 1 for k in members
        )
        assert pieces - 1 <= each - len(members) + 1 or alone > 2


def test_traits_follow_min_sharpness() -> None:
    picture, segments = noise(60, 90), striped([30, 30, 30]).repeat(3, axis=0)
    picture[:, 30:60] = 128
    listed = [replace(info, id=info.id + 1) for info in infos(segments, [1, 2, 3])]
    made = traits_of(picture, segments, listed, set(), DrawOptions(min_sharpness=3.0))
    assert [each.group for each in made] == [0, 0, 2]
    assert made[1].sharpness == 0
    assert all(isinstance(each, Traits) and each.sharpness > 20 for each in (made[0], made[2]))


def test_void_is_joined_only_where_there_is_no_other_neighbor() -> None:
    shared = {
        0: Counter({1: 50, 2: 9}),
        1: Counter({0: 50, 2: 3}),
        2: Counter({0: 9, 1: 3}),
        3: Counter({0: 4}),
    }
    assert grouped({1, 3}, shared, void=0) == {1: 2, 3: 0}
    assert grouped({1, 3}, shared) == {1: 0, 3: 0}


def test_a_picture_of_very_many_blurred_segments_is_left_out() -> None:
    """Joining them takes time that grows with the square of their number."""
    segments = np.arange(1200, dtype=np.uint16).reshape(30, 40)
    flat = np.full((30, 40, 3), 90, np.uint8)
    with pytest.raises(UnusableImage, match="1,200 of its segments are not sharp, at most 1,000") as refused:
        traits_of(flat, segments, infos(segments, [1] * 1200), set(), DrawOptions(min_sharpness=3.0))
    assert refused.value.reason == "min-sharpness"
