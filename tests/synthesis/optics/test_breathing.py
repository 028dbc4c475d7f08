from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mfsynth.recipe import Shot
from mfsynth.sample import Window
from mfsynth.synthesis.optics.breathing import Motion, Resampling, aligned, inside
from mfsynth.synthesis.optics.light import picture_of, values_of

STILL = Shot(1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)
SIZE = (81, 121)


def shot(**changes: Any) -> Shot:
    return replace(STILL, **changes)


def whole(size: tuple[int, int]) -> Window:
    return Window(0, 0, *size)


def moved(values: np.ndarray, taken: Shot) -> np.ndarray:
    """A frame as it is taken, without its exposure."""
    size = values.shape[:2]
    return Resampling(Motion.of(taken, size).inverse, size).apply(values, whole(size), whole(size))


def spot(row: float, column: float, sigma: float = 2.0) -> np.ndarray:
    rows, columns = np.indices(SIZE)
    value = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
    return value.astype(np.float32)[..., None].repeat(3, 2)


def center_of(values: np.ndarray) -> tuple[float, float]:
    """Row and column of the center of mass."""
    weight = values[..., 0].astype(np.float64)
    rows, columns = np.indices(weight.shape)
    return (weight * rows).sum() / weight.sum(), (weight * columns).sum() / weight.sum()


@pytest.mark.parametrize(
    ("taken", "row", "column"),
    [
        (shot(shift_x=7.25), 30.0, 57.25),  # to the right
        (shot(shift_y=-3.5), 26.5, 50.0),  # up
        (shot(scale=1.2), 28.0, 48.0),  # away from the center, which is (40, 60)
        (shot(rotation=np.pi / 2), 30.0, 70.0),  # clockwise: from above left to above right
        (shot(rotation=np.pi, shift_x=1.0), 50.0, 71.0),
        (shot(scale=1.2, rotation=np.pi / 2), 28.0, 72.0),
    ],
    ids=lambda value: f"{value}" if isinstance(value, float) else "",
)
def test_what_the_shot_says_moves_a_spot_there(taken: Shot, row: float, column: float) -> None:
    assert center_of(moved(spot(30, 50), taken)) == pytest.approx((row, column), abs=0.03)


def test_a_scaled_spot_is_as_much_larger() -> None:
    """Energy grows by the square of the scale."""
    frame = spot(40, 60, 6.0)
    for scale in (0.95, 1.05):
        assert moved(frame, shot(scale=scale)).sum() / frame.sum() == pytest.approx(scale**2, rel=5e-3)


def test_a_frame_that_does_not_move_stays_exactly() -> None:
    values = np.random.Generator(np.random.Philox(key=1)).random((33, 47, 3), np.float32)
    assert np.array_equal(moved(values, STILL), values)
    right = moved(values, shot(shift_x=2.0))
    assert np.array_equal(right[:, 2:], values[:, :-2])
    assert np.array_equal(right[:, :2], values[:, 2:0:-1])  # mirrored at the border


def smooth(sigma: float) -> np.ndarray:
    noise = np.random.Generator(np.random.Philox(key=3)).normal(0, 1, (96, 128, 3))
    soft = gaussian_filter(noise, (sigma, sigma, 0))
    return np.clip(128 + 60 * soft / soft.std(), 0, 255).astype(np.uint8)


def test_a_frame_is_hardly_less_sharp_than_before() -> None:
    """A loss would tell frame 0, which is not resampled, from the others."""
    values = values_of(smooth(1.2), "linear")
    frame = moved(values, shot(shift_x=0.5, shift_y=0.5))
    kept = [np.abs(np.diff(each, axis=0))[8:-8, 8:-8].mean() for each in (values, frame)]
    assert kept[1] / kept[0] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("taken", [
    shot(scale=1.03, shift_x=2.3, shift_y=-1.6, rotation=0.01),
    shot(scale=0.97, shift_x=-4.7, rotation=-0.02),
])  # fmt: skip
def test_alignment_takes_a_stored_frame_back(taken: Shot) -> None:
    picture = smooth(2.0)
    size = picture.shape[:2]
    stored = picture_of(np.clip(moved(values_of(picture, "linear"), taken), 0, 1), "linear")
    back = aligned(stored, taken)
    held = inside(taken, size, whole(size))
    held[[*range(6), *range(-6, 0)]] = held[:, [*range(6), *range(-6, 0)]] = False  # the kernel's reach
    assert held.mean() > 0.7
    difference = np.abs(back.astype(int) - picture)[held]
    assert difference.mean() < 1.0
    assert np.abs(stored.astype(int) - picture)[held].mean() > 8


def test_pixels_that_leave_the_picture_are_outside() -> None:
    right = inside(shot(shift_x=3.0), (5, 10), whole((5, 10)))
    assert np.array_equal(right, np.tile(np.arange(10) < 7, (5, 1)))
    larger = inside(shot(scale=2.0), (9, 9), whole((9, 9)))
    expected = np.zeros((9, 9), bool)
    expected[2:7, 2:7] = True
    assert np.array_equal(larger, expected)
    assert inside(shot(scale=0.5, exposure=2.0), (9, 9), whole((9, 9))).all()


shots = st.builds(
    Shot,
    st.floats(0.5, 2), st.floats(-90, 90), st.floats(-90, 90), st.floats(-7, 7), st.floats(-1, 1),
    st.just(0), st.just(0), st.just(0),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(shots, st.booleans(), st.data())
def test_a_window_equals_the_cut_from_only_what_it_says_it_needs(
    taken: Shot, back: bool, data: st.DataObject
) -> None:
    height, width = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    values = np.random.Generator(np.random.Philox(key=7)).random((height, width, 3), np.float32)
    motion = Motion.of(taken, (height, width))
    stage = Resampling(motion if back else motion.inverse, (height, width))
    all_of_it = stage.apply(values, whole((height, width)), whole((height, width)))
    given_window = stage.around(window).check(height, width)
    part = stage.apply(values[given_window.slices], given_window, window)
    assert np.array_equal(part, all_of_it[window.slices])
    held = inside(taken, (height, width), whole((height, width)))
    assert np.array_equal(inside(taken, (height, width), window), held[window.slices])


@given(shots)
def test_the_inverse_leads_back(taken: Shot) -> None:
    motion = Motion.of(taken, SIZE)
    columns, rows = motion.places(whole(SIZE))
    inverse = motion.inverse
    x = inverse.a * columns - inverse.b * rows + inverse.x0
    y = inverse.b * columns + inverse.a * rows + inverse.y0
    expected_rows, expected_columns = np.indices(SIZE)
    assert np.abs(x - expected_columns).max() < 1e-9
    assert np.abs(y - expected_rows).max() < 1e-9
