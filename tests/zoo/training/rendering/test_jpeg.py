"""JPEG in torch is libjpeg-turbo's, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mfsynth.synthesis.optics.capture import compress
from tests.zoo.training.rendering.devices import DEVICES
from zoo.training.rendering.jpeg import compressed


def picture(kind: str, height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "flat":
        return np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (height, width, 3)).copy()
    soft = rng.normal(size=(height, width, 3)).cumsum(0).cumsum(1) * 3 + 128
    return soft.clip(0, 255).astype(np.uint8)


def channels_first(array: np.ndarray, device: str = "cpu") -> torch.Tensor:
    return torch.from_numpy(array).to(device).permute(2, 0, 1)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["noise", "flat", "soft"]),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    quality=st.integers(1, 100),
    left=st.integers(0, 15),
    top=st.integers(0, 15),
    seed=st.integers(0, 2**32 - 1),
)
@example("noise", 1, 1, 90, 0, 0, 0)
@example("noise", 33, 4, 90, 0, 0, 0)  # colors of two columns are not interpolated
@example("soft", 17, 49, 100, 15, 15, 0)
def test_pixels_are_those_of_opencv(
    kind: str, height: int, width: int, quality: int, left: int, top: int, seed: int
) -> None:
    before = picture(kind, height, width, seed)
    (after,) = compressed([channels_first(before)], [quality], [(left, top)])
    np.testing.assert_array_equal(after.permute(1, 2, 0), compress(before, quality, left, top))


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_of_any_sizes_are_coded_together(device: str) -> None:
    sizes, qualities, offsets = [(16, 16), (41, 90), (7, 3)], [70, 99, 85], [(0, 0), (3, 5), (15, 0)]
    before = [picture("soft", *size, number) for number, size in enumerate(sizes)]
    after = compressed([channels_first(each, device) for each in before], qualities, offsets)
    for one, other, quality, grid in zip(before, after, qualities, offsets, strict=True):
        np.testing.assert_array_equal(other.permute(1, 2, 0).cpu(), compress(one, quality, *grid))


def test_no_picture_is_no_picture() -> None:
    assert compressed([], [], []) == []
