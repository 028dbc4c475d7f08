"""Frames with spread boundaries against renderers and formulas that know nothing of mattes."""

from __future__ import annotations

import numpy as np
import pytest
from optical_scenes import optical_scene, whole

from mfsynth.synthesis.optics.frames import clean_frames
from mfsynth.synthesis.optics.light import picture_of
from mfsynth.sample import Scene

COLORS = np.array([(40, 90, 200), (230, 210, 30), (180, 20, 60)], np.uint8)
"""Of the planes."""


def frames_of(scene: Scene) -> tuple[np.ndarray, ...]:
    assert scene.recipe.optics is not None
    return clean_frames(scene, scene.recipe.optics, whole(scene))


def disk(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - row, columns - column) <= radius


def edge_spread(distance: np.ndarray, radius: float) -> np.ndarray:
    """The part of a disk's area that lies beyond a line at a signed distance from its center."""
    x = (distance / radius).clip(-1, 1)
    return 0.5 + (x * np.sqrt(1 - x**2) + np.arcsin(x)) / np.pi


@pytest.mark.parametrize("radius", [3.0, 5.5, 8.0])
def test_a_near_edge_out_of_focus_falls_off_as_a_disk_does(radius: float) -> None:
    planes = np.zeros((50, 80), np.uint8)
    planes[:, 40:] = 1
    picture = np.repeat(planes[..., None] * np.uint8(255), 3, axis=2)
    far, near = frames_of(optical_scene(picture, planes, size=radius))
    columns = np.arange(80)
    # the outline runs through the middle of the pixels just outside the mask
    expected = edge_spread(columns - 39.0, radius)
    assert np.abs(far[25, :, 0] - expected).max() < 0.02
    assert np.array_equal(near, picture / np.float32(255))  # in focus, it cuts the background off cleanly


def brute_force(centers: list[tuple[float, float, float]], shape: tuple[int, int], size: float, focus: int) -> np.ndarray:
    """A frame of overlapping disks, ray by ray: each pixel sends rays through points of the lens, and each
    ray ends at the first disk that it hits, the nearest first."""
    generator = np.random.default_rng(5)
    angle, distance = 2 * np.pi * generator.random(1500), np.sqrt(generator.random(1500))
    lens = np.stack([distance * np.sin(angle), distance * np.cos(angle)])
    within = generator.random((2, 1500)) - 0.5
    rows, columns = np.indices(shape)
    colors = from_srgb(COLORS)
    frame = np.empty((*shape, 3))
    for row in range(shape[0]):
        hit = np.zeros((shape[1], 1500), np.int64)
        for plane, (y, x, radius) in enumerate(centers, 1):
            spread = size * (plane - focus) / len(centers)
            at_y = rows[row][:, None] + within[0] + spread * lens[0]
            at_x = columns[row][:, None] + within[1] + spread * lens[1]
            hit[np.hypot(at_y - y, at_x - x) <= radius] = plane
        frame[row] = colors[hit].mean(1)
    return frame


def from_srgb(values: np.ndarray) -> np.ndarray:
    encoded = values / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
