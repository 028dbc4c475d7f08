"""The scripts for looking at pictures choose what they say they choose."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from zoo.evaluation.data import Stack
from zoo.evaluation.scores import Row, Scores
from zoo.metrics.measures import QUALITY

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script(name: str) -> Any:
    sys.path.insert(0, str(SCRIPTS))
    return __import__(name)


@pytest.fixture(scope="module")
def worst() -> ModuleType:
    return script("worst_pictures")  # type: ignore[no-any-return]


def scores(values: dict[str, list[float]], measures: tuple[str, ...]) -> Scores:
    images = tuple("abcd")
    rows = [
        Row(image, method, dict.fromkeys(measures, column[k]))
        for k, image in enumerate(images)
        for method, column in values.items()
    ]
    return Scores("made up", images, tuple(values), tuple(rows))


def test_the_worst_have_the_lowest_psnr_or_the_last_rank(worst: ModuleType) -> None:
    values = {"x": [5.0, 2.0, 3.0, 4.0], "y": [4.0, 1.0, 9.0, 9.0]}
    assert worst.worst(scores(values, ("psnr",)), "x", 2) == ["b", "c"]
    assert worst.worst(scores(values, QUALITY), "x", 2) == ["c", "d"]
    assert worst.words(scores(values, QUALITY), "x", "c").endswith("mean rank 2.0 of 2")


def test_the_window_is_where_a_picture_is_worse_than_the_best_choice(worst: ModuleType) -> None:
    """Far from the truth at the top, where both frames are; a wrong choice at the bottom."""
    truth = np.full((200, 300, 3), 100, np.uint8)
    good, bad = truth.copy(), truth.copy()
    good[:50] = bad[:50] = 250
    bad[150:170, 200:230] = 110
    seen = worst.look(Stack("s", (good, bad), truth), bad, None)
    top, left, height, width = worst.worst_window(seen.excess)
    assert (height, width) == (53, 80)
    assert top <= 150 < 170 <= top + height
    assert left <= 200 < 230 <= left + width
    assert seen.error[160, 210].tolist() == [80, 80, 80]
    block = worst.block(seen, "")
    assert [cell.words for cell in block.rows[0]] == ["frame 0", "frame 1", "fused", "truth", "error x 8"]
    assert block.rows[1][0].picture.shape == (4 * 53, 4 * 80, 3)


def test_each_frame_in_turn_has_another_exposure() -> None:
    exposures = script("compare_exposures")
    frames = [np.full((1, 1, 3), 100, np.uint8), np.full((1, 1, 3), 210, np.uint8)]
    levels = [[int(frame[0, 0, 0]) for frame in each] for each in exposures.variants(frames, 1.3)]
    assert levels == [[130, 210], [100, 255]]
    assert len([*exposures.variants(frames, 1.0)]) == 1
    assert exposures.table({"x": [0.997, 0.776]}, [0.7]).endswith("| x | 99.70% | 77.60% (-22.10) |")


def test_the_crops_of_thin_structures_lie_in_their_pairs() -> None:
    thin = script("thin_structures")
    assert len({crop.pair for crop in thin.CROPS}) == 6
    numbers = np.arange(520 * 520 * 3).reshape(520, 520, 3)
    for crop in thin.CROPS:
        assert crop.of(numbers).shape == (4 * thin.SIDE, 4 * thin.SIDE, 3)
