import math

import cv2
import numpy as np
import pytest

from zoo.metrics import gray, psnr, ssim


def pair(noise, size=(40, 53)):
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, size, dtype=np.uint8)
    second = (first + rng.normal(0, noise, size)).clip(0, 255).astype(np.uint8)
    return first, second


@pytest.mark.parametrize("noise", [1, 10, 60])
def test_psnr_is_opencvs(noise):
    first, second = pair(noise)
    assert psnr(first, second) == pytest.approx(cv2.PSNR(first, second), rel=1e-9)


def test_psnr_by_hand():
    black = np.zeros((10, 10), np.uint8)
    assert psnr(black, black + 255) == pytest.approx(0)
    assert psnr(black, black) == math.inf


def test_gray_is_the_rounded_channel_mean():
    picture = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(gray(picture), np.rint(picture.astype(float).mean(2)))


def test_ssim_of_equal_pictures_is_one_and_falls_with_noise():
    first, _ = pair(0)
    assert ssim(first, first) == pytest.approx(1)
    assert 1 > ssim(*pair(5)) > ssim(*pair(20)) > ssim(*pair(80)) > 0


def test_ssim_of_constant_pictures_by_hand():
    """Variances are 0: (2 m n + C1) / (m^2 + n^2 + C1) is left."""
    first, second = np.full((11, 11), 100, np.uint8), np.full((11, 11), 110, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(first, second) == pytest.approx((2 * 11000 + c1) / (10000 + 12100 + c1))
