from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfsynth.errors import ShardError, UnusableImage
from mfsynth.sample import ImageInfo, Recipe, SegmentInfo
from mfsynth.synthesis.draw import DrawOptions, draw, stream
from mfsynth.synthesis.planes import MAX_TRIES, draw_planes

AREAS = [90000, 80000, 60000, 30000, 12640]

# Draws that must never change: (seed, image id, variant) -> planes, sigma, noise, first key, tries.
GOLDEN = {
    (0, 139, 0): ("01000", 2.8211239027830786, 0.015102749215200618, "359985226b49f1206aaac3e648e65974", 1),
    (0, 139, 1): ("00111", 1.602786262207553, 0.03156880709854334, "9b754a660dacb7725d900d886af60904", 2),
    (7, 285, 0): ("01001", 3.345106724727336, 0.09938199058052383, "a959f582a85b9f74b9605d8148a0a77e", 1),
    (123456789, 581929, 12): (
        "01110",
        4.566718348218998,
        0.05682907414562924,
        "4bc30fe21e59076d3e630278ebec5881",
        1,
    ),
}


def recipe(
    seed: int = 0, image_id: int = 139, variant: int = 0, options: DrawOptions | None = None
) -> Recipe:
    image = ImageInfo(image_id, "a.jpg", 640, 426, 3, "", "")
    segments = [SegmentInfo(k, 1000 * k, 1, 0, area) for k, area in enumerate(AREAS)]
    return draw(image, segments, options or DrawOptions(seed=seed, noise=(0, 0.1)), variant)


def planes(drawn: Recipe) -> str:
    return "".join(str(segment.plane) for segment in drawn.segments)


@pytest.mark.parametrize("identity", GOLDEN)
def test_draws_are_those_of_every_earlier_release(identity: tuple[int, int, int]) -> None:
    drawn = recipe(*identity)
    first = drawn.frames[0]
    assert (planes(drawn), drawn.blur.sigma, first.noise_sigma, first.noise_key, drawn.tries) == GOLDEN[
        identity
    ]


def test_a_stream_is_keyed_as_documented() -> None:
    digest = hashlib.sha256(b"mfsynth 1 blur 3 139 2").digest()
    words = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(4)
    assert np.array_equal(stream("blur", 3, 139, 2).random_raw(4), words)


def test_sigma_is_the_streams_first_word_mapped_to_the_bounds() -> None:
    word = int(stream("blur", 0, 139, 0).random_raw())
    drawn = recipe(options=DrawOptions(sigma=(2, 3)))
    assert drawn.blur.sigma == 2 + (word >> 11) / 2**53


def test_no_option_changes_another_draw() -> None:
    plain = recipe(options=DrawOptions())
    noisy = recipe(options=DrawOptions(noise=(0.05, 0.1)))
    other_blur = recipe(options=DrawOptions(sigma=(2, 8)))
    assert noisy.segments == plain.segments == other_blur.segments
    assert noisy.blur == plain.blur
    assert [f.noise_key for f in noisy.frames] == [f.noise_key for f in plain.frames]
    assert {f.noise_sigma for f in plain.frames} == {0.0}


def test_both_frames_share_a_noise_level_but_not_the_noise() -> None:
    first, second = recipe().frames
    assert first.noise_sigma == second.noise_sigma > 0
    assert first.noise_key != second.noise_key


def test_subsets_are_uniform_over_all_that_are_allowed() -> None:
    """Chi-square over the 14 proper subsets of 4 equal segments; one correct sampler in 1,000 would fail."""
    draws = 4200
    counts = Counter(
        "".join(map(str, draw_planes([1, 1, 1, 1], 0.02, stream("segments", 0, k, 0))[0]))
        for k in range(draws)
    )
    assert set(counts) == {f"{bits:04b}" for bits in range(1, 15)}
    expected = draws / 14
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 34.53


@given(
    areas=st.lists(st.integers(1, 10_000), min_size=2, max_size=90),
    min_area=st.floats(0, 1 / 3),
    image_id=st.integers(0, 10**6),
)
def test_both_frames_keep_min_area_or_the_image_is_refused(
    areas: list[int], min_area: float, image_id: int
) -> None:
    total = sum(areas)
    try:
        drawn, tries = draw_planes(areas, min_area, stream("segments", 0, image_id, 0))
    except UnusableImage:
        assert max(areas) > total - max(1, min_area * total) or max(areas) < min_area * total
        return
    sharp = sum(area for area, plane in zip(areas, drawn, strict=True) if plane)
    assert min(sharp, total - sharp) >= max(1, min_area * total)
    assert 1 <= tries <= MAX_TRIES + 1


def test_the_last_resort_is_the_largest_segment_against_all_others() -> None:
    """With forty crumbs around a segment of 0.6, hardly any subset leaves a third to both frames."""
    drawn, tries = draw_planes([1] * 20 + [60] + [1] * 20, 1 / 3, stream("segments", 0, 1, 0))
    assert drawn == [0] * 20 + [1] + [0] * 20
    assert tries == MAX_TRIES + 1


def test_a_single_segment_cannot_be_divided() -> None:
    with pytest.raises(UnusableImage, match=r"100\.0% of it"):
        draw_planes([50], 0.02, stream("segments", 0, 1, 0))


def test_a_recipe_survives_json() -> None:
    drawn = recipe()
    assert Recipe.from_json(drawn.to_json()) == drawn


@pytest.mark.parametrize(
    ("part", "name"), [((), "coating"), (("blur",), "blur.coating"), (("segments", 0), "segments.coating")]
)
def test_fields_of_a_later_release_are_refused_by_name(part: tuple[Any, ...], name: str) -> None:
    content = json.loads(recipe().to_json())
    reduce(getitem, part, content)["coating"] = 1
    with pytest.raises(ShardError, match=rf"unknown fields in recipe 000000000139-000: {name}; update"):
        Recipe.from_json(json.dumps(content).encode())


def test_spaces_and_order_do_not_matter_in_a_recipe() -> None:
    content = json.loads(recipe().to_json())
    text = json.dumps(dict(reversed(content.items())), indent=2).encode()
    assert Recipe.from_json(text) == recipe()
