"""Run lengths, against pycocotools where they are right, and against a decoder as simple as can be."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from mfsynth.coco.masks.rle import area, paint, read_runs
from mfsynth.coco.words import OddRecord

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def painted(shape: dict, height: int, width: int) -> np.ndarray:
    """What we read, H x W, 0 or 1."""
    columns = np.zeros(height * width, np.uint16)
    runs = read_runs(shape, height, width)
    paint(runs, 1, columns)
    assert area(runs) == columns.sum()
    return columns.reshape(width, height).T


def simply(counts: list[int], height: int, width: int) -> np.ndarray:
    """Run lengths to pixels, one by one."""
    pixels = [k % 2 for k, count in enumerate(counts) for _ in range(count)]
    pixels += [0] * (height * width - len(pixels))
    return np.array(pixels).reshape(width, height).T


@st.composite
def shapes(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """A mask of random runs, and their lengths."""
    height, width = draw(SIZES)
    counts: list[int] = []
    while sum(counts) < height * width and len(counts) < 60:
        left = height * width - sum(counts)
        counts.append(draw(st.integers(0 if not counts else 1, left)))
    return simply(counts, height, width).astype(np.uint8), counts


@settings(deadline=None)
@given(shapes())
def test_both_forms_are_read_as_pycocotools_reads_them(shape: tuple[np.ndarray, list[int]]) -> None:
    pixels, _ = shape
    encoded = mask.encode(np.asfortranarray(pixels))
    assert np.array_equal(mask.decode(encoded), pixels)
    text = {"size": list(pixels.shape), "counts": encoded["counts"].decode()}
    assert np.array_equal(painted(text, *pixels.shape), pixels)


@settings(deadline=None)
@given(shapes(), st.data())
def test_runs_that_end_early_leave_the_rest_as_background(
    shape: tuple[np.ndarray, list[int]], data: st.DataObject
) -> None:
    pixels, counts = shape
    counts = counts[: data.draw(st.integers(0, len(counts)))]
    expected = simply(counts, *pixels.shape)
    assert np.array_equal(painted({"size": list(pixels.shape), "counts": counts}, *pixels.shape), expected)
    whole = mask.frPyObjects(
        {"size": list(pixels.shape), "counts": [*counts, pixels.size - sum(counts)]}, *pixels.shape
    )
    if len(counts) % 2 == 0:  # the run that fills the picture is background
        assert np.array_equal(mask.decode(whole), expected)


def test_compressed_runs_that_end_early_leave_the_rest_as_background() -> None:
    encoded = mask.encode(np.asfortranarray(np.eye(7, dtype=np.uint8)))["counts"].decode()
    early = painted({"size": [7, 7], "counts": encoded[:4]}, 7, 7)
    assert np.array_equal(early, np.diag([1, 1, 0, 0, 0, 0, 0]))


@settings(deadline=None, max_examples=500)
@given(SIZES, st.one_of(st.text(max_size=30), st.text(st.characters(min_codepoint=48, max_codepoint=111))))
def test_any_text_is_read_or_refused(size: tuple[int, int], counts: str) -> None:
    with suppress(OddRecord):
        runs = read_runs({"size": list(size), "counts": counts}, *size)
        assert (runs >= 0).all()
        assert runs.sum() <= size[0] * size[1]


@settings(deadline=None, max_examples=300)
@given(
    SIZES, st.lists(st.one_of(st.integers(-5, 2000), st.integers(), st.floats(), st.booleans(), st.none()))
)
def test_any_list_is_read_or_refused(size: tuple[int, int], counts: list[object]) -> None:
    whole = [count for count in counts if isinstance(count, int | float) and not isinstance(count, bool)]
    fits = (
        len(whole) == len(counts)
        and all(count >= 0 and float(count).is_integer() for count in whole)
        and sum(whole) <= size[0] * size[1]
    )
    shape = {"size": list(size), "counts": counts}
    if fits:
        assert np.array_equal(painted(shape, *size), simply([int(count) for count in whole], *size))
    else:
        with pytest.raises(OddRecord, match="RLE counts"):
            read_runs(shape, *size)
