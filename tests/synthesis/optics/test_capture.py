from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from mfsynth.synthesis.capture import COMPRESSED, NOISE, NOISY, capture, compress, sensor_noise

Picture = np.ndarray


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def flat(height: int, width: int, value: int = 128) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def smooth(height: int, width: int) -> Picture:
    """A picture with soft colors, as photographs are."""
    coarse = rng(5).uniform(0, 255, (height // 8 + 2, width // 8 + 2, 3))
    return np.clip(zoom(coarse, (8, 8, 1), order=3), 0, 255).astype(np.uint8)[:height, :width]


def stripes(side: int) -> Picture:
    """Red and blue columns, one pixel wide: with chroma at half resolution they become purple."""
    picture = np.zeros((side, side, 3), np.uint8)
    picture[:, ::2, 0] = picture[:, 1::2, 2] = 255
    return picture


def is_compressed(frame: Picture) -> bool:
    """Whether a frame of `stripes` has lost its colors."""
    return bool(np.abs(np.diff(frame[..., 0].astype(int), axis=1)).mean() < 128)


def captured(frames: list[Picture], draws: int) -> list[tuple[Picture, ...]]:
    return [capture(frames, rng(seed)) for seed in range(draws)]


@pytest.mark.parametrize("sigma", [1.0, 2.5, 5.0])
def test_noise_has_the_given_standard_deviation_in_gray_levels(sigma: float) -> None:
    noise = sensor_noise(flat(300, 300), sigma, rng(1)).astype(float) - 128
    expected = np.hypot(sigma, 12**-0.5)  # rounding adds a twelfth to the variance
    assert noise.std() == pytest.approx(expected, rel=0.01)
    assert abs(noise.mean()) < 4 * expected / noise.size**0.5


def test_values_saturate() -> None:
    assert sensor_noise(flat(50, 50, 255), 20.0, rng(1)).min() > 150
    assert sensor_noise(flat(50, 50, 0), 20.0, rng(1)).max() < 105


def noises(draws: int) -> list[list[np.ndarray]]:
    """What was added to two flat frames, of the samples that are noisy and not compressed.

    Stripes of the same size, captured with the same draws, tell which were compressed.
    """
    seen = zip(
        captured([flat(64, 64), flat(64, 64)], draws),
        captured([stripes(64), stripes(64)], draws),
        strict=True,
    )
    added = [
        [frame.astype(float) - 128 for frame in frames]
        for frames, striped in seen
        if not is_compressed(striped[0])
    ]
    return [pair for pair in added if min(noise.std() for noise in pair) > 0.4]


def test_a_samples_frames_share_a_level_but_not_the_noise() -> None:
    pairs = noises(100)
    assert len(pairs) > 15
    for first, second in pairs:
        assert first.std() == pytest.approx(second.std(), rel=0.05)
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_noise_levels_are_uniform_between_their_bounds() -> None:
    levels = [float(first.std()) for first, _ in noises(1500)]
    assert len(levels) > 250
    assert max(levels) < NOISE[1] * 1.05
    low = 0.4  # weaker noise is not counted
    expected = [low + (NOISE[1] - low) * share for share in (0.25, 0.5, 0.75)]
    assert np.quantile(levels, [0.25, 0.5, 0.75]) == pytest.approx(expected, abs=0.4)


def test_shares_of_noisy_and_compressed_samples() -> None:
    draws = 3000
    noisy = np.mean([(frame != 128).any() for (frame,) in captured([flat(32, 32)], draws)])
    compressed = np.mean([is_compressed(frame) for (frame,) in captured([stripes(16)], draws)])
    invisible = 0.15 / NOISE[1]  # weaker noise is rounded away
    assert noisy == pytest.approx(NOISY * (1 - invisible), abs=0.035)
    assert compressed == pytest.approx(NOISY * COMPRESSED, abs=0.035)


def test_the_generator_decides_everything() -> None:
    frames = [smooth(40, 56), smooth(40, 56)[::-1]]
    before = [frame.copy() for frame in frames]
    first, again = captured(frames, 40), captured(frames, 40)
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert len({a[0].tobytes() for a in first}) > 15
    assert all(np.array_equal(x, y) for x, y in zip(frames, before, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (17, 23), (64, 48)])
def test_shapes_and_types_stay_the_same(shape: tuple[int, int]) -> None:
    frames = [flat(*shape, value) for value in (10, 128, 250)]
    for seen in captured(frames, 30):
        assert len(seen) == 3
        assert all((frame.shape, frame.dtype) == ((*shape, 3), np.uint8) for frame in seen)


@pytest.mark.parametrize("offset", [(0, 0), (3, 0), (0, 5), (7, 7)])
def test_compression_is_that_of_another_encoder_on_the_picture_moved_by_the_offset(
    offset: tuple[int, int],
) -> None:
    picture = smooth(61, 83)
    moved = np.pad(picture, ((offset[0], 0), (offset[1], 0), (0, 0)), mode="edge")
    data = io.BytesIO()
    Image.fromarray(moved).save(data, "JPEG", quality=80, subsampling="4:2:0")
    reference = np.asarray(Image.open(data))[offset[0] :, offset[1] :]
    difference = np.abs(compress(picture, 80, *offset).astype(int) - reference)
    assert difference.max() <= 2
    assert difference.mean() < 0.01


@pytest.mark.parametrize("offset", [(0, 0), (1, 6), (4, 3)])
def test_blocks_begin_outside_the_picture_by_the_offset(offset: tuple[int, int]) -> None:
    """A coarse JPEG of noise jumps where one block ends and the next begins."""
    noise = rng(2).normal(128, 20, (128, 128, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    seen = compress(noise, 10, *offset)[..., 0].astype(int)
    for axis in (0, 1):
        jumps = np.abs(np.diff(seen, axis=axis)).mean(axis=1 - axis)
        by_place = [jumps[place::8].mean() for place in range(8)]  # jump k lies between pixels k and k + 1
        assert (int(np.argmax(by_place)) + 1 + offset[axis]) % 8 == 0
