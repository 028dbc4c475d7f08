import itertools
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from tests.zoo.fusing.fakes import Sharpest, halves, layer
from zoo.fusing.fuse_layers import fuse_layers
from zoo.fusing.regular import regularize

DIFFERENT = np.ones((120, 160), np.float32)
ALIKE = np.zeros((120, 160), np.float32)


def flicker(count=2, seed=0, sigma=0.5):
    """Scores of frames that are alike: noise, smooth over a few pixels, whose sum is 0."""
    scores = np.random.default_rng(seed).normal(0, 1, (count, 120, 160)).astype(np.float32)
    scores = np.stack([cv2.GaussianBlur(each, None, 1.5) for each in scores])
    scores -= scores.mean(0)
    return scores * np.float32(sigma / scores.std())


def areas(decision):
    """How many connected areas a decision has."""
    return sum(
        cv2.connectedComponents((decision == each).astype(np.uint8))[0] - 1 for each in np.unique(decision)
    )


def test_flicker_between_two_sharp_things_becomes_two_areas():
    scores, sharp = flicker(), np.zeros((120, 160), np.float32)
    sharp[45:75, 20:50], sharp[45:75, 110:140] = 6, -6
    sharp = cv2.GaussianBlur(sharp, None, 3)
    scores += np.stack([sharp, -sharp])
    assert areas(scores.argmax(0)) > 50
    regularize(scores, ALIKE)
    decision = scores.argmax(0)
    assert areas(decision) == 2
    assert (decision[:, :50] == 0).all()
    assert (decision[:, 110:] == 1).all()
    weight = 1 / (1 + np.exp(scores[1] - scores[0]))
    assert np.abs(np.diff(weight[:30], axis=1)).max() < 0.2  # no seam


def test_strong_evidence_stays_bit_for_bit_however_thin():
    scores = flicker()
    lines = np.zeros((120, 160), bool)
    lines[::12, :] = lines[:, ::16] = True
    scores[:, lines] = np.array([-5, 5], np.float32)[:, None]
    scores[:, 60, 80] = 5, -5
    strong = np.abs(scores[0] - scores[1]) >= 9
    before = scores.copy()
    regularize(scores, ALIKE)
    np.testing.assert_array_equal(scores[:, strong], before[:, strong])


def test_a_weak_seam_that_waves_stays_bit_for_bit():
    """In front of a plain sky, logits fall slowly towards the outline of a thing, on both sides of it."""
    y, x = np.mgrid[:240, :320].astype(np.float32)
    logits = np.clip((x - 160 - 4 * np.sin(y / 15)) / 4, -5, 5)
    scores = np.stack([logits, -logits])
    before = scores.copy()
    regularize(scores, np.zeros((240, 320), np.float32))
    np.testing.assert_array_equal(scores, before)


def test_a_seam_between_sure_areas_stays_bit_for_bit():
    """Where one frame passes to the other, logits are small, and still right."""
    ramp = np.tanh((np.arange(160, dtype=np.float32) - 80) / 2) * 5
    scores = np.tile(np.stack([ramp, -ramp])[:, None], (1, 120, 1))
    before = scores.copy()
    regularize(scores, DIFFERENT)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_any_order_gives_the_same_scores(count):
    scores = flicker(count)
    scores[0, 30:60, 30:60] += 6
    scores[1, 80:, 100:] = -np.inf
    different = np.random.default_rng(1).random((120, 160), np.float32)
    expected = scores.copy()
    regularize(expected, different)
    for order in itertools.permutations(range(count)):
        got = scores[list(order)].copy()
        regularize(got, different)
        np.testing.assert_array_equal(got, expected[list(order)])


def test_frames_that_are_all_soft_are_decided_in_wide_areas():
    scores = flicker()
    assert areas(scores.argmax(0)) > 50
    regularize(scores, ALIKE)
    assert areas(scores.argmax(0)) <= 4


def test_what_only_one_frame_shows_is_continued_where_nothing_is_sharp():
    scores = flicker()
    scores[1, :, 100:] = -np.inf
    regularize(scores, ALIKE)
    assert (scores.argmax(0) == 0).all()
    assert np.isneginf(scores[1, :, 100:]).all()
    assert np.isfinite(scores[:, :, :100]).all()


def backdrop(seed):
    """A smooth picture with a little noise."""
    y, x = np.mgrid[:120, :160]
    smooth = np.stack([0.4 + 0.001 * y, 0.5 + 0.001 * x, 0.5 + 0 * x], 2)
    return (smooth + np.random.default_rng(seed).normal(0, 0.004, smooth.shape)).astype(np.float32)


class Nervous(Sharpest):
    """Hf-seg in front of a backdrop: sure where something is sharp, elsewhere unsure."""

    def symmetric(self, a, b):
        return 8 * torch.tanh(super().symmetric(a, b))

    __call__ = symmetric


def test_backdrop_comes_from_one_frame_and_sharp_things_from_theirs():
    _, one, other = halves(60, 120)
    near, far = backdrop(0), backdrop(1)
    near[50:110, 20:140], far[50:110, 20:140] = one, other
    layers = [layer(near), layer(far)]
    raw = fuse_layers(Nervous(), layers, rule="select", raw=True)
    fused = fuse_layers(Nervous(), layers, rule="select")
    tiled = fuse_layers(Nervous(), layers, rule="select", tile=48)
    np.testing.assert_array_equal(tiled.decision, fused.decision)
    assert areas(raw.decision[:40]) > 50
    assert areas(fused.decision[:40]) == 2
    thing = (slice(55, 105), slice(25, 135))
    assert np.abs(fused.image - raw.image)[thing].mean() < 1e-3
    swapped = fuse_layers(Nervous(), layers[::-1], rule="select")
    np.testing.assert_array_equal(swapped.image, fused.image)


class NervousSet(Nervous):
    """The same for sets: a frame's score is how much sharper it is than the mean."""

    config = SimpleNamespace(task="seg", sets=True, width=16, stride=8, reach=2)

    def scores(self, frames, wanted):
        frames = list(frames)
        mean = torch.stack(frames).mean(0)
        return [4 * torch.tanh(Sharpest.symmetric(self, each, mean) / 2)[..., *wanted] for each in frames]


@pytest.mark.parametrize("count", [2, 5])
def test_sets_take_backdrops_from_one_frame_too(count, monkeypatch):
    _, one, other = halves(60, 120)
    frames = [backdrop(seed) for seed in range(count)]
    for frame in frames:
        frame[50:110, 20:140] = cv2.GaussianBlur(halves(60, 120)[0], None, 5)
    frames[0][50:110, 20:140], frames[1][50:110, 20:140] = one, other
    layers = [layer(each) for each in frames]
    raw = fuse_layers(NervousSet(), layers, rule="select", raw=True)
    fused = fuse_layers(NervousSet(), layers, rule="select")
    tiled = fuse_layers(NervousSet(), layers, rule="select", tile=48)
    np.testing.assert_array_equal(tiled.decision, fused.decision)
    monkeypatch.setattr("zoo.fusing.coarse.STRIP", 32)
    in_strips = fuse_layers(NervousSet(), layers, rule="select")
    np.testing.assert_array_equal(in_strips.decision, fused.decision)
    assert areas(raw.decision[:40]) > 50
    assert areas(fused.decision[:40]) <= 4
    thing = (slice(55, 105), slice(25, 135))
    assert np.abs(fused.image - raw.image)[thing].mean() < 1e-3
    swapped = fuse_layers(NervousSet(), layers[::-1], rule="select")
    np.testing.assert_array_equal(swapped.image, fused.image)


def test_a_layer_that_shows_nothing_is_not_spread_to():
    frames = [backdrop(seed) for seed in range(3)]
    shown = np.ones((120, 160), bool)
    shown[:, 100:] = False
    layers = [layer(frames[0], shown=shown), *[layer(each) for each in frames[1:]]]
    raw = fuse_layers(NervousSet(), layers, rule="select", raw=True)
    fused = fuse_layers(NervousSet(), layers, rule="select")
    assert (fused.decision[:, 100:] != 0).all()
    assert areas(fused.decision) < areas(raw.decision) / 10
    assert np.isfinite(fused.confidence).all()


def test_frames_that_are_equal_beside_ones_that_differ_give_numbers():
    """The mean difference is taken by running sums, which end below zero there."""
    rng = np.random.default_rng(0)
    first, more = rng.random((2, 96, 96), np.float32) / 2
    more = np.where(rng.random(more.shape) < 0.5, more**2, more / 1000).astype(np.float32)
    more[40:] = 0
    fused = fuse_layers(Sharpest(), [layer(first), layer(first + more)])
    assert np.isfinite(fused.image).all()
    assert np.isfinite(fused.confidence).all()
