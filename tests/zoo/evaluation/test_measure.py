"""What is measured of one fused picture, against values worked out by hand and by scikit-image's formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from zoo.evaluation.data import Stack
from zoo.evaluation.measure import EQUAL, Measured, edge_band
from zoo.fusing.fuse_frames import Fused
from zoo.metrics import gray, score


def pictures(count, side=48):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(count)]


def halves(side=48, at=24):
    focus = np.zeros((side, side), np.uint8)
    focus[:, at:] = 1
    return focus


def test_without_truth_the_seven_alone():
    a, b, f = pictures(3)
    values = Measured(Stack("p", (a, b))).values(Fused(f, None, None))
    assert values == score(a, b, f)
    assert list(values) == ["q_mi", "q_te", "q_ncie", "q_g", "q_p", "q_s", "q_cb"]


def test_with_truth_psnr_and_ssim_and_equality_is_capped():
    a, b, truth = pictures(3)
    pair = Stack("p", (a, b), truth)
    off = truth.copy()
    off[0, 0, 0] = truth[0, 0, 0] + (1 if truth[0, 0, 0] < 255 else -1)
    values = Measured(pair).values(Fused(off, None, None))
    assert values["psnr"] == pytest.approx(10 * np.log10(255**2 * truth.size))
    equal = Measured(pair).values(Fused(truth, None, None))
    assert equal["psnr"] == EQUAL
    assert equal["ssim"] == pytest.approx(1)
    assert "psnr_band" not in equal


def test_the_band_counts_its_own_pixels_alone():
    a, b, truth = pictures(3)
    focus = halves()
    pair = Stack("p", (a, b), truth, focus)
    wrong = truth.copy()
    wrong[:, :10] = 255 - truth[:, :10]  # far from the edge
    decision = focus.copy()
    decision[:, 24] = 0  # a column beside the edge, one of ten in the band
    values = Measured(pair).values(Fused(wrong, decision, None))
    assert values["psnr"] < 20
    assert values["psnr_band"] == EQUAL
    assert values["accuracy"] == pytest.approx(1 - 1 / 48)
    assert values["accuracy_band"] == pytest.approx(0.9)


def test_a_focus_map_without_edges_has_no_band():
    a, b, truth = pictures(3)
    focus = np.zeros((48, 48), np.uint8)
    values = Measured(Stack("p", (a, b), truth, focus)).values(Fused(truth, focus, None))
    assert values["accuracy"] == 1
    assert np.isnan([values[name] for name in ("psnr_band", "ssim_band", "accuracy_band")]).all()


def test_swapping_is_measured_in_units_of_full_range():
    a, b, f = pictures(3)
    swapped = f.copy()
    swapped[2, 3, 1] = f[2, 3, 1] ^ 255
    values = Measured(Stack("p", (a, b))).values(Fused(f, None, None), swapped)
    step = (int(swapped[2, 3, 1]) - int(f[2, 3, 1])) / 255
    assert values["swap_max"] == pytest.approx(step**2)
    assert values["swap_mean"] == pytest.approx(step**2 / f.size)


@given(arrays(np.uint8, (24, 31), elements=st.integers(0, 1)))
def test_the_band_is_what_scipys_distances_say(focus):
    other = np.where(focus == 1, distance_transform_edt(focus == 1), distance_transform_edt(focus == 0))
    if len(np.unique(focus)) < 2:
        assert not edge_band(focus).any()
    else:
        assert np.array_equal(edge_band(focus), other <= 5)


def test_gray_is_the_rounded_mean():
    assert gray(np.array([[[0, 0, 2]]], np.uint8)).item() == 1
