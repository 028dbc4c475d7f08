"""What training renders of a scene: some of its frames, with the noise and the breathing that it asks for.

Recipes of format 1 never bring noise of their own: the training's settings decide. Recipes of format 2 keep
theirs, which is that of a camera, before its JPEG; see `Source.captured` for when settings add to it.
"""

from __future__ import annotations

from cmath import phase, rect
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mfsynth.synthesis.optics.breathing import is_still, without_breathing, without_motion
from zoo.errors import TrainingError

if TYPE_CHECKING:
    from mfsynth.sample import Recipe, Scene, Shot
    from zoo.training.options import TrainOptions


def some_frames(scene: Scene, counts: tuple[int, int], rng: np.random.Generator) -> Scene:
    """The scene with some of its frames, in their order; nothing is drawn for a scene of two frames.

    Two are the sharpest somewhere, so that the focus map has both values, unless one frame is the sharpest
    everywhere. The others are any.

    Args:
        scene: Of any number of frames.
        counts: Smallest and largest number of frames; one of them is drawn.
        rng: Makes all draws.

    Raises:
        TrainingError: If a recipe of format 1 does not have two frames.
    """
    recipe = scene.recipe
    count = len(recipe.frames)
    if count == 2:
        return scene
    if recipe.optics is None:
        raise TrainingError(
            f"{scene.key} has {count} frames, but its recipe is of format 1",
            "build the data set again, with --frames",
        )
    sharpest = recipe.sharpest()
    sharp = sorted({sharpest[segment.plane] for segment in recipe.segments})
    chosen = rng.choice(sharp if len(sharp) > 1 else count, 2, replace=False)
    more = min(int(rng.integers(counts[0], counts[1] + 1)) if counts[1] > 2 else 2, count) - 2
    if more:
        chosen = np.append(chosen, rng.choice(np.setdiff1d(range(count), chosen), more, replace=False))
    return replace(scene, recipe=only(recipe, *sorted(chosen.tolist())))


def only(recipe: Recipe, *numbers: int) -> Recipe:
    """A recipe of format 2 with only the frames of these numbers, the first as it is without breathing.

    Planes stay as they are.
    """
    assert recipe.optics is not None
    first, *others = (recipe.optics.frames[number] for number in numbers)
    shots = (without_motion(first), *(relative(shot, first) for shot in others))
    frames = tuple(recipe.frames[number] for number in numbers)
    return replace(recipe, frames=frames, optics=replace(recipe.optics, frames=shots))


def relative(shot: Shot, first: Shot) -> Shot:
    """How a frame is taken against another, which is made frame 0; both are given against the same one.

    A frame shows a place p, counted from the center, at m p + t, where m is its scale and rotation as a
    complex number and t its shift.
    """
    if is_still(first):
        return shot
    motion = _motion(shot) / _motion(first)
    shift = complex(shot.shift_x, shot.shift_y) - motion * complex(first.shift_x, first.shift_y)
    return replace(
        shot,
        scale=abs(motion),
        rotation=phase(motion),
        shift_x=shift.real,
        shift_y=shift.imag,
        exposure=shot.exposure - first.exposure,
    )


def _motion(shot: Shot) -> complex:
    return rect(shot.scale, shot.rotation)


def as_trained(scene: Scene, options: TrainOptions) -> Scene:
    """The scene with the noise and the breathing that a training renders."""
    recipe = scene.recipe
    recipe = without_noise(recipe) if recipe.optics is None else recipe
    recipe = without_breathing(recipe) if options.aligned else recipe
    return replace(scene, recipe=recipe)


def without_noise(recipe: Recipe) -> Recipe:
    """A recipe without the noise of the sensor and the camera's JPEG."""
    frames = tuple(replace(frame, noise_sigma=0.0) for frame in recipe.frames)
    optics = recipe.optics
    if optics is not None:
        shots = tuple(replace(shot, quality=0) for shot in optics.frames)
        optics = replace(optics, shot_noise=0.0, read_noise=0.0, frames=shots)
    return replace(recipe, frames=frames, optics=optics)
