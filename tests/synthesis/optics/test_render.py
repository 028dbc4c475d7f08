"""How frames pass from the lens to the file: which values are noisy, rounded, compressed, moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfsynth import Window, render
from mfsynth.recipe import Blur, FrameRecipe, ImageInfo, Light, Optics, Recipe, Segment, Shot, Traits
from mfsynth.sample import Sample, Scene
from mfsynth.synthesis.optics import reach
from mfsynth.synthesis.optics.breathing import aligned, inside, without_breathing
from mfsynth.synthesis.optics.capture import compress
from mfsynth.synthesis.optics.light import values_of

KEYS = ("00" * 16, "ff" * 16)
STILL = Shot(1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)
MOVED = Shot(1.04, 2.3, -1.7, 0.02, 0.0, 0, 0, 0)


def picture_of(height: int, width: int) -> np.ndarray:
    """Soft colors with some texture, gray levels 60 to 195."""
    rows, columns = np.indices((height, width))
    waves = np.stack([np.sin(rows / 7 + k) + np.cos(columns / (5 + k)) for k in range(3)], axis=-1)
    grain = np.random.Generator(np.random.Philox(key=1)).uniform(-7, 7, (height, width, 3))
    return np.rint(128 + 30 * waves + grain).astype(np.uint8)


def scene_of(
    height: int = 60,
    width: int = 80,
    shots: tuple[Shot, Shot] = (STILL, STILL),
    sigma: float = 0.0,
    **optics: Any,
) -> Scene:
    """A scene with a blurred and a sharp half in each frame."""
    segments = np.zeros((height, width), np.uint8)
    segments[:, width // 2 :] = 1
    said = Optics(
        planes=2, radius=1.5, blades=0, rotation=0.0, boundary="hard", fill="nearest", light="linear",
        noise_model="gaussian", shot_noise=0.0, read_noise=0.0,
        segments=(Traits(height - 1, 0, 9.0, 0), Traits(height - 1, 0, 9.0, 1)), frames=shots,
    )  # fmt: skip
    recipe = Recipe(
        2,
        "000000000001-000",
        0,
        0,
        ImageInfo(1, "a.jpg", width, height, 4, "", ""),
        tuple(Segment(k, k + 1, 1, 0, max(1, int((segments == k).sum())), k) for k in range(2)),
        tuple(FrameRecipe(k, sigma, KEYS[k]) for k in range(2)),
        Blur("disk", 0.75),
        1,
        replace(said, **optics),
    )
    return Scene(picture_of(height, width), segments, recipe)


def levels(sample: Sample) -> np.ndarray:
    return np.stack(sample.frames).astype(np.int64)


def test_poisson_gaussian_noise_is_of_linear_light_whatever_the_blur_is_of() -> None:
    """Shot noise is stronger where there is more light; in gray levels, the sRGB curve weakens it there."""
    for light in ("linear", "srgb"):
        options: dict[str, Any] = {"light": light, "noise_model": "poisson-gaussian"}
        clean = render(scene_of(200, 240, **options))
        noisy = render(scene_of(200, 240, **options, shot_noise=4e-4, read_noise=0.01))
        before = np.stack([values_of(frame, "linear") for frame in clean.frames]).astype(np.float64)
        after = np.stack([values_of(frame, "linear") for frame in noisy.frames])
        noise, variance = after - before, 4e-4 * before + 0.01**2
        for low, high in ((0.05, 0.15), (0.15, 0.3), (0.3, 0.5)):
            here = (before > low) & (before <= high)
            assert noise[here].var() == pytest.approx(variance[here].mean(), rel=0.06)
        correlation = np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]
        assert abs(correlation) < 0.02
        assert np.array_equal(noisy.nearest, clean.nearest)
        assert np.array_equal(noisy.certain, clean.certain)


@pytest.mark.parametrize("light", ["linear", "srgb"])
def test_gaussian_noise_is_of_gray_levels(light: Light) -> None:
    clean, noisy = (render(scene_of(200, 240, sigma=sigma, light=light)) for sigma in (0.0, 0.02))
    noise = (levels(noisy) - levels(clean)).astype(np.float64)
    for part in (levels(clean) < 110, levels(clean) > 150):
        assert noise[part].std() == pytest.approx(np.hypot(0.02 * 255, 12**-0.5), rel=0.02)


def test_the_noise_model_decides_which_strengths_count() -> None:
    clean = levels(render(scene_of()))
    for scene in (
        scene_of(shot_noise=0.01, read_noise=0.1),
        scene_of(sigma=0.1, noise_model="poisson-gaussian"),
    ):
        assert np.array_equal(levels(render(scene)), clean)


def test_the_camera_compresses_noisy_frames_of_the_whole_picture() -> None:
    shots = (replace(STILL, quality=75, grid_x=3, grid_y=12), replace(STILL, quality=90, grid_x=9))
    noisy, compressed = render(scene_of(sigma=0.02)), render(scene_of(sigma=0.02, shots=shots))
    for shot, frame, seen in zip(shots, noisy.frames, compressed.frames, strict=True):
        assert np.array_equal(seen, compress(frame, shot.quality, shot.grid_x, shot.grid_y))
        assert not np.array_equal(seen, frame)


def test_exposure_multiplies_linear_light_and_saturates() -> None:
    shots = (STILL, replace(STILL, exposure=1.0))
    before, after = (render(scene_of(shots=each)).frames for each in ((STILL, STILL), shots))
    assert np.array_equal(after[0], before[0])
    doubled = 2 * values_of(before[1], "linear").astype(np.float64)
    encoded = 1.055 * np.minimum(doubled, 1) ** (1 / 2.4) - 0.055
    assert np.abs(after[1] - 255 * encoded).max() <= 1.5  # the frame before was rounded, too
    assert (after[1][doubled > 1.01] == 255).all()


def test_the_sensor_comes_after_the_lens() -> None:
    """Noise is neither moved nor exposed: that of a pixel is the same whatever the frame shows there."""
    options: dict[str, Any] = {"noise_model": "poisson-gaussian", "read_noise": 0.02}
    noises = []
    for shot in (STILL, replace(MOVED, exposure=-1.0)):
        noisy, clean = (render(scene_of(200, 240, (STILL, shot), **each)).frames[1] for each in (options, {}))
        noises.append(values_of(noisy, "linear") - values_of(clean, "linear").astype(np.float64))
    assert np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1] > 0.98
    assert noises[1].std() == pytest.approx(noises[0].std(), rel=0.03)


def test_breathing_moves_frames_but_neither_truth_nor_targets() -> None:
    still, moved = render(scene_of()), render(scene_of(shots=(STILL, MOVED)))
    assert np.array_equal(moved.frames[0], still.frames[0])
    assert np.abs(levels(moved)[1] - levels(still)[1]).mean() > 5
    assert np.array_equal(moved.gt, still.gt)
    assert np.array_equal(moved.focus, still.focus)
    held = inside(MOVED, (60, 80), Window(0, 0, 60, 80))
    assert 0.8 < held.mean() < 1
    assert np.array_equal(moved.nearest[held], still.nearest[held])
    back = aligned(moved.frames[1], MOVED)
    middle = (slice(10, -10), slice(10, -10))
    assert np.abs(back.astype(int) - still.frames[1])[middle].mean() < 2


def test_pixels_that_leave_a_frame_are_never_its_own() -> None:
    shots = (STILL, replace(STILL, shift_x=20.0))
    sample = render(scene_of(shots=shots))
    assert (sample.focus[:, 60:] == 1).all()
    assert (sample.nearest[:, 60:] == 0).all()
    assert (sample.certain[:, 62:] < 255).any()


def test_without_breathing_frames_are_aligned_and_otherwise_as_they_were() -> None:
    camera = replace(STILL, quality=80, grid_x=5)
    scene = scene_of(sigma=0.01, shots=(camera, replace(MOVED, exposure=0.5, quality=80, grid_x=5)))
    back = replace(scene, recipe=without_breathing(scene.recipe))
    expected = render(scene_of(sigma=0.01, shots=(camera, camera)))
    assert np.array_equal(levels(render(back)), levels(expected))


shots = st.builds(
    Shot,
    st.floats(0.9, 1.1), st.floats(-9, 9), st.floats(-9, 9), st.floats(-0.1, 0.1), st.floats(-1, 1),
    st.sampled_from([0, 5, 70, 99]), st.integers(0, 15), st.integers(0, 15),
)  # fmt: skip


def some_still(shot: Shot) -> Shot:
    return replace(STILL, quality=shot.quality, grid_x=shot.grid_x, grid_y=shot.grid_y)


scenes = st.builds(
    scene_of,
    st.integers(1, 70),
    st.integers(2, 70),
    st.tuples(shots.map(some_still), st.one_of(shots, shots.map(some_still))),
    st.sampled_from([0.0, 0.03]),
    light=st.sampled_from(["srgb", "linear"]),
    noise_model=st.sampled_from(["gaussian", "poisson-gaussian"]),
    shot_noise=st.sampled_from([0.0, 0.001]),
    read_noise=st.sampled_from([0.0, 0.02]),
)


@settings(max_examples=120, deadline=None)
@given(scenes, st.data())
def test_a_window_equals_the_cut(scene: Scene, data: st.DataObject) -> None:
    height, width = scene.size
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    part, whole = render(scene, window), render(scene)
    for name in ("frames", "gt", "focus", "nearest", "certain", "segments"):
        cut = getattr(whole, name)
        cut = [frame[window.slices] for frame in cut] if name == "frames" else cut[window.slices]
        assert np.array_equal(getattr(part, name), cut), name


@settings(max_examples=30, deadline=None)
@given(scenes)
def test_large_pictures_are_made_in_tiles_that_do_not_show(scene: Scene) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = levels(render(scene))
        patch.setattr(reach, "SIDE", 23)
        assert np.array_equal(levels(render(scene)), whole)


@pytest.mark.parametrize("shape", [(3, 70_000), (70_000, 3)])
def test_longer_pictures_than_a_jpeg_or_a_resampling_can_have_are_made(shape: tuple[int, int]) -> None:
    camera = replace(STILL, quality=80, grid_x=3)
    sample = render(scene_of(*shape, shots=(camera, replace(camera, shift_x=1.0))))
    assert levels(sample).shape == (2, *shape, 3)
    assert np.abs(levels(sample)[0] - sample.gt).mean() < 20


def test_rendering_leaves_its_input_alone_and_shares_no_memory_with_it() -> None:
    scene = scene_of(sigma=0.01, shots=(STILL, MOVED))
    picture, segments = scene.picture.copy(), scene.segments.copy()
    sample = render(scene)
    assert np.array_equal(scene.picture, picture)
    assert np.array_equal(scene.segments, segments)
    assert not any(np.shares_memory(frame, scene.picture) for frame in sample.frames)
