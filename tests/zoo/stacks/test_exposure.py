"""Exposure and white balance are found where frames differ, and left alone where they do not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.errors import FrameError
from zoo.stacks.fuse import fuse_stack
from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.exposure import match
from zoo.stacks.planning.levels import Levels
from zoo.stacks.planning.plan import plan
from zoo.stacks.planning.survey import survey
from zoo.stacks.stack import ArrayStack

SIZE = (96, 128)


def to_light(values):
    """IEC 61966-2-1, from sRGB values in [0, 1] to linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_srgb(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def scene(seed=0, size=SIZE):
    """Texture of several scales with discs, RGB in [0.05, 0.75]."""
    random = np.random.default_rng(seed)
    picture = np.zeros((*size, 3), np.float32)
    for step in (1, 2, 4, 8, 16, 32):
        small = random.random((size[0] // step + 1, size[1] // step + 1, 3), np.float32)
        picture += cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC) * np.sqrt(step)
    for _ in range(12):
        center = [int(random.integers(side)) for side in size[::-1]]
        cv2.circle(picture, center, int(random.integers(4, 20)), tuple(map(float, 8 * random.random(3))), -1)
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low) * 0.7 + 0.05


def defocused(picture, number, count, *, light=False, sigma=2.5):
    """The frame that is sharp in its own upright stripe; blurred in sRGB's values, or in linear light."""
    blurred = cv2.GaussianBlur(to_light(picture) if light else picture, None, sigma).astype(np.float32)
    frame = to_srgb(blurred) if light else blurred
    stripe = slice(number * SIZE[1] // count, (number + 1) * SIZE[1] // count)
    frame[:, stripe] = picture[:, stripe]
    return frame


def u8(picture):
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def planned(frames, **options):
    return plan(survey(ArrayStack([np.ascontiguousarray(each) for each in frames])), FuseOptions(**options))


def after(tone, frame):
    return frame * np.array(tone.gain) + np.array(tone.offset)


CHANGES = {
    "edited": lambda e: 0.7 * e,
    "edited a little": lambda e: 1.05 * e,
    "half a stop more": lambda e: to_srgb(to_light(e) * 2**0.5),
    "one stop less": lambda e: to_srgb(to_light(e) / 2),
    "hazy": lambda e: 0.9 * e + 0.06,
    "warmer": lambda e: to_srgb(to_light(e) * [1.25, 1.0, 0.8]),
}


@pytest.mark.parametrize("light", [False, True], ids=["blurred values", "blurred light"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_exposures_match_within_two_gray_levels(change, light):
    picture = scene()
    frames = [defocused(picture, number, 2, light=light) for number in (0, 1)]
    first, second = planned([u8(frames[0]), u8(change(frames[1]))]).frames
    assert first.tone.plain
    error = after(second.tone, 255 * change(picture)) - 255 * picture
    assert np.sqrt(np.mean(error**2)) < 2


@pytest.mark.parametrize("light", [False, True])
def test_where_exposures_are_equal_values_stay_exactly(light):
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 2 / 255, (3, *SIZE, 3))
        frames = [defocused(scene(seed), k, 3, light=light) + noise[k] for k in range(3)]
        how = planned(map(u8, frames))
        assert all(each.tone.plain for each in how.frames)
        assert not how.left_out
        assert not how.warnings


def mosaic(seed, side):
    """Tiles of random colors with finer ones over them: nothing in it is flat."""
    random = np.random.default_rng(seed)
    tiles = [random.random((SIZE[0] // each + 1, SIZE[1] // each + 1, 3), np.float32) for each in (side, 2)]
    coarse, fine = (cv2.resize(each, SIZE[::-1], interpolation=cv2.INTER_NEAREST) for each in tiles)
    return (coarse + fine / 2) / 1.5


@pytest.mark.parametrize("side", [4, 8])
def test_contrast_that_one_frame_lacks_is_no_exposure(side):
    """The second frame is sharp in a tenth of the picture: even its local means have less contrast."""
    for seed in range(2):
        first, second = mosaic(seed, side), cv2.GaussianBlur(mosaic(seed, side), None, 2)
        first[:, :12], second[:, :12] = second[:, :12].copy(), first[:, :12].copy()
        assert all(each.tone.plain for each in planned([u8(first), u8(second)]).frames)
        assert not planned([u8(first), u8(0.9 * second)]).frames[1].tone.plain


def test_errors_do_not_add_up_along_a_stack():
    picture, gains = scene(), np.linspace(1, 0.75, 8)
    frames = [u8(defocused(picture, k, 8) * gain) for k, gain in enumerate(gains)]
    for each, gain in zip(planned(frames).frames, gains, strict=True):
        error = after(each.tone, 255 * gain * picture) - 255 * picture
        assert np.sqrt(np.mean(error**2)) < 1.5


@settings(max_examples=4, deadline=None)
@given(st.tuples(*[st.floats(0.6, 1.3)] * 3))
def test_two_orders_find_inverse_gains(gains):
    frames = [u8(defocused(scene(), 0, 2)), u8(defocused(scene(), 1, 2) * np.array(gains))]
    tones = [planned(order).frames[1].tone for order in (frames, frames[::-1])]
    if any(tone.plain for tone in tones):
        return
    there_and_back = after(tones[1], after(tones[0], 255.0 * scene() * gains))
    assert np.sqrt(np.mean((there_and_back - 255.0 * scene() * gains) ** 2)) < 4


def test_the_exposure_is_the_firsts_or_the_medians():
    picture, gains = scene(), (0.8, 1.0, 1.25)
    frames = [u8(defocused(picture, k, 3) * gain) for k, gain in enumerate(gains)]
    for exposure, plain in (("first", 0), ("keep", 0), ("median", 1)):
        tones = [each.tone for each in planned(frames, exposure=exposure).frames]
        assert [tone.plain for tone in tones] == [place == plain for place in range(3)]
        expected = gains[plain] / np.array(gains)
        np.testing.assert_allclose([np.mean(tone.gain) for tone in tones], expected, rtol=0.02)


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        (lambda e: 0 * e, "is black"),
        (lambda e: 0 * e + 1, "is saturated"),
        (lambda e: 0.1 * cv2.GaussianBlur(e, None, 3), r"is \d+\.\d times darker than the others"),
    ],
)
def test_frames_that_cannot_be_matched_are_left_out_by_name(spoiled, why):
    frames = [u8(defocused(scene(), 0, 2)), u8(spoiled(scene())), u8(defocused(scene(), 1, 2))]
    for order in ([0, 1, 2], [1, 0, 2]):  # the first may be the odd one
        how = planned([frames[k] for k in order])
        odd = f"frame {order.index(1)}"
        assert [*how.left_out] == [odd]
        assert {each.name for each in how.frames} == {"frame 0", "frame 1", "frame 2"} - {odd}
        assert all(each.tone.plain for each in how.frames)
        with pytest.raises(FrameError, match=f"{odd} {why}.*--strict"):
            planned([frames[k] for k in order], strict=True)
    with pytest.raises(FrameError, match=r"frame [01] is .*fewer than two frames are left"):
        planned(frames[:2])


def test_a_dim_frame_is_matched_and_takes_part():
    frames = [u8(defocused(scene(), 0, 2)), u8(0.4 * defocused(scene(), 1, 2))]
    how = planned(frames)
    assert not how.left_out
    np.testing.assert_allclose(how.frames[1].tone.gain, 2.5, rtol=0.03)


def test_nothing_is_left_out_of_pictures_of_two_values():
    page = np.full((*SIZE, 3), 255, np.uint8)
    for number in range(6):
        cv2.putText(page, "focus", (2, 15 * (number + 1)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0))
    page = np.where(page > 127, 255, 0).astype(np.uint8)
    soft = cv2.GaussianBlur(page, None, 1)
    for frames in ([page, page.copy()], [page, soft], [page * 0, page * 0]):
        how = planned(frames)
        assert not how.left_out
        assert all(each.tone.plain for each in how.frames)


def beads(count, frames, light=0.8):
    """Bright beads before black, each sharp in one frame and hardly to be seen in others; gray, 16 bit."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:160, :160]
    stack = [np.zeros((160, 160)) for _ in range(frames)]
    for row, column, plane in zip(*random.uniform(20, 140, (2, count)), range(count), strict=True):
        for number, frame in enumerate(stack):
            sigma = 1.2 + 2.5 * abs(number - plane % frames)
            frame += light * (1.2 / sigma) ** 2 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2 / sigma**2)
    return [np.rint(frame.clip(0, 1) * 65535).astype(np.uint16) for frame in stack]


@pytest.mark.parametrize("white_ground", [False, True])
@pytest.mark.parametrize("count", [2, 8])
def test_few_things_before_black_or_white_are_no_other_exposure(count, white_ground):
    frames = [65535 - each if white_ground else each for each in beads(count, 6)]
    how = planned(frames)
    assert not how.left_out
    assert all(each.tone.plain for each in how.frames)


def test_frames_of_few_gray_levels_are_matched_and_stay():
    frames = [20 + 0.1 * 255 * defocused(scene(), k, 2) for k in range(2)]
    for gain in (1, 0.8):
        how = planned([np.rint(frames[0]).astype(np.uint8), np.rint(gain * frames[1]).astype(np.uint8)])
        assert not how.left_out
        values = gain * frames[1]
        assert np.abs(after(how.frames[1].tone, values) - frames[1]).mean() < 0.5


def test_a_channel_without_light_follows_the_others():
    frames = [defocused(scene(), k, 2) * [1, 0.6, 0] for k in range(2)]
    tone = planned([u8(frames[0]), u8(0.8 * frames[1])]).frames[1].tone
    np.testing.assert_allclose(tone.gain, 1.25, rtol=0.03)


def test_only_what_both_frames_show_is_compared():
    """The second frame lies 40 pixels to the right; beside what both show, it is bright."""
    wide = scene(size=(96, 168))
    first, second = u8(wide[:, :128]), u8(0.8 * wide[:, 40:])
    second[:, -40:] = 255
    looks = survey(ArrayStack([first, second]))
    moves = {0: IDENTITY, 1: Similarity(1.0, 0.0, -40.0, 0.0)}
    tone = match(looks, moves, Levels(0.0, 255.0), "first").tones[1]
    np.testing.assert_allclose(tone.gain, 1.25, rtol=0.02)


def test_gray_and_deep_frames_match_in_their_own_values():
    frames = [defocused(scene(), k, 2).mean(2) for k in range(2)]
    deep = [
        np.rint(65535 * each * gain).astype(np.uint16) for each, gain in zip(frames, (1, 0.8), strict=True)
    ]
    tone = planned(deep).frames[1].tone
    assert len(tone.gain) == len(tone.offset) == 1
    error = after(tone, 0.8 * 65535 * frames[1]) - 65535 * frames[1]
    assert np.sqrt(np.mean(error**2)) < 2 * 257


def test_the_network_decides_at_seven_tenths_of_the_brightness_as_at_the_whole():
    frames = [u8(defocused(scene(), k, 2)) for k in range(2)]
    darker = np.rint(0.7 * frames[1]).astype(np.uint8)
    network, options = zoo.load("hf-seg"), FuseOptions(raw_decision=True)
    fused = [fuse_stack(network, ArrayStack([frames[0], each]), options) for each in (frames[1], darker)]
    assert np.mean(fused[0].decision == fused[1].decision) > 0.98
    assert np.abs(fused[0].image.astype(int) - fused[1].image).mean() < 1
