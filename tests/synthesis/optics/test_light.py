"""Values from outside: IEC 61966-2-1's own constants, and sRGB levels that others publish."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfsynth.recipe import Light
from mfsynth.synthesis.optics.light import linear_values, picture_of, values_of

LIGHTS: tuple[Light, ...] = ("srgb", "linear")


def exact_linear(level: int) -> Decimal:
    """Linear light of a gray level, to 28 digits."""
    getcontext().prec = 28
    encoded = Decimal(level) / 255
    if encoded <= Decimal("0.04045"):
        return encoded / Decimal("12.92")
    return ((encoded + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4")


def exact_level(linear: np.ndarray) -> np.ndarray:
    """The gray level of linear light, before rounding, in float64."""
    power = 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, power)


def all_levels() -> np.ndarray:
    return np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)


@pytest.mark.parametrize("light", LIGHTS)
def test_every_gray_level_comes_back(light: Light) -> None:
    assert np.array_equal(picture_of(values_of(all_levels(), light), light), all_levels())


def test_linear_light_is_the_standards() -> None:
    expected = np.array([float(exact_linear(level)) for level in range(256)])
    assert values_of(all_levels(), "linear")[0, :, 0] == pytest.approx(expected, rel=1e-7)


def test_black_and_white_half_and_half_are_188_in_linear_light_and_128_in_srgb() -> None:
    both = np.zeros((1, 2, 3), np.uint8)
    both[0, 1] = 255
    levels = [
        int(picture_of(values_of(both, light).mean(1, keepdims=True), light)[0, 0, 0]) for light in LIGHTS
    ]
    assert levels == [128, 188]


def test_looking_the_curve_up_is_as_near_to_exact_rounding_as_it_says() -> None:
    linear = np.random.Generator(np.random.Philox(key=1)).random((500, 1000, 3), np.float32)
    linear[:200] **= 4  # more of the dark, where the curve is steep
    off = np.abs(picture_of(linear, "linear") - exact_level(linear.astype(np.float64)))
    assert off.max() <= 0.5 + 0.026
    assert off[linear > 0.216].max() <= 0.5 + 0.003


def test_srgb_values_become_linear_light() -> None:
    encoded = np.linspace(0, 1, 30_000, dtype=np.float32).reshape(1, -1, 3)
    levels = exact_level(linear_values(encoded, "srgb").astype(np.float64))
    assert levels == pytest.approx(255 * encoded.astype(np.float64), abs=0.002)
    assert linear_values(encoded, "linear") is encoded


@pytest.mark.parametrize("light", LIGHTS)
@given(st.floats(-3, 3, width=32))
def test_values_beyond_black_and_white_saturate(light: Light, value: float) -> None:
    level = picture_of(np.full((2, 5, 3), value, np.float32), light)
    assert len(np.unique(level)) == 1
    assert level[0, 0, 0] == 0 if value <= 0 else level[0, 0, 0] == 255 if value >= 1 else True


@pytest.mark.parametrize("light", LIGHTS)
def test_a_pixel_is_rounded_alike_wherever_it_lies(light: Light) -> None:
    """Whatever of it is done many at a time must give what the rest gives."""
    values = np.random.Generator(np.random.Philox(key=2)).random((31, 53, 3), np.float32)
    whole = picture_of(values, light)
    for top, left in np.ndindex(8, 12):
        assert np.array_equal(picture_of(values[top:, left:], light), whole[top:, left:])
