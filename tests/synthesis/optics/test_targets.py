from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import uniform_filter

from mfsynth.synthesis.optics.targets import targets

GRAY = np.full((20, 30, 3), 100, np.uint8)


def off_by(value: int) -> np.ndarray:
    return GRAY + np.uint8(value)


def focus(value: int = 0) -> np.ndarray:
    return np.full((20, 30), value, np.uint8)


def test_the_nearest_frame_is_the_one_with_the_smallest_error() -> None:
    nearest, certain = targets([off_by(40), off_by(10), off_by(20)], GRAY, focus())
    assert (nearest == 1).all()
    assert (certain == 191).all()  # 10 gray levels on the way from 2 to 34


def test_where_frames_hardly_differ_the_focus_map_decides() -> None:
    nearest, certain = targets([off_by(0), off_by(1)], GRAY, focus(1))
    assert (nearest == 1).all()
    assert (certain == 255).all()
    nearest, _ = targets([off_by(0), off_by(3)], GRAY, focus(1))
    assert (nearest == 0).all()


def test_certain_falls_from_255_to_0() -> None:
    values = [int(targets([off_by(error)], GRAY, focus())[1][5, 5]) for error in (0, 2, 3, 18, 33, 34, 90)]
    assert values[:2] == [255, 255]
    assert values[-2:] == [0, 0]
    assert values == sorted(values, reverse=True)
    assert values[3] == 128


def test_one_channel_is_enough_and_errors_are_smoothed_by_one_pixel() -> None:
    frame = GRAY.copy()
    frame[10, 15, 2] += 90
    _, certain = targets([frame], GRAY, focus())
    rows, columns = np.nonzero(certain < 255)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 11, 14, 16)


def test_a_frame_that_does_not_show_a_pixel_is_not_named() -> None:
    left = np.zeros((20, 30), np.uint8)
    left[:, :10] = 255
    everywhere = np.full((20, 30), 255, np.uint8)
    nearest, certain = targets([off_by(0), off_by(50)], GRAY, focus(0), [left, everywhere])
    assert (nearest[:, :10] == 0).all()
    assert (nearest[:, 10:] == 1).all()
    assert (certain[:, :10] == 255).all()
    assert (certain[:, 10:] == 0).all()  # what is left does not hold the truth


def test_the_focus_map_is_not_followed_into_a_frame_that_does_not_show_the_pixel() -> None:
    shown = np.ones((20, 30), np.bool_)
    nearest, certain = targets([off_by(0), off_by(1), off_by(1)], GRAY, focus(0), [~shown, shown, shown])
    assert (nearest == 1).all()
    assert (certain == 255).all()


def test_where_no_frame_shows_a_pixel_the_focus_map_is_named_and_nothing_is_certain() -> None:
    nothing = np.zeros((20, 30), np.uint8)
    nearest, certain = targets([off_by(0), off_by(9)], GRAY, focus(1), [nothing, nothing])
    assert (nearest == 1).all()
    assert (certain == 0).all()


def test_neighbors_in_a_stack_that_look_alike_are_not_told_apart() -> None:
    """A frame far from focus differs much, but says nothing of the two that hardly do."""
    nearest, _ = targets([off_by(1), off_by(0), off_by(30)], GRAY, focus(0))
    assert (nearest == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_targets_are_what_they_are_defined_to_be(data: st.DataObject) -> None:
    """Against the definition, in float64, with SciPy's mean."""
    shape = data.draw(st.tuples(st.integers(2, 12), st.integers(2, 12)))
    count = data.draw(st.integers(1, 5))
    pixels = arrays(np.uint8, (*shape, 3), elements=st.integers(0, 60))
    gt, frames = data.draw(pixels), [data.draw(pixels) for _ in range(count)]
    sharpest = data.draw(arrays(np.uint8, shape, elements=st.integers(0, count - 1)))
    valid = [data.draw(arrays(np.bool_, shape)) for _ in range(count)] if data.draw(st.booleans()) else None
    errors = np.stack([
        uniform_filter(np.abs(frame.astype(float) - gt).max(2), 3, mode="mirror") for frame in frames
    ])  # fmt: skip
    shown = np.stack(valid) if valid else np.ones_like(errors, np.bool_)
    nearest, certain = targets(frames, gt, sharpest, valid)
    for at in np.ndindex(shape):
        here, errs = np.flatnonzero(shown[:, *at]), errors[:, *at]
        if not len(here):
            assert (nearest[at], certain[at]) == (sharpest[at], 0)
            continue
        least = errs[here].min()
        if shown[sharpest[at], *at] and errs[sharpest[at]] - least < 2 - 1e-9:
            assert nearest[at] == sharpest[at]
        else:
            assert nearest[at] in here
            assert errs[nearest[at]] == pytest.approx(least, abs=1e-9)
        assert abs(int(certain[at]) - np.clip(255 * (1 - (least - 2) / 32), 0, 255)) <= 0.5 + 1e-6
