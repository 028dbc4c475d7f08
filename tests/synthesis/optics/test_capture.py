from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import zoom
from scipy.stats import kstest

from mfsynth.order import philox
from mfsynth.sample import Window
from mfsynth.synthesis.optics.capture import (
    COMPRESSED,
    NOISE,
    NOISY,
    QUALITY,
    Camera,
    compress,
    draw_capture,
    grained,
)
from mfsynth.synthesis.optics.reach import Grid

Picture = np.ndarray
DRAWS = 3000


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def flat(height: int, width: int, value: int = 128) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def smooth(height: int, width: int) -> Picture:
    """A picture with soft colors, as photographs are."""
    coarse = rng(5).uniform(0, 255, (height // 8 + 2, width // 8 + 2, 3))
    return np.clip(zoom(coarse, (8, 8, 1), order=3), 0, 255).astype(np.uint8)[:height, :width]


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    return [draw_capture(philox("cameras", number)) for number in range(DRAWS)]


def test_shares_of_noisy_and_compressed_samples(cameras: list[Camera]) -> None:
    noisy = [camera for camera in cameras if camera.sigma > 0]
    assert len(noisy) / DRAWS == pytest.approx(NOISY, abs=0.035)
    assert np.mean([camera.quality > 0 for camera in noisy]) == pytest.approx(COMPRESSED, abs=0.035)
    assert all(camera == Camera(0.0, 0, 0, 0) for camera in cameras if camera.sigma == 0)


def test_strengths_are_uniform_between_their_bounds(cameras: list[Camera]) -> None:
    sigmas = np.array([camera.sigma for camera in cameras if camera.sigma > 0])
    assert pytest.approx((0, 5 / 255)) == NOISE
    assert kstest(sigmas / NOISE[1], "uniform").pvalue > 0.001
    compressed = [camera for camera in cameras if camera.quality]
    low, high = QUALITY
    counts = np.bincount([camera.quality for camera in compressed], minlength=high + 1)
    assert counts[:low].sum() == 0
    assert len(counts) == high + 1
    assert counts[low:].min() > 0
    for offsets in ([camera.grid_x for camera in compressed], [camera.grid_y for camera in compressed]):
        assert set(offsets) == set(range(16))


def test_a_draw_takes_six_words_whatever_they_say() -> None:
    for number in range(20):
        words, again = philox("words", number), philox("words", number)
        draw_capture(words)
        again.random_raw(6)
        assert words.random_raw() == again.random_raw()


@pytest.mark.parametrize("sigma", [1.0, 2.5, 5.0])
def test_noise_has_the_given_deviation_and_is_independent_in_each_frame(sigma: float) -> None:
    frames = grained([flat(200, 200)] * 2, sigma / 255, ["00" * 16, "01" * 16])
    noise = [frame.astype(float) - 128 for frame in frames]
    expected = np.hypot(sigma, 12**-0.5)  # rounding adds a twelfth to the variance
    for each in noise:
        assert each.std() == pytest.approx(expected, rel=0.015)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("quality", [70, 80, 99])
@pytest.mark.parametrize("offset", [(0, 0), (3, 0), (0, 5), (15, 9)])
def test_compression_is_that_of_another_encoder_on_the_picture_moved_by_the_offset(
    offset: tuple[int, int], quality: int
) -> None:
    picture, (x, y) = smooth(61, 83), offset
    moved = np.pad(picture, ((y, 0), (x, 0), (0, 0)), mode="edge")
    data = io.BytesIO()
    Image.fromarray(moved).save(data, "JPEG", quality=quality, subsampling="4:2:0")
    reference = np.asarray(Image.open(data))[y:, x:]
    difference = np.abs(compress(picture, quality, x, y).astype(int) - reference)
    assert difference.max() <= 2
    assert difference.mean() < 0.01


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 299), st.integers(1, 50))
def test_a_window_needs_whole_units_but_no_more_than_it_must(x: int, y: int, at: int, side: int) -> None:
    reach = Grid(16, y, x, 4, (350, 350))
    top, left, height, width = reach.around(Window(at, at, side, side))
    for start, length, offset in ((top, height, y), (left, width, x)):
        assert start == 0 or (start + offset) % 16 == 0
        assert start + length == 350 or (start + length + offset) % 16 == 0
        assert at - 20 < start <= max(0, at - 4)
        assert min(350, at + side + 4) <= start + length < at + side + 20


@pytest.mark.parametrize("offset", [(0, 0), (1, 6), (12, 3)])
def test_blocks_begin_outside_the_picture_by_the_offset(offset: tuple[int, int]) -> None:
    """A coarse JPEG of noise jumps where one block ends and the next begins."""
    noise = rng(2).normal(128, 20, (128, 128, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    seen = compress(noise, 10, *offset)[..., 0].astype(int)
    for axis, begin in ((1, offset[0]), (0, offset[1])):
        jumps = np.abs(np.diff(seen, axis=axis)).mean(axis=1 - axis)
        by_place = [jumps[place::8].mean() for place in range(8)]  # jump k lies between pixels k and k + 1
        assert (int(np.argmax(by_place)) + 1 + begin) % 8 == 0
