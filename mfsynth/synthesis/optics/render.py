"""A recipe of format 2 becomes a sample, stage by stage; each stage widens the window by what it needs.

The lens makes clean frames, from which the targets come. Each frame then passes stages of linear light, is
rounded to a picture once, and passes stages of pictures. A new stage is an entry of `LIGHT` or of `PICTURE`:
a function of recipe, frame number and size that gives a `Stage`, or None if the frame does without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfsynth.sample import Sample
from mfsynth.synthesis.optics.breathing import breathing_stage, inside, is_still
from mfsynth.synthesis.optics.capture import camera_stage
from mfsynth.synthesis.optics.frames import clean_frames
from mfsynth.synthesis.optics.light import linear_values, picture_of
from mfsynth.synthesis.optics.reach import needed, passed
from mfsynth.synthesis.optics.sensor import grain_stage, sensor_stage
from mfsynth.synthesis.optics.targets import REACH, targets
from mfsynth.synthesis.optics.windows import union

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mfsynth.recipe import Light, Optics, Recipe
    from mfsynth.sample import Picture, Scene, Window
    from mfsynth.synthesis.optics.light import Values
    from mfsynth.synthesis.optics.reach import Size, Stage

    MakeStage = Callable[[Recipe, int, Size], Stage | None]

LIGHT: tuple[MakeStage, ...] = (breathing_stage, sensor_stage)
"""The stages of linear light, in order."""
PICTURE: tuple[MakeStage, ...] = (grain_stage, camera_stage)
"""The stages of pictures, in order."""


@dataclass(frozen=True, slots=True)
class _Way:
    """The stages that one frame passes."""

    light: tuple[Stage, ...]
    picture: tuple[Stage, ...]

    @staticmethod
    def of(recipe: Recipe, number: int, size: Size) -> _Way:
        light, picture = (
            tuple(stage for make in makes if (stage := make(recipe, number, size)))
            for makes in (LIGHT, PICTURE)
        )
        return _Way(light, picture)

    def needed(self, window: Window) -> Window:
        return needed((*self.light, *self.picture), window)

    def passed(self, clean: Values, shown: Picture, light: Light, given: Window, window: Window) -> Picture:
        """The frame inside a window, from the clean one, also as a picture, inside the window given."""
        if self.light:
            middle = needed(self.picture, window)
            values = passed(self.light, linear_values(clean, light), given, middle)
            shown, given = picture_of(values, "linear"), middle
        return np.ascontiguousarray(passed(self.picture, shown, given, window))


def render_optics(scene: Scene, optics: Optics, window: Window) -> Sample:
    """Render the part of a scene inside a window."""
    recipe, size = scene.recipe, scene.size
    around = window.grown(REACH, *size)
    ways = [_Way.of(recipe, number, size) for number in range(len(recipe.frames))]
    given = union([around, *(way.needed(window) for way in ways)])
    clean = clean_frames(scene, optics, given)
    shown = [picture_of(values, optics.light) for values in clean]
    target, cut = around.within(given).slices, window.within(around).slices
    nearest, certain = targets(
        [picture[target] for picture in shown],
        scene.picture[around.slices],
        scene.focus(around),
        _valid(optics, size, around),
    )
    frames = tuple(
        way.passed(values, picture, optics.light, given, window)
        for way, values, picture in zip(ways, clean, shown, strict=True)
    )
    return Sample(
        key=recipe.key,
        frames=frames,
        focus=scene.focus(window),
        gt=scene.picture[window.slices],
        nearest=nearest[cut],
        certain=certain[cut],
        segments=scene.segments[window.slices],
        recipe=recipe,
        window=window,
    )


def _valid(optics: Optics, size: Size, window: Window) -> list[NDArray[np.bool_]] | None:
    """For each frame, whether each pixel of the ground truth is inside its picture; None if all are."""
    if all(map(is_still, optics.frames)):
        return None
    return [inside(shot, size, window) for shot in optics.frames]
