"""From a Scene to a Sample: in format 1 Eq. 1 of Guerrero Peña et al. (arXiv 1908.10945), then noise.

Frame k is the picture where the focus map says k, and the blurred picture elsewhere. The whole picture is
blurred before it is composed: on the blurred side, colors bleed across a mask's edge, and the edge is hard.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.errors import ShardError
from mfsynth.sample import Sample, Scene, Window, everywhere_certain
from mfsynth.synthesis.noise import add_noise
from mfsynth.synthesis.optics.render import render_optics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import FocusMap, Picture


def gaussian_reach(sigma: float) -> int:
    """Half the length of the Gaussian's taps: 4 sigma, rounded up."""
    return math.ceil(4 * sigma)


def gaussian_blur(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur, cut at 4 sigma, mirror border (reflect-101), rounded once at the end.

    OpenCV's own 8-bit GaussianBlur works in fixed point and is off by more than a gray level; this differs
    by at most 0.53 from a float64 reference.
    """
    offsets = np.arange(-gaussian_reach(sigma), gaussian_reach(sigma) + 1)
    taps = np.exp(-(offsets**2) / (2 * sigma**2))
    taps = (taps / taps.sum()).astype(np.float32)
    return cv2.sepFilter2D(picture, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


def render(scene: Scene, window: Window | Sequence[int] | None = None) -> Sample:
    """Render a scene, or the part of it inside a window.

    By definition, a window gives the same as cutting it out of the whole rendered picture; only what it needs
    is computed: the window, the kernel's reach around it, and the noise of its rows.

    Raises:
        OptionsError: If `window` is not a window, or does not lie inside the picture.
        ShardError: If the recipe names an unknown kernel.
    """
    height, width = scene.size
    recipe = scene.recipe
    window = Window.of((0, 0, height, width) if window is None else window).check(height, width)
    if recipe.optics is not None:
        return render_optics(scene, recipe.optics, window)
    if recipe.blur.kernel != "gaussian":
        raise ShardError(f"unknown blur kernel {recipe.blur.kernel[:40]!r}; known: gaussian")
    outer = window.grown(gaussian_reach(recipe.blur.sigma), height, width)
    inner = window.within(outer)
    blurred = gaussian_blur(scene.picture[outer.slices], recipe.blur.sigma)[inner.slices]
    gt = scene.picture[window.slices]
    focus = scene.focus(window)
    canvases = [blurred.copy() for _ in recipe.frames[1:]]
    canvases.append(blurred if window == outer else blurred.copy())
    frames = tuple(
        add_noise(compose(gt, canvas, focus, number), frame.noise_sigma, frame.noise_key, width, window)
        for number, (frame, canvas) in enumerate(zip(recipe.frames, canvases, strict=True))
    )
    certain = everywhere_certain(focus.shape)
    return Sample(
        recipe.key, frames, focus, gt, focus, certain, scene.segments[window.slices], recipe, window
    )


def compose(picture: Picture, blurred: Picture, focus: FocusMap, number: int) -> Picture:
    """One frame of Eq. 1: the picture where the focus map says `number`, the blurred picture elsewhere.

    It is written over the blurred picture, which is returned.
    """
    return cv2.copyTo(picture, (focus == number).view(np.uint8), blurred)  # type: ignore[return-value]
