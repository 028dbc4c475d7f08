from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import combinations
from operator import getitem
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from mfsynth.errors import ShardError, UnusableImage
from mfsynth.sample import ImageInfo, Optics, Recipe, SegmentInfo, Shot, Traits
from mfsynth.synthesis.draw import DrawOptions, draw
from mfsynth.synthesis.optics.light import linear_of
from mfsynth.synthesis.planes import MAX_TRIES, draw_planes
from mfsynth.synthesis.streams import stream

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


# The same of format 2, every option on: planes by layout; radius, blades, rotation, shot and read noise, the
# last frame; planes of three and of six frames at random.
OPTICS = DrawOptions(
    frames=4, planes=7, order="layout", kernel="polygon", boundary="spread", fill="inpaint", light="linear",
    noise_model="poisson-gaussian", capture="camera", breathing=2.0,
)  # fmt: skip
GOLDEN_OPTICS = {
    (0, 139, 0): (
        "02564", 5.642247805566157, 6, 0.6980674909472617, 2.37757685492969e-05, 0.0007476394639214266,
        Shot(1.0030014586827398, -1.0084295857179093, 1.2421966914818636, -0.0013013636631003952,
             -0.04275287415470202, 85, 14, 0),
        "01200", "10342",
    ),
    (0, 139, 1): (
        "01462", 3.205572524415106, 5, 0.7002058959986929, 0.0, 0.0,
        Shot(1.0046517713889276, -1.7890847896846134, -0.7263384721930577, -0.0025843916352160223,
             -0.06039191842865288, 0, 0, 0),
        "21010", "41350",
    ),
    (7, 285, 0): (
        "02564", 6.690213449454672, 9, 0.3793404041545058, 0.0011887827918888416, 0.0036277563560244406,
        Shot(0.9830452681982504, 2.2948460533903416, 0.012860834131033894, -0.0037161862312234044,
             0.010134956986596791, 79, 6, 14),
        "10021", "43021",
    ),
    (123456789, 581929, 12): (
        "02463", 9.133436696437997, 8, 0.01993816826287598, 0.0002334407387101648, 0.0009271343116703027,
        Shot(1.0046582395952839, 0.5836067377777803, 2.157516021857492, 0.00362176201720754,
             0.0847985841510637, 86, 6, 5),
        "12000", "41025",
    ),
}  # fmt: skip

TRAITS = tuple(
    Traits(bottom, stuff, 5.0, index)
    for index, (bottom, stuff) in enumerate([(200, 1), (425, 1), (300, 0), (420, 0), (250, 0)])
)


def recipe(
    seed: int = 0,
    image_id: int = 139,
    variant: int = 0,
    options: DrawOptions | None = None,
    traits: tuple[Traits, ...] = TRAITS,
) -> Recipe:
    options = options or DrawOptions(seed=seed, noise=(0, 0.1))
    image = ImageInfo(image_id, "a.jpg", 640, 426, 3, "", "")
    segments = [SegmentInfo(k, 1000 * k, 1 + k, 0, area) for k, area in enumerate(AREAS)]
    return draw(image, segments, options, variant, traits if options.optical else ())


def planes(drawn: Recipe) -> str:
    return "".join(str(segment.plane) for segment in drawn.segments)


@pytest.mark.parametrize("identity", GOLDEN)
def test_draws_are_those_of_every_earlier_release(identity: tuple[int, int, int]) -> None:
    drawn = recipe(*identity)
    first = drawn.frames[0]
    assert (planes(drawn), drawn.blur.sigma, first.noise_sigma, first.noise_key, drawn.tries) == GOLDEN[
        identity
    ]


@pytest.mark.parametrize("identity", GOLDEN_OPTICS)
def test_draws_of_optics_are_those_of_every_earlier_release(identity: tuple[int, int, int]) -> None:
    drawn = recipe(*identity, replace(OPTICS, seed=identity[0]))
    of_stacks = [planes(recipe(*identity, DrawOptions(seed=identity[0], frames=frames))) for frames in (3, 6)]
    assert drawn.optics is not None
    optics = drawn.optics
    numbers = (optics.radius, optics.blades, optics.rotation, optics.shot_noise, optics.read_noise)
    assert (planes(drawn), *numbers, optics.frames[3], *of_stacks) == GOLDEN_OPTICS[identity]


def test_a_stream_is_keyed_as_documented() -> None:
    digest = hashlib.sha256(b"mfsynth 1 blur 3 139 2").digest()
    words = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(4)
    assert np.array_equal(stream("blur", 3, 139, 2).random_raw(4), words)


def test_sigma_is_the_streams_first_word_mapped_to_the_bounds() -> None:
    word = int(stream("blur", 0, 139, 0).random_raw())
    drawn = recipe(options=DrawOptions(sigma=(2, 3)))
    assert drawn.blur.sigma == 2 + (word >> 11) / 2**53


# What a recipe says, and the options that it depends on.
SAID: dict[str, tuple[Callable[[Recipe], object], set[str]]] = {
    "planes": (planes, {"frames", "planes", "order", "min_area"}),
    "focus": (lambda r: [frame.plane for frame in r.frames], {"frames", "planes"}),
    "blur": (lambda r: (r.blur, r.optics and r.optics.radius), {"kernel", "sigma", "radius"}),
    "noise": (lambda r: r.frames[0].noise_sigma, {"noise", "capture"}),
    "noise keys": (lambda r: [frame.noise_key for frame in r.frames], {"frames"}),
    "first noise keys": (lambda r: [frame.noise_key for frame in r.frames[:2]], set()),
    "aperture": (lambda r: r.optics and (r.optics.blades, r.optics.rotation), {"kernel"}),
    "sensor": (
        lambda r: r.optics and (r.optics.shot_noise, r.optics.read_noise),
        {"noise", "capture", "noise_model"},
    ),
    "JPEG": (
        lambda r: r.optics and [(f.quality, f.grid_x, f.grid_y) for f in r.optics.frames[:2]],
        {"capture"},
    ),
    "scale": (lambda r: r.optics and [f.scale for f in r.optics.frames], {"breathing", "frames", "planes"}),
    "shake": (
        lambda r: r.optics and [(f.shift_x, f.shift_y, f.rotation, f.exposure) for f in r.optics.frames[:2]],
        {"breathing"},
    ),
}
OTHERS: dict[str, Any] = {
    "sigma": (2.0, 8.0), "noise": (0.05, 0.1), "min_area": 0.2, "frames": 5, "planes": 9, "order": "layout",
    "kernel": "polygon", "radius": (3.0, 4.0), "boundary": "spread", "fill": "inpaint", "light": "linear",
    "noise_model": "poisson-gaussian", "capture": "camera", "breathing": 3.0,
}  # fmt: skip


@pytest.mark.parametrize("said", SAID)
def test_no_option_changes_another_draw(said: str) -> None:
    """All pairs of options: what a recipe says depends on none but its own."""
    of, own = SAID[said]
    for pair in combinations(OTHERS, 2):
        options = {name: OTHERS[name] for name in pair}
        theirs = {name: value for name, value in options.items() if name in own}
        formats: dict[str, Any] = {
            "min_sharpness": 1.0
        }  # so that all have format 2; no segment is less sharp than that
        drawn, alone = (
            recipe(options=DrawOptions(**options, **formats)),
            recipe(options=DrawOptions(**theirs, **formats)),
        )
        assert of(drawn) == of(alone), pair


def test_what_format_1_says_is_drawn_for_format_2_as_well() -> None:
    paper, linear = recipe(), recipe(options=DrawOptions(noise=(0, 0.1), light="linear"))
    assert (paper.format, linear.format) == (1, 2)
    assert replace(linear, format=1, optics=None) == paper


def test_a_recipe_has_format_2_where_it_says_more_than_format_1_can() -> None:
    plain = {"sigma", "noise", "min_area", "radius", "fill"}
    for name, value in OTHERS.items():
        assert DrawOptions(**{name: value}).optical == (name not in plain)
    assert not DrawOptions(planes=2).optical
    assert DrawOptions(min_sharpness=1.0).optical
    assert DrawOptions(depth="near").optical


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


@pytest.mark.parametrize("options", [DrawOptions(), DrawOptions(frames=3), OPTICS])
def test_a_recipe_survives_json(options: DrawOptions) -> None:
    drawn = recipe(options=options)
    assert Recipe.from_json(drawn.to_json()) == drawn


@pytest.mark.parametrize("options", [DrawOptions(frames=3), OPTICS])
def test_every_recipe_of_a_set_has_the_same_fields_and_types(options: DrawOptions) -> None:
    """`datasets` guesses types from the first samples: reals have a point, and nothing is null."""

    def types(value: object) -> object:
        if isinstance(value, dict):
            return {name: types(each) for name, each in value.items()}
        return types(value[0]) if isinstance(value, list) else type(value).__name__

    texts = [recipe(variant=variant, options=options).to_json() for variant in range(20)]
    assert not any(b"null" in text for text in texts)
    assert len({json.dumps(types(json.loads(text))) for text in texts}) == 1


# --- optics -------------------------------------------------------------------------------------------


def optics_of(options: DrawOptions, variants: int = 400) -> list[Optics]:
    drawn = [recipe(variant=variant, options=options).optics for variant in range(variants)]
    return [optics for optics in drawn if optics is not None]


def test_apertures_have_5_to_9_blades_and_any_rotation() -> None:
    drawn = optics_of(DrawOptions(kernel="polygon"))
    assert {optics.blades for optics in drawn} == {5, 6, 7, 8, 9}
    turns = sorted(optics.rotation * optics.blades / (2 * np.pi) for optics in drawn)
    assert kstest(turns, "uniform").pvalue > 0.001
    assert {(optics.blades, optics.rotation) for optics in optics_of(DrawOptions(kernel="disk"), 9)} == {
        (0, 0.0)
    }


def test_shot_and_read_noise_are_as_strong_in_middle_gray_as_the_gaussian() -> None:
    for variant in range(50):
        drawn = recipe(
            variant=variant, options=DrawOptions(noise=(0.02, 0.1), noise_model="poisson-gaussian")
        )
        assert drawn.optics is not None
        light = float(linear_of(np.array(0.5)))
        slope = float(linear_of(np.array(0.5 + 1e-6)) - linear_of(np.array(0.5 - 1e-6))) / 2e-6
        variance = drawn.optics.shot_noise * light + drawn.optics.read_noise**2
        assert np.sqrt(variance) / slope == pytest.approx(drawn.frames[0].noise_sigma, rel=1e-6)
        assert 0.9 <= drawn.optics.shot_noise * light / variance <= 1


def test_a_camera_decides_on_noise_only_where_noise_is_off() -> None:
    cameras = [recipe(variant=v, options=DrawOptions(capture="camera")) for v in range(400)]
    sigmas = [drawn.frames[0].noise_sigma for drawn in cameras]
    assert 0.5 < np.mean(np.array(sigmas) > 0) < 0.7
    assert max(sigmas) <= 5 / 255
    fixed = recipe(options=DrawOptions(capture="camera", noise=(0.1, 0.1)))
    assert {frame.noise_sigma for frame in fixed.frames} == {0.1}
    qualities = {shot.quality for drawn in cameras for shot in drawn.optics.frames}  # type: ignore[union-attr]
    assert 0 in qualities
    assert 70 <= min(qualities - {0}) <= max(qualities) <= 99


def test_breathing_scales_with_the_focus_and_shakes_all_frames_but_the_first() -> None:
    scales = []
    for optics in optics_of(DrawOptions(frames=4, planes=7, breathing=2.0)):
        first, *others, last = optics.frames
        assert first == Shot(1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)
        assert [shot.scale - 1 for shot in others] == pytest.approx(
            [(last.scale - 1) / 3, (last.scale - 1) * 2 / 3], abs=1e-12
        )
        scales.append(last.scale)
        for shot in (*others, last):
            assert max(abs(shot.shift_x), abs(shot.shift_y)) <= 0.005 * 640
            assert 0 < abs(shot.rotation) <= 0.004
            assert 0 < abs(shot.exposure) <= 0.1
    assert 0.98 <= min(scales) < 0.982
    assert 1.018 < max(scales) <= 1.02


# --- groups -------------------------------------------------------------------------------------------


def led(groups: list[int]) -> tuple[Traits, ...]:
    return tuple(replace(each, group=group) for each, group in zip(TRAITS, groups, strict=True))


@pytest.mark.parametrize("options", [DrawOptions(min_sharpness=9.0), replace(OPTICS, min_sharpness=9.0)])
def test_a_group_is_in_one_plane(options: DrawOptions) -> None:
    for variant in range(20):
        drawn = planes(recipe(variant=variant, options=options, traits=led([0, 0, 2, 2, 4])))
        assert drawn[0] == drawn[1]
        assert drawn[2] == drawn[3]
        assert len(set(drawn)) > 1


def test_the_largest_segment_of_a_group_says_how_deep_it_lies() -> None:
    """A large thing low in the picture, led by a scrap of stuff at the top, is nearer than what is high."""
    options = DrawOptions(order="layout", min_sharpness=9.0)
    rows, groups = [420, 60, 60, 60, 20], [4, 1, 1, 1, 4]  # the last, and smallest, leads the first
    traits = tuple(
        replace(each, bottom=row, group=group, stuff=int(k == 4))
        for k, (each, row, group) in enumerate(zip(TRAITS, rows, groups, strict=True))
    )
    for variant in range(20):
        assert planes(recipe(variant=variant, options=options, traits=traits)) == "10001"


def test_planes_of_a_pair_are_the_papers_where_nothing_is_grouped() -> None:
    for variant in range(20):
        sharp = recipe(variant=variant, options=DrawOptions(min_sharpness=1.0))
        assert sharp.segments == recipe(variant=variant).segments


def test_an_image_that_is_not_sharp_is_refused_under_a_reason_of_its_own() -> None:
    options = DrawOptions(min_sharpness=9.0)
    with pytest.raises(
        UnusableImage, match=r"share a plane, as they are not sharp, cover 100\.0% of it"
    ) as refused:
        recipe(options=options, traits=led([0] * 5))
    assert refused.value.reason == "min-sharpness"
    with pytest.raises(UnusableImage, match=r"cover 95\.4% of it") as refused:
        recipe(options=replace(options, min_area=0.05), traits=led([0, 0, 0, 0, 4]))
    assert refused.value.reason == "min-sharpness"
    assert recipe(options=options, traits=led([0, 0, 0, 0, 4])).format == 2


def test_an_image_that_no_sharpness_could_save_is_refused_for_its_areas() -> None:
    image, segments = ImageInfo(1, "a.jpg", 100, 100, 4, "", ""), [SegmentInfo(0, 0, 0, 0, 10_000)]
    with pytest.raises(UnusableImage) as refused:
        draw(image, segments, DrawOptions(min_sharpness=9.0), 0, (Traits(99, 1, 0.0, 0),))
    assert refused.value.reason == "min-area"


def test_a_stack_that_could_not_be_read_again_is_not_drawn() -> None:
    image, half = ImageInfo(1, "a.jpg", 16_000, 16_000, 4, "", ""), 16_000 * 8_000
    segments = [SegmentInfo(k, k, 1, 0, half) for k in (0, 1)]
    traits = (Traits(9, 0, 5.0, 0), Traits(9, 0, 5.0, 1))
    draw(image, segments, DrawOptions(frames=4), 0, traits).check()
    with pytest.raises(UnusableImage, match="5 frames of 16000 x 16000 pixels") as refused:
        draw(image, segments, DrawOptions(frames=5), 0, traits)
    assert refused.value.reason == "too-large"


def test_a_blur_that_mirrors_far_more_than_a_picture_has_is_not_drawn() -> None:
    image = ImageInfo(1, "a.jpg", 1_000_000, 1, 4, "", "")
    segments = [SegmentInfo(k, k, 1, 0, 500_000) for k in (0, 1)]
    traits = (Traits(0, 0, 5.0, 0), Traits(0, 0, 5.0, 1))
    draw(image, segments, DrawOptions(kernel="disk", radius=(1.0, 3.0)), 0, traits).check()
    draw(image, segments, DrawOptions(sigma=(50.0, 50.0)), 0)  # format 1 mirrors a line at a time
    with pytest.raises(UnusableImage, match="1000000 x 1 pixels, a blur of sigma 50") as refused:
        draw(image, segments, DrawOptions(kernel="disk", radius=(100.0, 100.0)), 0, traits)
    assert refused.value.reason == "too-large"


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
