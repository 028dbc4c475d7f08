"""A recipe of format 2 becomes a sample, stage by stage; each stage widens the window by what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.sample import Sample
from mfsynth.synthesis.noise import add_noise
from mfsynth.synthesis.optics.frames import clean_frames
from mfsynth.synthesis.optics.light import picture_of
from mfsynth.synthesis.optics.targets import REACH, targets

if TYPE_CHECKING:
    from mfsynth.recipe import Optics
    from mfsynth.sample import Scene, Window


def render_optics(scene: Scene, optics: Optics, window: Window) -> Sample:
    """Render the part of a scene inside a window."""
    height, width = scene.size
    recipe = scene.recipe
    around = window.grown(REACH, height, width)
    clean = [picture_of(values, optics.light) for values in clean_frames(scene, optics, around)]
    gt = scene.picture[around.slices]
    nearest, certain = targets(clean, gt, scene.focus(around))
    cut = window.within(around).slices
    frames = tuple(
        add_noise(
            np.ascontiguousarray(frame[cut]),
            recipe.frames[k].noise_sigma,
            recipe.frames[k].noise_key,
            width,
            window,
        )
        for k, frame in enumerate(clean)
    )
    return Sample(
        recipe.key,
        frames,
        scene.focus(window),
        scene.picture[window.slices],
        nearest[cut],
        certain[cut],
        scene.segments[window.slices],
        recipe,
        window,
    )
