"""A recipe of format 2 becomes a sample, stage by stage; each stage widens the window by what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.sample import Sample
from mfsynth.synthesis.noise import add_noise
from mfsynth.synthesis.optics.circles import blur_size
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.light import picture_of, values_of
from mfsynth.synthesis.optics.targets import REACH, targets

if TYPE_CHECKING:
    from mfsynth.recipe import Optics
    from mfsynth.sample import Picture, Scene, Window


def render_optics(scene: Scene, optics: Optics, window: Window) -> Sample:
    """Render the part of a scene inside a window."""
    height, width = scene.size
    recipe = scene.recipe
    around = window.grown(REACH, height, width)
    clean = clean_frames(scene, optics, around)
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


def clean_frames(scene: Scene, optics: Optics, window: Window) -> tuple[Picture, ...]:
    """All frames inside a window, without noise, in the ground truth's geometry."""
    height, width = scene.size
    recipe = scene.recipe
    aperture = Aperture(recipe.blur.kernel, optics.blades, optics.rotation)
    reach = aperture.reach(blur_size(recipe, optics.planes - 1))
    outer = window.grown(reach, height, width)
    cut = window.within(outer).slices
    values = values_of(scene.picture[outer.slices], optics.light)
    planes = np.array([segment.plane for segment in recipe.segments], np.int64)[scene.segments[window.slices]]
    frames = []
    for frame in recipe.frames:
        distances = np.abs(planes - frame.plane)
        made = np.empty((*planes.shape, 3), np.float32)
        for distance in np.unique(distances).tolist():
            blurred = aperture.blur(values, blur_size(recipe, distance))[cut]
            here = distances == distance
            made[here] = blurred[here]
        frames.append(picture_of(made, optics.light))
    return tuple(frames)
