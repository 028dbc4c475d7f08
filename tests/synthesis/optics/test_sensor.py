from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from mfsynth.sample import Window
from mfsynth.synthesis.optics.sensor import light_noise

KEY, OTHER = "00112233445566778899aabbccddeeff", "ff" * 16
SIDE = 200
WHOLE = Window(0, 0, SIDE, SIDE)


def flat(value: float) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), value, np.float32)


@pytest.mark.parametrize(("shot", "read"), [(1e-4, 0.0), (0.0, 0.01), (4e-4, 0.005), (1e-2, 0.02)])
@pytest.mark.parametrize("value", [0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 1.0])
def test_mean_and_variance_follow_the_model_at_every_gray_level(
    value: float, shot: float, read: float
) -> None:
    """Foi et al.: the variance is a x + b."""
    noise = light_noise(flat(value), shot, read, KEY, SIDE, WHOLE).astype(np.float64) - np.float32(value)
    variance = shot * value + read**2
    assert abs(noise.mean()) <= 4 * (variance / noise.size) ** 0.5 + 1e-9
    assert noise.var() == pytest.approx(variance, rel=0.02, abs=1e-15)  # 5 standard errors


def test_noise_is_normal() -> None:
    noise = light_noise(flat(0.5), 2e-4, 0.01, KEY, SIDE, WHOLE) - np.float32(0.5)
    assert kstest(noise.ravel() / (1e-4 + 1e-4) ** 0.5, "norm").pvalue > 0.001


def test_frames_channels_and_neighbors_are_independent() -> None:
    one, other = (light_noise(flat(0.5), 2e-4, 0.01, key, SIDE, WHOLE) for key in (KEY, OTHER))
    pairs = {
        "frames": (one, other),
        "channels": (one[..., 0], one[..., 1]),
        "rows": (one[1:], one[:-1]),
        "columns": (one[:, 1:], one[:, :-1]),
    }
    for name, (first, second) in pairs.items():
        correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert abs(correlation) < 5 / first.size**0.5, name


def test_light_is_not_clipped_before_it_is_rounded() -> None:
    assert light_noise(flat(0.0), 0.0, 0.01, KEY, SIDE, WHOLE).min() < -0.03
    assert light_noise(flat(1.0), 1e-4, 0.0, KEY, SIDE, WHOLE).max() > 1.03


@settings(max_examples=40)
@given(st.data())
def test_a_window_has_the_whole_pictures_noise(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    values = np.random.Generator(np.random.Philox(key=3)).random((height, width, 3), np.float32)
    strengths = data.draw(st.floats(0, 0.1)), data.draw(st.floats(0, 0.1))
    whole = light_noise(values, *strengths, KEY, width, Window(0, 0, height, width))
    part = light_noise(values[window.slices], *strengths, KEY, width, window)
    assert np.array_equal(part, whole[window.slices])
