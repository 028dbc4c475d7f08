"""What is trained on of scenes of format 2: pairs out of stacks, targets, noise, breathing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth.sample import Scene, Shot, Window
from mfsynth.synthesis.optics.breathing import Motion, is_still
from tests.zoo.training.conftest import PLAIN
from zoo.errors import TrainingError
from zoo.training.crops import draws, make_crop
from zoo.training.scenes import as_trained, only, relative, some_frames, without_noise

LARGE = Window(0, 0, 32, 32)


@pytest.fixture(scope="module")
def stacks(small_coco: Path) -> list[Scene]:
    """Stacks of six noisy frames."""
    return list(mfsynth.synthesize(small_coco, "small", preset="realistic", frames=6).scenes())


def drawn(scene: Scene, count: int) -> Iterator[Scene]:
    return (some_frames(scene, (2, 2), draws("test", number)) for number in range(count))


def numbers(pair: Scene, scene: Scene) -> list[int]:
    """Which of a stack's frames a pair has."""
    return [scene.recipe.frames.index(frame) for frame in pair.recipe.frames]


def test_pairs_of_a_stack_are_in_order_and_both_sharp_somewhere(stacks: list[Scene]) -> None:
    seen = set()
    for scene in stacks:
        for pair in drawn(scene, 20):
            first, second = numbers(pair, scene)
            assert first < second
            assert set(np.unique(pair.focus())) == {0, 1}
            seen.add((first, second))
    assert len(seen) >= 10  # of fifteen


def test_a_sample_of_a_stack_has_as_many_frames_as_are_drawn(stacks: list[Scene]) -> None:
    counts = set()
    for scene in stacks[:6]:
        for number in range(20):
            some = some_frames(scene, (2, 5), draws("test", number))
            chosen = numbers(some, scene)
            assert chosen == sorted(set(chosen))
            assert len(np.unique(some.focus())) >= 2
            counts.add(len(chosen))
    assert counts == {2, 3, 4, 5}


def test_a_sample_never_has_more_frames_than_its_stack(stacks: list[Scene]) -> None:
    some = some_frames(stacks[0], (9, 9), draws("test"))
    assert numbers(some, stacks[0]) == list(range(6))


def test_frames_of_a_pair_are_those_of_the_stack(stacks: list[Scene]) -> None:
    """With the noise that each has there."""
    for scene in stacks[:3]:
        whole = mfsynth.render(scene)
        for pair in drawn(scene, 3):
            rendered = mfsynth.render(pair)
            for number, frame in zip(numbers(pair, scene), rendered.frames, strict=True):
                np.testing.assert_array_equal(frame, whole.frames[number])


def test_target_of_a_pair_is_the_better_of_its_two_frames(stacks: list[Scene]) -> None:
    """Not the best of the stack: where one of them is clearly nearer to the truth, the target names it."""
    decided = 0
    for scene in stacks:
        pair = some_frames(scene, (2, 2), draws("test"))
        clean = mfsynth.render(replace(pair, recipe=without_noise(pair.recipe)))
        errors = [np.abs(frame.astype(int) - clean.gt).max(2) for frame in clean.frames]
        near, far = (np.minimum.reduce(around(error)) for error in errors), errors
        better = [low > 8 for low in near]  # everywhere around it, the frame is off by 8 gray levels
        for frame, other in ((0, 1), (1, 0)):
            clear = better[other] & (np.maximum.reduce(around(far[frame])) < 2)
            decided += clear.sum()
            assert (clean.nearest[clear] == frame).all()
    assert decided > 100


def around(values: np.ndarray) -> list[np.ndarray]:
    """An array's neighborhoods of 3 x 3: nine arrays, moved by a pixel each."""
    padded = np.pad(values, 1, "edge")
    height, width = values.shape
    return [padded[top : top + height, left : left + width] for top in range(3) for left in range(3)]


def test_where_one_frame_is_sharpest_everywhere_all_pairs_are_drawn(stacks: list[Scene]) -> None:
    scene = stacks[0]
    segments = tuple(replace(segment, plane=2) for segment in scene.recipe.segments)
    flat = replace(scene, recipe=replace(scene.recipe, segments=segments))
    pairs = {tuple(numbers(pair, flat)) for pair in drawn(flat, 200)}
    assert len(pairs) == 15


def test_nothing_is_drawn_for_a_pair(small_coco: Path) -> None:
    """Or the windows of older trainings would change."""
    for scene in mfsynth.synthesize(small_coco, "small", preset="realistic").scenes():
        rng = draws("test")
        assert some_frames(scene, (2, 2), rng) is scene
        assert rng.random() == draws("test").random()


def test_three_frames_in_a_recipe_of_format_1_are_refused(small_coco: Path) -> None:
    scene = next(iter(mfsynth.synthesize(small_coco, "small").scenes()))
    frames = (*scene.recipe.frames, scene.recipe.frames[0])
    with pytest.raises(TrainingError, match=f"{scene.key} has 3 frames, but its recipe is of format 1"):
        make_crop(replace(scene, recipe=replace(scene.recipe, frames=frames)), PLAIN, draws("test"))


def test_crops_carry_the_target_that_the_settings_name(small_coco: Path) -> None:
    differing = 0
    for scene in mfsynth.synthesize(small_coco, "small", preset="realistic").scenes():
        options = replace(PLAIN, crop=min(32, *scene.size))
        crops = {}
        for target in ("nearest", "focus"):
            crops[target] = make_crop(scene, replace(options, target=target), draws("test"))
        sample = mfsynth.render(scene)
        places = [place for place in windows(sample.gt, options.crop) if same(crops, sample, place)]
        assert len(places) == 1
        differing += (crops["nearest"].target != crops["focus"].target).sum()
    assert differing


def windows(picture: np.ndarray, side: int) -> Iterator[tuple[slice, slice]]:
    height, width = picture.shape[:2]
    return (
        (slice(top, top + side), slice(left, left + side))
        for top in range(height - side + 1)
        for left in range(width - side + 1)
    )


def same(crops: dict[str, object], sample: mfsynth.Sample, place: tuple[slice, slice]) -> bool:
    """Whether both crops are the sample's, targets included, at a place."""
    return all(
        np.array_equal(crop.gt, sample.gt[place])  # type: ignore[attr-defined]
        and np.array_equal(crop.target, getattr(sample, target)[place])  # type: ignore[attr-defined]
        for target, crop in crops.items()
    )


def test_noise_of_format_2_is_rendered_as_the_recipe_says(small_coco: Path) -> None:
    live = mfsynth.synthesize(small_coco, "small", kernel="disk", noise=(0.05, 0.1))
    for scene in live.scenes():
        if min(scene.size) < 32:
            continue
        made = mfsynth.render(as_trained(scene, PLAIN), LARGE)
        clean = mfsynth.render(replace(scene, recipe=without_noise(scene.recipe)), LARGE)
        for one, other, plain in zip(
            made.frames, mfsynth.render(scene, LARGE).frames, clean.frames, strict=True
        ):
            np.testing.assert_array_equal(one, other)
            middle = (plain > 80) & (plain < 175)
            noise = one.astype(float)[middle] - plain[middle]
            assert noise.std() == pytest.approx(255 * scene.recipe.frames[0].noise_sigma, rel=0.2)


def test_a_camera_adds_to_crops_once(small_coco: Path) -> None:
    """Where recipes decide on it, even those that leave a sample clean; elsewhere the settings do."""
    scene = next(iter(mfsynth.synthesize(small_coco, "small", kernel="disk").scenes()))
    crops = [make_crop(scene, PLAIN, draws("test", number)) for number in range(12)]
    settings = replace(PLAIN, capture=True)
    kept, added = 0, 0
    for number, plain in enumerate(crops):
        decided = make_crop(scene, settings, draws("test", number), captured=True)
        kept += np.array_equal(decided.frames, plain.frames)
        added += not np.array_equal(make_crop(scene, settings, draws("test", number)).frames, plain.frames)
    assert kept == 12
    assert 3 <= added <= 11  # six of ten


BREATH = Shot(1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)


def moved(scene: Scene, *shots: Shot) -> Scene:
    assert scene.recipe.optics is not None
    return replace(scene, recipe=replace(scene.recipe, optics=replace(scene.recipe.optics, frames=shots)))


def test_breathing_is_undone_or_left_as_taken(small_coco: Path) -> None:
    scene = next(iter(mfsynth.synthesize(small_coco, "small", kernel="disk").scenes()))
    breathing = moved(scene, BREATH, replace(BREATH, scale=1.03, shift_x=2.0, exposure=0.3))
    still, aligned, taken = (
        make_crop(each, replace(PLAIN, aligned=flag), draws("test"))
        for each, flag in ((scene, True), (breathing, True), (breathing, False))
    )
    np.testing.assert_array_equal(aligned.frames, still.frames)
    np.testing.assert_array_equal(taken.frames[0], still.frames[0])
    assert not np.array_equal(taken.frames[1], still.frames[1])
    for crop in (aligned, taken):
        np.testing.assert_array_equal(crop.gt, still.gt)


@settings(deadline=None)
@given(
    scales=st.tuples(*[st.floats(0.8, 1.25)] * 2),
    angles=st.tuples(*[st.floats(-0.2, 0.2)] * 2),
    shifts=st.tuples(*[st.floats(-20, 20)] * 4),
)
def test_relative_motion_and_the_first_frame_s_are_that_of_the_second(
    scales: tuple[float, float], angles: tuple[float, float], shifts: tuple[float, float, float, float]
) -> None:
    """By matrices: places of the first frame, moved on, are places of the second."""
    size = (90, 120)
    first, second = (
        replace(BREATH, scale=scale, rotation=angle, shift_x=x, shift_y=y)
        for scale, angle, x, y in zip(scales, angles, shifts[::2], shifts[1::2], strict=True)
    )
    both = matrix(relative(second, first), size) @ matrix(first, size)
    np.testing.assert_allclose(both, matrix(second, size), atol=1e-9)


def matrix(shot: Shot, size: tuple[int, int]) -> np.ndarray:
    motion = Motion.of(shot, size)
    return np.array([[motion.a, -motion.b, motion.x0], [motion.b, motion.a, motion.y0], [0, 0, 1]])


def test_first_frame_of_a_pair_out_of_a_stack_is_the_one_that_the_truth_fits(stacks: list[Scene]) -> None:
    assert stacks[0].recipe.optics is not None
    shots = [replace(BREATH, scale=1 + k / 50, shift_y=float(k), exposure=k / 10) for k in range(6)]
    pair = only(moved(stacks[0], *shots).recipe, 2, 4)
    assert pair.optics is not None
    first, second = pair.optics.frames
    assert is_still(first)
    assert second.exposure == pytest.approx(0.2)
    assert second.scale == pytest.approx(1.08 / 1.04)


def test_first_frame_of_a_pair_is_not_moved_by_a_rounding_error(stacks: list[Scene]) -> None:
    """A motion divided by itself need not be one: here, an angle of 1e-18 is left."""
    assert stacks[0].recipe.optics is not None
    rng = np.random.default_rng(0)
    shots = [replace(BREATH, scale=rng.uniform(0.97, 1.03), rotation=rng.normal(0, 0.01)) for _ in range(300)]
    for shot in shots:
        recipe = moved(stacks[0], *[shot] * 6).recipe
        first = only(recipe, 2, 4).optics.frames[0]  # type: ignore[union-attr]
        assert is_still(first)


def test_only_keeps_planes_and_shots(stacks: list[Scene]) -> None:
    recipe = stacks[0].recipe
    assert recipe.optics is not None
    shots = tuple(replace(shot, quality=k) for k, shot in enumerate(recipe.optics.frames))
    two = only(replace(recipe, optics=replace(recipe.optics, frames=shots)), 1, 4)
    assert two.optics is not None
    assert [shot.quality for shot in two.optics.frames] == [1, 4]
    assert [frame.plane for frame in two.frames] == [1, 4]
    assert two.planes == 6
    two.check()
