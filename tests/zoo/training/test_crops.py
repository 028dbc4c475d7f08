from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from tests.zoo.training.conftest import PLAIN
from zoo.training.changes import draw_capture_of, draw_unlike, exposed
from zoo.training.crops import (
    Crop,
    choose_window,
    draws,
    make_crop,
    pad_reflect,
    rotate_flip,
    unlike,
    with_capture,
    with_levels,
)
from zoo.training.presets import preset


@pytest.fixture(scope="module")
def scenes(small_coco):
    return list(mfsynth.synthesize(small_coco, "small").scenes())


def test_noise_of_a_recipe_is_left_out(small_recipes, scenes):
    """The training's own settings decide on noise, where recipes are of format 1."""
    noisy = [scene for scene in mfsynth.open(small_recipes).scenes() if scene.key.endswith("-000")]
    assert any(scene.recipe.frames[0].noise_sigma > 0.01 for scene in noisy)
    for scene, plain in zip(noisy, scenes, strict=True):
        one, other = (make_crop(each, PLAIN, draws("test")) for each in (scene, plain))
        np.testing.assert_array_equal(one.frames, other.frames)


def test_crop_is_a_window_of_the_rendered_sample(scenes):
    for number, scene in enumerate(scenes):
        options = replace(PLAIN, crop=min(32, *scene.size))
        window = choose_window(scene.focus(), options.crop, draws("test", number))
        crop = make_crop(scene, options, draws("test", number))
        sample = mfsynth.render(scene, window)
        np.testing.assert_array_equal(crop.gt, sample.gt)
        np.testing.assert_array_equal(crop.target, sample.focus)
        for got, expected in zip(crop.frames, sample.frames, strict=True):
            np.testing.assert_array_equal(got, expected)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(20, 80),
    width=st.integers(20, 80),
    row=st.integers(0, 79),
    column=st.integers(0, 79),
    side=st.integers(8, 100),
    seed=st.integers(0, 1000),
)
def test_both_frames_are_sharp_somewhere_in_every_crop(height, width, row, column, side, seed):
    """Even if only one pixel is sharp in frame 1."""
    focus = np.zeros((height, width), np.uint8)
    focus[row % height, column % width] = 1
    window = choose_window(focus, side, draws("test", seed)).check(height, width)
    assert (window.height, window.width) == (min(side, height), min(side, width))
    assert set(np.unique(focus[window.slices])) == {0, 1}


def crop_of(seed=0, height=12, width=12):
    rng = np.random.default_rng(seed)
    gt, *frames = (rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(3))
    return Crop(tuple(frames), rng.integers(0, 2, (height, width), dtype=np.uint8), gt)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_everything_is_turned_alike(turns, flips):
    crop = crop_of()
    got = rotate_flip(crop, turns, flips)

    def expected(array):
        array = np.rot90(array, turns)
        return np.fliplr(array) if flips else array

    for now, before in zip(
        (got.gt, got.target, *got.frames), (crop.gt, crop.target, *crop.frames), strict=True
    ):
        np.testing.assert_array_equal(now, expected(before))


def test_exposure_changes_frames_and_truth_alike():
    crop = crop_of()
    one_stop = with_levels(crop, exposed(1.0))
    linear = 2.0 * (crop.gt / 255.0) ** 2.2
    expected = (255 * linear ** (1 / 2.2)).clip(0, 255)
    assert np.abs(one_stop.gt - expected).max() <= 0.5 + 1e-6
    same = replace(crop, frames=(crop.gt, crop.gt))
    darker = with_levels(same, exposed(-0.7))
    for frame in darker.frames:
        np.testing.assert_array_equal(frame, darker.gt)


def test_frames_unlike_one_another_leave_truth_and_target():
    crop = crop_of()
    changed = unlike(crop, draw_unlike(2, 1.0, 0.0, draws("unlike")))
    np.testing.assert_array_equal(changed.gt, crop.gt)
    np.testing.assert_array_equal(changed.target, crop.target)
    factors = []
    for before, after in zip(crop.frames, changed.frames, strict=True):
        inside = (before > 20) & (after > 0) & (after < 255)
        linear = (after[inside] / before[inside].astype(float)) ** 2.2
        assert 0.45 < np.median(linear) < 2.1
        factors.append(np.median(linear))
    assert abs(factors[0] - factors[1]) > 0.01


def test_channels_are_unbalanced_by_themselves():
    gray = np.full((8, 8, 3), 128, np.uint8)
    crop = Crop((gray, gray), np.zeros((8, 8), np.uint8), gray)
    frame = unlike(crop, draw_unlike(2, 0.0, 1.0, draws("unlike"))).frames[0]
    assert len(set(frame[0, 0].tolist())) == 3
    assert (frame == frame[0, 0]).all()


def test_small_pictures_are_mirrored_up_to_the_side():
    crop = crop_of(height=10, width=12)
    got = pad_reflect(crop, 30)
    np.testing.assert_array_equal(got.gt, np.pad(crop.gt, [(0, 20), (0, 18), (0, 0)], "reflect"))
    np.testing.assert_array_equal(got.target, np.pad(crop.target, [(0, 20), (0, 18)], "reflect"))


def test_noise_is_independent_and_leaves_the_truth_clean(scenes):
    options = replace(PLAIN, noise=(0.1, 0.1))
    scene = next(scene for scene in scenes if min(scene.size) >= 32)
    clean, noisy = (make_crop(scene, each, draws("test")) for each in (PLAIN, options))
    np.testing.assert_array_equal(noisy.gt, clean.gt)
    middle = (np.array(clean.frames) > 80) & (np.array(clean.frames) < 175)
    noise = np.array(noisy.frames).astype(float) - clean.frames
    assert noise[middle].std() == pytest.approx(25.5, rel=0.1)
    both = middle.all(0)
    assert abs(np.corrcoef(noise[0][both], noise[1][both])[0, 1]) < 0.15


def test_one_stream_gives_the_same_crop_again(scenes):
    options = replace(preset("hf-seg", "fast"), crop=32)
    one, other = (make_crop(scenes[0], options, draws("again", 1)) for _ in range(2))
    np.testing.assert_array_equal(one.frames, other.frames)
    different = make_crop(scenes[0], options, draws("again", 2))
    assert not np.array_equal(one.frames, different.frames)


CAPTURED = replace(PLAIN, capture=True)


def test_the_draws_decide_everything_that_a_camera_adds():
    crop = crop_of(height=40, width=56)
    before = [frame.copy() for frame in crop.frames]
    seen = set()
    for number in range(40):
        one, other = (
            with_capture(crop, draw_capture_of(2, CAPTURED, False, draws("capture", number)))
            for _ in range(2)
        )
        np.testing.assert_array_equal(one.frames, other.frames)
        seen.add(one.frames[0].tobytes())
    assert len(seen) > 15
    np.testing.assert_array_equal(crop.frames, before)


@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (17, 23), (64, 48)])
def test_a_camera_leaves_shapes_and_types(shape):
    crop = crop_of(height=shape[0], width=shape[1])
    for number in range(30):
        seen = with_capture(crop, draw_capture_of(2, CAPTURED, False, draws("shapes", number))).frames
        assert len(seen) == 2
        assert all((frame.shape, frame.dtype) == ((*shape, 3), np.uint8) for frame in seen)
