"""What follows from the metrics' definitions for any pictures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from zoo.errors import MetricError
from zoo.metrics import (
    FramePair,
    gray,
    psnr,
    q_cb,
    q_g,
    q_mi,
    q_ncie,
    q_p,
    q_s,
    q_te,
    score,
    ssim,
)
from zoo.metrics.grayscale import WINDOW, same, stretched, windowed

METRICS = [q_mi, q_te, q_ncie, q_g, q_p, q_s, q_cb]
NAN_WHEN_FLAT = [q_mi, q_te, q_ncie, q_p, q_cb]
INFORMATION = [q_mi, q_te, q_ncie]

named = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
quick = settings(max_examples=20, deadline=None)


def triple(seed, height=24, width=31):
    """Two pictures of one scene, each blurred on one side, and a fused one that is not quite right."""
    rng = np.random.default_rng(seed)
    scene = ndimage.gaussian_filter(rng.integers(0, 256, (height, width)).astype(float), 0.7)
    scene = (scene - scene.min()) / np.ptp(scene) * 255
    soft = ndimage.gaussian_filter(scene, 2)
    left = np.arange(width) < width // 2
    pictures = np.where(left, scene, soft), np.where(left, soft, scene), scene + rng.normal(0, 4, scene.shape)
    return [np.rint(picture).clip(0, 255).astype(np.uint8) for picture in pictures]


triples = st.builds(triple, st.integers(0, 2**32), st.integers(11, 40), st.integers(11, 40))


@quick
@given(triples)
def test_order_of_the_frames(pictures):
    a, b, fused = pictures
    one, other = FramePair(a, b).score(fused), FramePair(b, a).score(fused)
    # Q_G lifts zeros between its steps for A and for B
    for name, value in one.items():
        assert value == pytest.approx(other[name], rel=0, abs=1e-5 if name == "q_g" else 1e-11), name


@quick
@given(triples, st.integers(0, 2**32))
def test_information_does_not_see_where_pixels_are(pictures, seed):
    order = np.random.default_rng(seed).permutation(pictures[0].size)
    moved = [picture.ravel()[order].reshape(picture.shape) for picture in pictures]
    for metric in INFORMATION:
        assert metric(*moved) == metric(*pictures)


@quick
@given(triples, st.integers(0, 50), st.sampled_from([1, 2, 3]))
def test_information_and_contrast_do_not_see_brightness_and_range(pictures, offset, factor):
    """As long as no level is lost: then the stretch undoes it."""
    narrow = [picture // 4 for picture in pictures]
    changed = [offset + factor * picture for picture in narrow]
    for metric in [*INFORMATION, q_cb]:
        assert metric(*changed) == pytest.approx(metric(*narrow), rel=0, abs=1e-12)


@quick
@given(triples, st.integers(0, 2**32))
def test_information_does_not_see_which_level_is_which(pictures, seed):
    """Of each picture by itself for Q_MI and Q_NCIE; Q_TE's crossed marginals need one renaming for all."""
    rng = np.random.default_rng(seed)
    full = [
        np.r_[np.uint8(0), np.uint8(255), picture.ravel()[2:]].reshape(picture.shape) for picture in pictures
    ]
    names = [rng.permutation(256).astype(np.uint8) for _ in full]
    renamed = [name[picture] for name, picture in zip(names, full, strict=True)]
    for metric in (q_mi, q_ncie):
        assert metric(*renamed) == pytest.approx(metric(*full), rel=0, abs=1e-12)
    inner = np.r_[0, 1 + rng.permutation(254), 255].astype(np.uint8)
    assert q_te(*(inner[picture] for picture in full)) == pytest.approx(q_te(*full), rel=0, abs=1e-12)


FLIPS = {"left to right": np.fliplr, "upside down": np.flipud, "transposed": np.transpose}


@pytest.mark.parametrize("flip", FLIPS.values(), ids=FLIPS)
@quick
@given(pictures=triples)
def test_mirrored_pictures(flip, pictures):
    """Exact but for rounding; Q_G sets a derivative of 0 to 1e-5; Q_P's filters miss the mirror's Nyquist,
    which counts for 0.16 in some pictures of 11 x 11.
    """
    mirrored = [flip(picture) for picture in pictures]
    for metric in (*INFORMATION, q_s, q_cb):
        assert metric(*mirrored) == pytest.approx(metric(*pictures), rel=0, abs=1e-9)
    assert q_g(*mirrored) == pytest.approx(q_g(*pictures), rel=0, abs=1e-3)
    assert q_p(*mirrored) == pytest.approx(q_p(*pictures), rel=0, abs=0.25)


@quick
@given(triples)
def test_ranges(pictures):
    scores = FramePair(pictures[0], pictures[1]).score(pictures[2])
    assert 0 <= scores["q_mi"] <= 2
    assert 0.79 <= scores["q_ncie"] <= 1
    assert 0 <= scores["q_g"] <= 0.98667
    assert scores["q_p"] <= 1
    assert -1 <= scores["q_s"] <= 1
    assert 0 <= scores["q_cb"] <= 1


@quick
@given(triples)
def test_nothing_lost(pictures):
    a = pictures[0]
    best = FramePair(a, a).score(a)
    assert best["q_mi"] == pytest.approx(2)
    assert best["q_s"] == pytest.approx(1)
    assert best["q_cb"] == pytest.approx(1)
    assert best["q_g"] == pytest.approx((1 + math.exp(-5)) ** -2)
    assert ssim(a, a) == pytest.approx(1)


@quick
@given(triples)
def test_either_source_as_fused_shares_as_much_information(pictures):
    a, b, _ = pictures
    assert q_mi(a, b, a) == pytest.approx(q_mi(a, b, b), rel=0, abs=1e-12)


@pytest.mark.parametrize("metric", [q_mi, q_ncie, q_g, q_p, q_s, q_cb], ids=lambda metric: metric.__name__)
def test_noise_costs(metric):
    """Not Q_TE: noise leaves so small a picture's joint histogram full of holes, which raises it."""
    a, b, fused = triple(3, 64, 80)
    noise = np.random.default_rng(0).normal(0, 40, fused.shape)
    worse = (fused + noise).clip(0, 255).astype(np.uint8)
    assert metric(a, b, worse) < metric(a, b, fused)


@named
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("level", [0, 90])
@pytest.mark.filterwarnings("error")
def test_constant_picture(metric, place, level):
    pictures = triple(5)
    pictures[place] = np.full_like(pictures[place], level)
    value = metric(*pictures)
    assert math.isnan(value) if metric in NAN_WHEN_FLAT else math.isfinite(value)


@named
@pytest.mark.filterwarnings("error")
def test_all_constant(metric):
    value = metric(*(np.full((20, 30), level, np.uint8) for level in (10, 20, 200)))
    assert math.isnan(value) if metric in NAN_WHEN_FLAT else math.isfinite(value)


def test_flat_frames_count_half_each():
    """Q_S by hand: all variances are 0, and of SSIM (2 m n + C1) / (m^2 + n^2 + C1) is left."""
    images = [np.full((15, 12), level, np.uint8) for level in (50, 150, 100)]
    c1 = (0.01 * 255) ** 2
    like = [(2 * m * 100 + c1) / (m**2 + 100**2 + c1) for m in (50, 150)]
    assert q_s(*images) == pytest.approx(sum(like) / 2)


COLOR = np.zeros((20, 30, 3), np.uint8)
PLANE = COLOR[..., 0]
WRONG = {
    "another size": (PLANE, PLANE, PLANE[:, :-1]),
    "transposed": (PLANE, PLANE.T, PLANE),
    "a side of 10": (PLANE[:10],) * 3,
    "color": (COLOR,) * 3,
    "floats": (PLANE.astype(float),) * 3,
}


@named
@pytest.mark.parametrize("images", WRONG.values(), ids=WRONG)
def test_wrong_planes_are_refused(metric, images):
    with pytest.raises(MetricError):
        metric(*images)


@pytest.mark.parametrize("images", WRONG.values(), ids=WRONG)
def test_wrong_planes_are_refused_by_frame_pairs_and_ssim(images):
    a, b, fused = images
    with pytest.raises(MetricError):
        FramePair(a, b).score(fused)
    with pytest.raises(MetricError):
        ssim(b, fused)


def test_sizes_are_named():
    with pytest.raises(MetricError, match="20 x 30 and 20 x 29"):
        q_s(*WRONG["another size"])


def test_wrong_pictures_are_refused():
    for wrong in (PLANE, COLOR.astype(float), np.zeros((20, 30, 4), np.uint8)):
        with pytest.raises(MetricError, match="RGB"):
            gray(wrong)
    with pytest.raises(MetricError, match="one shape"):
        psnr(COLOR, COLOR[:, :1])  # it could be broadcast


def test_score_of_pictures():
    a, b, fused = (np.stack([picture, picture[::-1], picture // 2], 2) for picture in triple(8))
    images = [gray(picture) for picture in (a, b, fused)]
    scores = score(a, b, fused)
    assert scores == {metric.__name__: metric(*images) for metric in METRICS}
    known = score(a, b, fused, truth=a)
    assert known == {**scores, "psnr": psnr(a, fused), "ssim": ssim(images[0], images[2])}
    luma = score(a, b, fused, mode="luma")
    assert luma["q_s"] == q_s(*(gray(picture, "luma") for picture in (a, b, fused)))
    assert luma["q_s"] != scores["q_s"]


def test_luma():
    colors = np.array(
        [[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 1, 1], [0, 0, 0]]], np.uint8
    )
    assert gray(colors, "luma").tolist() == [[255, 76, 150, 29, 1, 0]]
    assert gray(colors).tolist() == [[255, 85, 85, 85, 1, 0]]


@pytest.mark.parametrize("range_", range(1, 256))
def test_stretch_sends_halves_up(range_):
    """In integers: the nearest level, halves up."""
    levels = np.arange(range_ + 1, dtype=np.uint8)
    expected = [(2 * 255 * level + range_) // (2 * range_) for level in range(range_ + 1)]
    assert stretched(levels[None]).tolist() == [expected]


@pytest.mark.parametrize("shape", [(11, 11), (20, 33), (20, 33, 3)])
def test_window_is_scipys(shape):
    values = np.random.default_rng(0).normal(size=shape)
    expected = ndimage.gaussian_filter(values, 1.5, mode="constant", radius=5, axes=(0, 1))
    np.testing.assert_allclose(same(values, WINDOW), expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(windowed(values), expected[5:-5, 5:-5], rtol=0, atol=1e-14)


def test_information_is_scipys():
    a, b, fused = triple(11, 40, 40)

    def entropy(image):
        return stats.entropy(np.unique(image, return_counts=True)[1], base=2)

    def joint(x, y):
        return entropy(x.astype(int) * 256 + y)

    shared = [
        2 * (entropy(x) + entropy(fused) - joint(x, fused)) / (entropy(x) + entropy(fused)) for x in (a, b)
    ]
    assert q_mi(a, b, fused) == pytest.approx(sum(shared))
