from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optical_scenes import frames_of, linear, optical_scene
from scipy.ndimage import correlate

from mfsynth.sample import Scene, Window
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.light import picture_of


def blocks(height: int, width: int, planes: int, seed: int, side: int = 9) -> np.ndarray:
    """Blocks in random planes."""
    drawn = np.random.default_rng(seed).integers(0, planes, (-(-height // side), -(-width // side)))
    return drawn.astype(np.uint8).repeat(side, 0).repeat(side, 1)[:height, :width]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


EVERY_WAY = [("hard", "nearest"), ("spread", "nearest"), ("spread", "inpaint")]


@pytest.mark.parametrize(("boundary", "fill"), EVERY_WAY)
@pytest.mark.parametrize("light", ["srgb", "linear"])
def test_without_blur_every_frame_is_the_picture(boundary: str, fill: str, light: str) -> None:
    picture = noise(60, 70)
    planes = blocks(60, 70, 5, 1, 6)
    for frame in frames_of(
        optical_scene(picture, planes, size=0.0, boundary=boundary, fill=fill, light=light)
    ):
        assert np.array_equal(picture_of(frame, light), picture)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_window_equals_the_same_part_of_the_whole(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    planes = data.draw(st.integers(1, 5))
    boundary, fill = data.draw(st.sampled_from(EVERY_WAY))
    scene = optical_scene(
        noise(height, width),
        blocks(height, width, planes, data.draw(st.integers(0, 99)), data.draw(st.integers(1, 20))),
        count=max(2, planes),
        kernel=data.draw(st.sampled_from(["gaussian", "disk", "polygon"])),
        size=data.draw(st.floats(0, 6)),
        boundary=boundary,
        fill=fill,
        light=data.draw(st.sampled_from(["linear", "srgb"])),
    )
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    )
    for part, frame in zip(frames_of(scene, window), frames_of(scene), strict=True):
        assert np.array_equal(part, frame[window.slices])


@pytest.mark.parametrize("side", [3, 8, 20])
@pytest.mark.parametrize(("boundary", "fill"), EVERY_WAY)
def test_small_windows_of_a_large_picture_see_all_that_counts(boundary: str, fill: str, side: int) -> None:
    """Also where near layers are all far out of focus, and light comes from twice the reach behind them."""
    planes = 9 + blocks(90, 150, 3, 8, side)
    scene = optical_scene(noise(90, 150), planes, frames=(0, 11), size=3.0, boundary=boundary, fill=fill)
    frames = frames_of(scene)
    for top, left in np.random.default_rng(4).integers(0, (88, 148), (40, 2)).tolist():
        window = Window(top, left, 2, 2)
        for part, frame in zip(frames_of(scene, window), frames, strict=True):
            assert np.array_equal(part, frame[window.slices])


@pytest.mark.parametrize(("boundary", "fill"), EVERY_WAY)
def test_frames_come_in_the_order_of_their_planes(boundary: str, fill: str) -> None:
    scene = optical_scene(noise(50, 60), blocks(50, 60, 4, 3), boundary=boundary, fill=fill)
    shuffled = replace(scene.recipe, frames=tuple(scene.recipe.frames[k] for k in (2, 0, 3, 1)))
    frames = frames_of(scene)
    for index, frame in zip(
        (2, 0, 3, 1), frames_of(Scene(scene.picture, scene.segments, shuffled)), strict=True
    ):
        assert np.array_equal(frame, frames[index])


def test_with_hard_edges_near_and_far_can_change_places() -> None:
    picture, planes = noise(50, 60), blocks(50, 60, 4, 3)
    frames = frames_of(optical_scene(picture, planes, boundary="hard"))
    turned = frames_of(optical_scene(picture, 3 - planes, boundary="hard"))
    for one, other in zip(frames, reversed(turned), strict=True):
        assert np.array_equal(one, other)


def test_with_spread_edges_near_and_far_differ_only_around_edges() -> None:
    picture, planes = noise(60, 120), np.zeros((60, 120), np.uint8)
    planes[:, 60:] = 1
    frames = frames_of(optical_scene(picture, planes, size=5.0))
    turned = frames_of(optical_scene(picture, 1 - planes, size=5.0))
    for one, other in zip(frames, reversed(turned), strict=True):
        differ = np.abs(one - other).max(axis=(0, 2)) > 1e-5
        assert not differ[:50].any()
        assert not differ[70:].any()
        assert differ[55:65].any()


def test_hard_frames_are_the_picture_s_blur_for_each_plane() -> None:
    """Against SciPy, in float64."""
    picture, planes = noise(40, 50), blocks(40, 50, 4, 5)
    scene = optical_scene(picture, planes, size=6.0, boundary="hard")
    light = linear(picture)
    for k, frame in enumerate(frames_of(scene)):
        for plane in range(4):
            taps = Aperture("disk").taps(2.0 * abs(plane - k))
            expected = np.stack([correlate(light[..., c], taps, mode="mirror") for c in range(3)], axis=-1)
            assert np.abs(frame - expected)[planes == plane].max() < 5e-6


@pytest.mark.parametrize("boundary", ["hard", "spread"])
def test_layers_that_do_not_touch_do_not_touch_each_other(boundary: str) -> None:
    """Far from any edge, a frame is the picture's blur at the plane's distance; in focus, the picture."""
    planes = np.zeros((40, 200), np.uint8)
    planes[:, 70:], planes[:, 130:] = 4, 9
    picture = noise(40, 200)
    scene = optical_scene(picture, planes, size=9.0, count=10, frames=(0, 4, 9), boundary=boundary)
    light = linear(picture)
    for focus, frame in zip((0, 4, 9), frames_of(scene), strict=True):
        for plane, columns in ((0, slice(0, 50)), (4, slice(95, 105)), (9, slice(155, 200))):
            taps = Aperture("disk").taps(1.0 * abs(plane - focus))
            expected = np.stack([correlate(light[..., c], taps, mode="mirror") for c in range(3)], axis=-1)
            assert np.abs(frame - expected)[:, columns].max() < 5e-6


_MEMORY = """
import sys
sys.path[:0] = ["tests"]
import numpy as np
from optical_scenes import frames_of, optical_scene
planes = (np.arange(480)[:, None] // 30 + np.zeros((1, 640), int)).astype(np.uint8)
picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
for seed in range(2):
    frames_of(optical_scene(picture, planes, size=8.0, frames=[k // 2 for k in range(32)]))
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""


@pytest.mark.slow
def test_32_frames_of_16_planes_take_less_than_400_mb() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert int(done.stdout) * 1024 < 400e6
