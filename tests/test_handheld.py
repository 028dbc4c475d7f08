"""scripts/handheld.py: the truth that comes with a drawn hand-held stack is what its frames show."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from zoo.alignment.similarity import IDENTITY, Similarity

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import handheld

    return handheld


def smooth(size: tuple[int, int] = (160, 240)) -> np.ndarray:
    noise = np.random.default_rng(3).random((*size, 3), np.float32)
    picture = cv2.GaussianBlur(noise, None, 4)
    return cv2.normalize(picture, None, 40, 200, cv2.NORM_MINMAX).astype(np.uint8)


def test_frames_moved_back_by_the_truth_show_the_first(script: ModuleType) -> None:
    hand = script.Hand(stops=0, flicker=0, noise=0, margin=0.1)
    stack = script.taken([smooth()] * 6, smooth(), hand, seed=1)
    assert stack.moves[0] == IDENTITY
    assert np.array_equal(stack.frames[0], stack.sharp)
    assert stack.moves[-1].scale == pytest.approx(0.95)
    height, width = stack.sharp.shape[:2]
    inner = np.s_[20:-20, 20:-20]
    for frame, move in zip(stack.frames[1:], stack.moves[1:], strict=True):
        assert move.displacement(height, width) > 1
        back = cv2.warpAffine(
            frame, move.matrix, (width, height), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC
        )
        assert np.abs(back[inner].astype(int) - stack.sharp[inner]).mean() < 1
        assert np.abs(frame[inner].astype(int) - stack.sharp[inner]).mean() > 2


def test_gains_are_of_linear_light(script: ModuleType) -> None:
    hand = script.Hand(0, 0, 0, stops=-1, flicker=0, balance=0.1, noise=0)
    stack = script.taken([smooth()] * 3, smooth(), hand)
    assert stack.gains[0] == pytest.approx(1)
    assert stack.gains[-1] == pytest.approx(np.array([0.55, 0.5, 0.45]))
    light = [((frame / 255 + 0.055) / 1.055) ** 2.4 for frame in (stack.frames[-1], stack.sharp)]
    assert np.median(light[0] / light[1], axis=(0, 1)) == pytest.approx(stack.gains[-1], rel=0.01)


def test_the_corner_error_is_the_farthest_corner(script: ModuleType) -> None:
    assert script.corner_error(Similarity(1, 0, 3, 4), IDENTITY, 100, 200) == pytest.approx(5)
    assert script.corner_error(Similarity(1.01, 0, 0, 0), IDENTITY, 101, 1) == pytest.approx(1)
