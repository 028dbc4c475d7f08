from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d

from mfsynth import Window, render
from mfsynth.errors import OptionsError, ShardError
from mfsynth.sample import Blur, FrameRecipe, ImageInfo, Recipe, Scene, Segment
from mfsynth.synthesis.render import gaussian_blur, gaussian_reach

KEYS = ("00" * 16, "ff" * 16)


def make_scene(height: int, width: int, sigma: float = 2.0, noise: float = 0.0, seed: int = 1) -> Scene:
    """A scene of random pixels with four segments in blocks, two in each plane."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = np.indices((height, width))
    segments = (2 * (rows >= height // 2) + (columns >= width // 2)).astype(np.uint8)
    listed = tuple(
        Segment(k, 100 * k, 1, 0, int((segments == k).sum()), plane) for k, plane in enumerate((0, 1, 1, 0))
    )
    recipe = Recipe(
        1,
        "000000000001-000",
        0,
        0,
        ImageInfo(1, "a.jpg", width, height, 4, "", ""),
        listed,
        tuple(FrameRecipe(plane, noise, KEYS[plane]) for plane in (0, 1)),
        Blur("gaussian", sigma),
        1,
    )
    return Scene(picture, segments, recipe)


def reference_blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian in float64, cut at 6 sigma, SciPy's mirror border."""
    reach = int(np.ceil(6 * sigma))
    taps = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    rows = correlate1d(picture.astype(np.float64), taps, axis=0, mode="mirror")
    return correlate1d(rows, taps, axis=1, mode="mirror")


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3, 3.0, 5.0, 9.7])
def test_each_frame_is_the_picture_where_it_is_sharp_and_blurred_elsewhere(sigma: float) -> None:
    scene = make_scene(97, 130, sigma)
    sample = render(scene)
    blurred = reference_blur(scene.picture, sigma)
    for index, frame in enumerate(sample.frames):
        sharp = sample.focus == index
        assert np.array_equal(frame[sharp], scene.picture[sharp])
        assert np.abs(frame[~sharp] - blurred[~sharp]).max() <= 0.53
    assert np.array_equal(sample.focus, scene.focus())
    assert set(np.unique(sample.focus)) == {0, 1}


def test_frames_in_another_order_are_sharp_where_the_focus_map_names_them() -> None:
    scene = make_scene(40, 50)
    turned = replace(scene.recipe, frames=scene.recipe.frames[::-1])
    sample = render(replace(scene, recipe=turned))
    assert np.array_equal(sample.frames, render(scene).frames[::-1])
    for number, frame in enumerate(sample.frames):
        sharp = sample.focus == number
        assert np.array_equal(frame[sharp], scene.picture[sharp])


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (3, 5), (2, 2), (7, 300)])
def test_pictures_smaller_than_the_kernel_have_a_mirror_border_too(shape: tuple[int, int]) -> None:
    picture = np.random.Generator(np.random.Philox(key=3)).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert np.abs(gaussian_blur(picture, 4.0) - reference_blur(picture, 4.0)).max() <= 0.53


def test_a_constant_picture_does_not_change() -> None:
    flat = np.full((60, 80, 3), 201, np.uint8)
    assert np.array_equal(gaussian_blur(flat, 4.2), flat)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_window_equals_the_same_part_of_the_whole(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(2, 90)), data.draw(st.integers(2, 90))
    scene = make_scene(height, width, data.draw(st.floats(0.5, 6)), data.draw(st.sampled_from([0.0, 0.05])))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    whole, part = render(scene), render(scene, window)
    assert part.window == window
    assert np.array_equal(part.focus, whole.focus[window.slices])
    assert np.array_equal(part.gt, whole.gt[window.slices])
    assert np.array_equal(part.segments, whole.segments[window.slices])
    for cut, frame in zip(part.frames, whole.frames, strict=True):
        difference = np.abs(cut.astype(int) - frame[window.slices])
        assert difference.max() <= 1  # DESIGN: rounding at halves, one value in 100,000
        assert (difference > 0).sum() <= 1


def test_rendering_leaves_its_input_alone_and_is_repeatable() -> None:
    scene = make_scene(50, 60, noise=0.1)
    picture, segments = scene.picture.copy(), scene.segments.copy()
    first, second = render(scene), render(scene)
    assert np.array_equal(scene.picture, picture)
    assert np.array_equal(scene.segments, segments)
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, second.frames, strict=True))
    window = render(scene, Window(10, 0, 20, 60))
    for one, other in (first.frames, window.frames):
        assert not np.shares_memory(one, other)
        assert not any(np.shares_memory(frame, scene.picture) for frame in (one, other))


def test_noise_is_added_to_sharp_and_blurred_alike_and_differs_between_frames() -> None:
    clean, noisy = render(make_scene(200, 200)), render(make_scene(200, 200, noise=0.02))
    residues = [
        noisy_frame.astype(int) - clean_frame
        for noisy_frame, clean_frame in zip(noisy.frames, clean.frames, strict=True)
    ]
    for residue, frame in zip(residues, clean.frames, strict=True):
        inside = ((frame > 30) & (frame < 225)).all(axis=2)
        for region in (clean.focus == 0, clean.focus == 1):
            assert residue[region & inside].std() == pytest.approx(0.02 * 255, rel=0.05)
    assert abs(np.corrcoef(residues[0].ravel(), residues[1].ravel())[0, 1]) < 0.02
    assert np.array_equal(noisy.gt, clean.gt)


@pytest.mark.parametrize(
    "window", [Window(0, 0, 0, 5), Window(-1, 0, 5, 5), Window(0, 40, 10, 21), Window(45, 0, 6, 6)]
)
def test_a_window_outside_the_picture_is_refused(window: Window) -> None:
    with pytest.raises(OptionsError, match="height 50 and width 60"):
        render(make_scene(50, 60), window)


def test_an_unknown_kernel_is_refused() -> None:
    scene = make_scene(20, 20)
    recipe = Recipe(**{**{f: getattr(scene.recipe, f) for f in Recipe.__slots__}, "blur": Blur("disc", 2.0)})
    with pytest.raises(ShardError, match="unknown blur kernel 'disc'; known: gaussian"):
        render(Scene(scene.picture, scene.segments, recipe))


def test_the_blur_reaches_no_further_than_it_says() -> None:
    """One pixel must not change anything beyond the reach."""
    picture = np.zeros((101, 101, 3), np.uint8)
    picture[50, 50] = 255
    for sigma in (1.0, 3.3, 5.0):
        touched = np.argwhere(gaussian_blur(picture, sigma)[..., 0])
        assert np.abs(touched - 50).max() <= gaussian_reach(sigma)
