from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from mfsynth.sample import Window
from mfsynth.synthesis.noise import add_noise, noise_table, noise_words

KEY = "00112233445566778899aabbccddeeff"


def test_the_table_is_the_normals_quantiles_rounded() -> None:
    reference = norm.ppf((np.arange(65536) + 0.5) / 65536) * 0.07 * 255
    assert np.abs(noise_table(0.07) - reference).max() <= 0.5 + 1e-9


def test_words_are_philoxs_own_16_bits_a_value_row_by_row() -> None:
    width, height = 37, 5
    blocks = -(-3 * width // 16)
    raw = np.random.Philox(key=int.from_bytes(bytes.fromhex(KEY), "little")).random_raw(height * blocks * 4)
    expected = raw.astype("<u8").view("<u2").reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)
    assert np.array_equal(noise_words(KEY, width, Window(0, 0, height, width)), expected)


@given(st.data())
def test_a_window_has_the_whole_pictures_noise(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    whole = noise_words(KEY, width, Window(0, 0, height, width))
    assert np.array_equal(noise_words(KEY, width, window), whole[window.slices])


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.1])
def test_noise_has_the_given_standard_deviation(sigma: float) -> None:
    window = Window(0, 0, 300, 300)
    gray = np.full((300, 300, 3), 128, np.uint8)
    noise = add_noise(gray, sigma, KEY, 300, window).astype(float) - 128
    gray_levels = np.hypot(sigma * 255, 12**-0.5)  # rounding adds a twelfth to the variance
    assert noise.std() == pytest.approx(gray_levels, rel=0.01)
    assert abs(noise.mean()) < 4 * gray_levels / noise.size**0.5


def test_values_saturate() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)
    noisy = add_noise(white, 0.2, KEY, 50, Window(0, 0, 50, 50))
    assert (noisy == 255).mean() > 0.45
    assert noisy.min() < 200


def test_channels_and_rows_are_independent() -> None:
    words = noise_words(KEY, 400, Window(0, 0, 400, 400)).astype(float)
    flat = words.reshape(-1, 3).T
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(words[:-1].ravel(), words[1:].ravel())[0, 1]) < 0.02
