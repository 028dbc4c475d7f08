"""All frames of a scene as the lens makes them: without noise, and in the ground truth's geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.synthesis.optics.circles import blur_size
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.light import values_of

if TYPE_CHECKING:
    from mfsynth.recipe import Optics
    from mfsynth.sample import Scene, Window
    from mfsynth.synthesis.optics.light import Values


def clean_frames(scene: Scene, optics: Optics, window: Window) -> tuple[Values, ...]:
    """All frames inside a window.

    Returns:
        H x W x 3 each, float32, 0 to 1: linear light or sRGB values, as `optics.light` says.
    """
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
        frames.append(made)
    return tuple(frames)
