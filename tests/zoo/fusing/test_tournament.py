"""Frames that meet in a tournament: neighbors first, and then their results."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.fusing.fuse_layers import Layer, fuse_layers
from zoo.networks import Config, Network


@pytest.fixture(scope="module")
def model() -> Network:
    torch.manual_seed(0)
    return Network(Config(task="seg", width=4, depth=2)).eval()


def frames(count: int, seed: int = 0) -> list[np.ndarray]:
    return [*np.random.default_rng(seed).random((count, 32, 48, 3), np.float32)]


def test_five_frames_meet_as_in_a_bracket(model: Network) -> None:
    a, b, c, d, e = frames(5)

    def two(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return zoo.fuse(model, [one, other]).image

    expected = two(two(two(a, b), two(c, d)), e)
    fused = zoo.fuse(model, [a, b, c, d, e], burst="tournament")
    np.testing.assert_allclose(fused.image, expected, atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 12), st.integers(0, 99))
def test_chosen_pixels_are_those_of_the_frames_that_the_decision_names(count: int, seed: int) -> None:
    torch.manual_seed(0)
    network = Network(Config(task="seg", width=4, depth=2)).eval()
    taken = [(each * 255).astype(np.uint8) for each in frames(count, seed)]
    layers = (Layer(each, (1 / 255,) * 3, (0.0,) * 3) for each in taken)
    fused = fuse_layers(network, layers, rule="select", burst="tournament", raw=True)
    assert fused.decision is not None
    chosen = np.take_along_axis(np.stack(taken), fused.decision[None, ..., None], 0)[0]
    np.testing.assert_array_equal(fused.image, chosen)


def test_eight_bits_are_rounded_only_at_the_end(model: Network) -> None:
    taken = [(each * 255).astype(np.uint8) for each in frames(9)]
    layers = (Layer(each, (1 / 255,) * 3, (0.0,) * 3) for each in taken)
    fused = fuse_layers(model, layers, burst="tournament", raw=True)
    exact = zoo.fuse(model, [each / np.float32(255) for each in taken], burst="tournament").image * 255
    np.testing.assert_allclose(fused.image, exact, atol=0.6)
