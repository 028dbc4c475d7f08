"""Noise as sensors make it: of the light itself, and of reading it out.

The variance of a pixel that gets the linear light x, 0 to 1, is a x + b (A. Foi, M. Trimeche, V. Katkovnik
and K. Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE
TIP 17, 2008): a, `shot_noise`, for the photons, whose number is Poisson distributed, and b, `read_noise`
squared, for the electronics. Both are drawn as one Gaussian, which that paper does, too: close where many
photons are counted, not skewed where few are. Each color of each pixel has its own noise; that a sensor sees
one color per pixel, and that the others are interpolated, is not modeled.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.synthesis.noise import add_noise, noise_words, normal_quantiles
from mfsynth.synthesis.optics.reach import Margin, Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.recipe import Recipe
    from mfsynth.sample import Picture, Window
    from mfsynth.synthesis.optics.light import Values
    from mfsynth.synthesis.optics.reach import Size


def sensor_stage(recipe: Recipe, number: int, size: Size) -> Stage | None:
    """The noise of linear light, if a frame has some."""
    optics, key = recipe.optics, recipe.frames[number].noise_key
    if optics is None or optics.noise_model != "poisson-gaussian":
        return None
    strengths = optics.shot_noise, optics.read_noise
    if not any(strengths):
        return None

    def noisy(values: Values, _: Window, window: Window) -> Values:
        return light_noise(values, *strengths, key, size[1], window)

    return Stage(Margin(0, size), noisy)


def grain_stage(recipe: Recipe, number: int, size: Size) -> Stage | None:
    """The noise of sRGB values, if a frame has some."""
    optics, frame = recipe.optics, recipe.frames[number]
    if optics is None or optics.noise_model != "gaussian" or not frame.noise_sigma:
        return None

    def noisy(picture: Picture, _: Window, window: Window) -> Picture:
        return add_noise(picture, frame.noise_sigma, frame.noise_key, size[1], window)

    return Stage(Margin(0, size), noisy)


def light_noise(
    values: Values, shot_noise: float, read_noise: float, key: str, width: int, window: Window
) -> Values:
    """Linear light with shot and read noise, not saturated: it may be below 0 and above 1.

    Args:
        values: The window's part of the frame, linear light, float32.
        shot_noise: Variance for each unit of light.
        read_noise: Standard deviation in the dark.
        key: The frame's noise key: 32 hex digits.
        width: Width of the whole picture.
        window: Which part of the picture the frame is.
    """
    variance = np.maximum(values, 0)
    variance *= np.float32(shot_noise)
    variance += np.float32(read_noise**2)
    noise = cv2.LUT(noise_words(key, width, window), _quantiles())
    noisy: Values = np.sqrt(variance, out=variance)
    noisy *= noise
    noisy += values
    return noisy


@cache
def _quantiles() -> NDArray[np.float32]:
    return normal_quantiles().astype(np.float32)
