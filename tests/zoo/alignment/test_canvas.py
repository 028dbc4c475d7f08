"""What frames show of a canvas: against every pixel asked one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zoo.alignment.canvas import Canvas, canvas_of, coverage, onto
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.errors import AlignmentError

HEIGHT, WIDTH = 40, 56
FIRST = Canvas(0, 0, HEIGHT, WIDTH)

moves = st.builds(
    Similarity,
    scale=st.floats(0.9, 1.1),
    angle=st.floats(-10, 10),
    dx=st.floats(-12, 12),
    dy=st.floats(-12, 12),
)


def shows(move: Similarity, canvas: Canvas) -> np.ndarray:
    """Pixel by pixel: where the canvas lies within half a pixel of the frame's pixels, up to rounding."""
    y, x = np.mgrid[: canvas.height, : canvas.width]
    x, y = move.matrix @ np.stack([x.ravel() + canvas.left, y.ravel() + canvas.top, np.ones(x.size)])
    across, down = np.abs(x - (WIDTH - 1) / 2), np.abs(y - (HEIGHT - 1) / 2)
    inside = (across < WIDTH / 2 + 1e-6) & (down < HEIGHT / 2 + 1e-6)
    return inside.reshape(canvas.height, canvas.width)


def area(rectangle: Canvas) -> int:
    return rectangle.height * rectangle.width


def within(rectangle: Canvas) -> tuple[slice, slice]:
    return (
        slice(rectangle.top, rectangle.top + rectangle.height),
        slice(rectangle.left, rectangle.left + rectangle.width),
    )


@given(moves)
@example(Similarity(scale=1.1, angle=0.0, dx=0.0, dy=1.0))  # centers on the frame's edge
@settings(max_examples=40, deadline=None)
def test_shown_is_what_lies_within_the_frame(move: Similarity) -> None:
    picture = np.random.default_rng(0).integers(1, 255, (HEIGHT, WIDTH), np.uint8)
    pixels, shown = onto(picture, move, FIRST)
    expected = shows(move if move.displacement(HEIGHT, WIDTH) >= 0.05 else IDENTITY, FIRST)
    assert np.array_equal(np.ones_like(expected) if shown is None else shown, expected)
    assert not pixels[~expected].any()
    (share,) = coverage([move], HEIGHT, WIDTH, FIRST)
    assert share == pytest.approx(expected.mean())


@given(st.lists(moves, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_the_common_rectangle_is_shown_by_all_and_as_large_as_can_be(others: list[Similarity]) -> None:
    shown = np.all([shows(move, FIRST) for move in (IDENTITY, *others)], axis=0)
    sums = np.pad(shown.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    best = 0
    for top in range(HEIGHT):
        for bottom in range(top + 1, HEIGHT + 1):
            full = sums[bottom] - sums[top]
            columns = np.flatnonzero(np.diff(full) == bottom - top)
            runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
            best = max(best, (bottom - top) * max(map(len, runs)))
    try:
        found = canvas_of([IDENTITY, *others], HEIGHT, WIDTH, "common")
    except AlignmentError:
        assert best < 0.1 * HEIGHT * WIDTH
        return
    assert shown[within(found)].all()
    assert area(found) == best


@given(st.lists(moves, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_without_a_crop_all_that_any_frame_shows_is_covered_and_no_more(others: list[Similarity]) -> None:
    taken = [IDENTITY, *others]
    canvas = canvas_of(taken, HEIGHT, WIDTH, "none")
    wide = Canvas(canvas.top - 3, canvas.left - 3, canvas.height + 6, canvas.width + 6)
    shown = np.any([shows(move, wide) for move in taken], axis=0)
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    assert rows[0] >= 3
    assert columns[0] >= 3
    assert rows[-1] < canvas.height + 3
    assert columns[-1] < canvas.width + 3
    assert area(canvas) <= (len(rows) + 2) * (len(columns) + 2)  # a corner's tip may lie between pixels


def test_the_first_frames_rectangle_is_the_default_and_what_is_far_apart_is_refused() -> None:
    far = Similarity(1.0, 0.0, 52.0, 30.0)
    assert canvas_of([IDENTITY, far], HEIGHT, WIDTH, "first") == FIRST
    with pytest.raises(AlignmentError, match=r"only 4 x 10 pixels in common") as caught:
        canvas_of([IDENTITY, far], HEIGHT, WIDTH, "common")
    assert caught.value.hint


def test_a_frame_that_lies_as_the_first_is_the_same_array_and_a_cut_is_exact() -> None:
    picture = np.random.default_rng(0).integers(0, 65535, (HEIGHT, WIDTH, 3), np.uint16)
    for move in (IDENTITY, Similarity(1.0, 0.0, 0.02, -0.03)):
        pixels, shown = onto(picture, move, FIRST)
        assert pixels is picture
        assert shown is None
    pixels, shown = onto(picture, IDENTITY, Canvas(3, 5, 20, 30))
    assert np.array_equal(pixels, picture[3:23, 5:35])
    assert shown is None


def test_whole_pixels_are_moved_exactly_and_nothing_is_mirrored() -> None:
    picture = np.random.default_rng(0).integers(1, 255, (HEIGHT, WIDTH, 3), np.uint8)
    pixels, shown = onto(picture, Similarity(1.0, 0.0, 6.0, -4.0), FIRST)
    assert shown is not None
    assert np.array_equal(pixels[4:, :-6], picture[:-4, 6:])
    assert shown[4:, :-6].all()
    assert not shown[:4].any()
    assert not pixels[~shown].any()


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [(np.uint8, 0, 255), (np.uint16, 250, 1000), (np.float32, -3, 40)]
)
def test_values_stay_within_the_frames_own(dtype: type, low: float, high: float) -> None:
    steps = np.where(np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.5, low, high).astype(dtype)
    pixels, shown = onto(steps, Similarity(1.0, 3.0, 0.4, -0.3), FIRST)
    assert pixels.dtype == dtype
    assert shown is not None
    assert pixels[shown].min() >= low
    assert pixels[shown].max() <= high


def test_smooth_pictures_are_resampled_almost_exactly() -> None:
    def wave(x, y):
        return np.sin(x / 4) * np.cos(y / 5) + 2

    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    move = Similarity(1.03, 2.0, 0.7, -1.2)
    pixels, shown = onto(wave(x, y).astype(np.float32), move, FIRST)
    (xs, ys) = move.matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    expected = wave(xs, ys).reshape(HEIGHT, WIDTH)
    inner = cv2.erode(shown.astype(np.uint8), np.ones((9, 9)), borderValue=0).astype(bool)
    assert np.abs(pixels - expected)[inner].max() < 0.01  # OpenCV moves by thirty-seconds of a pixel


def test_sides_beyond_what_opencv_warps_are_warped_all_the_same() -> None:
    long = np.random.default_rng(2).integers(0, 255, (33, 40_000), np.uint8)
    pixels, shown = onto(long, Similarity(1.0, 0.0, 5.0, 2.0), Canvas(0, 0, *long.shape))
    assert np.array_equal(pixels[:-2, :-5], long[2:, 5:])
    assert shown is not None
    assert shown[:-2, :-5].all()
