"""Rendering in torch gives what the CPU renders, within a gray level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import Window
from mfsynth.errors import OptionsError
from mfsynth.sample import Sample, Scene
from tests.synthesis.optics.test_every_option import CONTENTS, ONE, sensible
from tests.zoo.training.rendering.devices import DEVICES
from zoo.training.rendering.render import Rendered, render_scenes

MOVED = 1e-3
"""Most of the values that a gray level may separate, and of the pixels whose target may be another."""
CODED = 0.02
"""Most of the values that a JPEG may drive further apart: a gray level before it can move a coefficient."""
STACK = {"preset": "realistic", "frames": 5, "planes": 7, "breathing": 2.0, "min_sharpness": 0.0}
ALL: dict[str, dict[str, Any]] = ONE | {
    "paper": {"noise": (0.0, 0.05)},
    "stacks that breathe": STACK | {"noise": (0.01, 0.1)},
    "stacks in sRGB": STACK | {"light": "srgb", "kernel": "polygon", "noise_model": "gaussian"},
    "large blurs": {"preset": "realistic", "radius": (14.0, 20.0), "min_sharpness": 0.0},
    "breathing and grain": {"breathing": 3.0, "noise": (0.0, 0.1), "kernel": "gaussian", "frames": 3},
}


def coded(scene: Scene) -> bool:
    optics = scene.recipe.optics
    return optics is not None and any(shot.quality for shot in optics.frames)


def uncoded(scene: Scene) -> Scene:
    """Without the camera's JPEG."""
    optics = scene.recipe.optics
    if optics is None:
        return scene
    shots = tuple(replace(shot, quality=0, grid_x=0, grid_y=0) for shot in optics.frames)
    return replace(scene, recipe=replace(scene.recipe, optics=replace(optics, frames=shots)))


def difference(sample: Sample, rendered: Rendered) -> np.ndarray:
    frames = rendered.frames.permute(0, 2, 3, 1).cpu().numpy()
    return np.abs(frames.astype(int) - np.stack(sample.frames))


def assert_alike(sample: Sample, rendered: Rendered) -> None:
    """All that is not a frame: the same, or nearly everywhere."""
    np.testing.assert_array_equal(rendered.gt.permute(1, 2, 0).cpu(), sample.gt)
    np.testing.assert_array_equal(rendered.focus.cpu(), sample.focus)
    pixels = sample.focus.size
    assert (rendered.nearest.cpu().numpy() != sample.nearest).sum() <= max(1, MOVED * pixels)
    certain = np.abs(rendered.certain.cpu().numpy().astype(int) - sample.certain)
    assert certain.max() <= 8  # nine errors of three by three pixels, each by a gray level
    assert (certain > 0).sum() <= max(3, 9 * MOVED * pixels)


def windows(scene: Scene) -> list[Window]:
    height, width = scene.size
    return [
        Window(0, 0, height, width),
        Window(height // 4, width // 4, height // 2, width // 2),
        Window(height - 9, 0, 9, width - 3),
    ]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ALL)
def test_frames_differ_by_a_gray_level_at_most_in_few_values(
    name: str, device: str, small_coco: Path
) -> None:
    scenes = [*mfsynth.synthesize(small_coco, "small", seed=3, render=False, limit=4, **ALL[name])]
    moved = values = apart = all_coded = 0
    for scene in scenes:
        places = windows(scene)
        for window, rendered in zip(places, render_scenes([uncoded(scene)] * 3, device, places), strict=True):
            sample = mfsynth.render(uncoded(scene), window)
            away = difference(sample, rendered)
            assert away.max() <= 1
            moved, values = moved + (away > 0).sum(), values + away.size
            assert_alike(sample, rendered)
        if coded(scene):
            away = difference(mfsynth.render(scene), render_scenes([scene], device)[0])
            apart, all_coded = apart + (away > 1).sum(), all_coded + away.size
    assert moved <= MOVED * values
    assert apart <= CODED * all_coded


@settings(max_examples=40, deadline=None)
@given(content=CONTENTS.filter(sensible), data=st.data())
def test_any_options_give_the_same_within_a_gray_level(
    content: dict[str, Any], data: st.DataObject, small_coco: Path
) -> None:
    plain = {"images": [13, 53], "render": False} | content
    for scene in map(uncoded, mfsynth.synthesize(small_coco, "small", **plain)):
        height, width = scene.size
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        size = data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
        window = Window(top, left, *size)
        (rendered,) = render_scenes([scene], "cpu", [window])
        sample = mfsynth.render(scene, window)
        assert difference(sample, rendered).max() <= 1
        assert_alike(sample, rendered)


def test_scenes_of_a_torch_reader_are_rendered_as_they_come(small_recipes: Path) -> None:
    """Of a reader without rendering, a dictionary has all that a scene needs."""
    reader = mfsynth.open(small_recipes, render=False).torch()
    scenes = [
        Scene(each["gt"].permute(1, 2, 0).numpy(), each["segments"].numpy().astype(np.uint8), each["recipe"])
        for each in reader
    ]
    for scene, rendered in zip(scenes, render_scenes(scenes, "cpu"), strict=True):
        assert difference(mfsynth.render(scene), rendered).max() <= 1


def test_a_window_outside_the_picture_is_refused(small_coco: Path) -> None:
    scene = next(iter(mfsynth.synthesize(small_coco, "small", render=False)))
    with pytest.raises(OptionsError, match="does not lie inside"):
        render_scenes([scene], "cpu", [Window(0, 0, 10_000, 5)])
