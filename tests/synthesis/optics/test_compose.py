"""Frames with spread boundaries against renderers and formulas that know nothing of mattes."""

from __future__ import annotations

import numpy as np
import pytest
from optical_scenes import frames_of, linear, optical_scene, srgb

from mfsynth.sample import Window
from mfsynth.synthesis.optics.compose import Exposure
from mfsynth.synthesis.optics.light import picture_of

COLORS = np.array([(40, 90, 200), (230, 210, 30), (180, 20, 60)], np.uint8)
"""Of three planes."""
DISKS = ((26.3, 28.4, 15.2), (30.1, 44.7, 13.6))
"""Row, column and radius of the disks in planes 1 and 2, which overlap."""
SHAPE = (56, 72)
RAYS = 600


def white_half() -> tuple[np.ndarray, np.ndarray]:
    """A picture, black on the left and white from column 40 on, and its planes: the white half is near."""
    planes = np.zeros((50, 80), np.uint8)
    planes[:, 40:] = 1
    return np.repeat(planes[..., None] * np.uint8(255), 3, axis=2), planes


def edge_spread(distance: np.ndarray, radius: float) -> np.ndarray:
    """The part of a disk's area beyond a line, at a signed distance from the disk's center."""
    x = (distance / radius).clip(-1, 1)
    return 0.5 + (x * np.sqrt(1 - x**2) + np.arcsin(x)) / np.pi


@pytest.mark.parametrize("radius", [3.0, 5.5, 8.0])
def test_a_near_edge_out_of_focus_falls_off_as_a_disk_s_edge_does(radius: float) -> None:
    picture, planes = white_half()
    far, near = frames_of(optical_scene(picture, planes, size=radius))
    assert np.abs(far[..., 0] - edge_spread(np.arange(80) - 39.5, radius)).max() < 0.01
    assert np.array_equal(picture_of(near, "linear"), picture)


@pytest.mark.parametrize("radius", [5.5, 8.0])
def test_the_background_shows_through_a_defocused_rim_and_stays_sharp(radius: float) -> None:
    """In front of noise, the contrast that is left at each column is what the matte lets through."""
    picture, planes = white_half()
    noise = np.random.default_rng(1).integers(0, 256, (400, 36, 3), np.uint8)
    picture, planes = np.zeros((400, 80, 3), np.uint8), np.repeat(planes[:1], 400, axis=0)
    picture[:, :36] = noise
    far, _ = frames_of(optical_scene(picture, planes, size=radius, light="srgb"))
    for column in range(36):
        contrast = (
            far[:, column, 0] @ (picture[:, column, 0] / 255) / np.sum((picture[:, column, 0] / 255) ** 2)
        )
        # a matte is a half in the first pixel outside, so the edge is there
        assert contrast == pytest.approx(1 - edge_spread(np.array(column - 39.0), radius), abs=0.01)


@pytest.mark.parametrize("light", ["srgb", "linear"])
def test_a_near_edge_in_focus_cuts_off_the_background_s_blur(light: str) -> None:
    picture, planes = white_half()
    picture[:, :40] = np.random.default_rng(1).integers(0, 80, (50, 40, 3), np.uint8)
    _, near = frames_of(optical_scene(picture, planes, light=light))
    made = picture_of(near, light)
    assert (made[:, 40:] == 255).all()
    assert made[:, :39].max() < 80  # nothing of the foreground leaks


def test_half_black_over_white_is_188_in_linear_light() -> None:
    window = Window(0, 0, 2, 3)
    frame = Exposure(window)
    frame.add(np.zeros((2, 3, 3), np.float32), np.full((2, 3), 0.5, np.float32), window)
    frame.add(np.ones((2, 3, 3), np.float32), None, window)
    assert (picture_of(frame.values, "linear") == 188).all()


@pytest.mark.parametrize("kernel", ["disk", "gaussian", "polygon"])
def test_a_defocused_disk_keeps_its_energy(kernel: str) -> None:
    rows, columns = np.indices((120, 120))
    planes = (np.hypot(rows - 60, columns - 58) <= 20).astype(np.uint8)
    picture = np.repeat(planes[..., None] * np.uint8(255), 3, axis=2)
    far, near = frames_of(optical_scene(picture, planes, kernel=kernel, size=6.0))
    assert near.sum() == pytest.approx(3 * planes.sum(), rel=1e-3)
    assert far.sum() == pytest.approx(3 * planes.sum(), rel=1e-3)


@pytest.mark.parametrize("fill", ["nearest", "inpaint"])
def test_layers_weigh_one_everywhere(fill: str) -> None:
    planes = np.random.default_rng(2).integers(0, 5, (9, 12)).astype(np.uint8).repeat(7, 0).repeat(7, 1)
    picture = np.full((*planes.shape, 3), (255, 128, 3), np.uint8)
    for frame in frames_of(optical_scene(picture, planes, size=6.0, fill=fill)):
        assert np.abs(frame - linear(picture)).max() < 1e-6


def rays(focus: int, size: float) -> np.ndarray:
    """A frame of `DISKS`, in linear light: a pixel's rays go through points of the lens, and each has the
    color of the nearest disk that it meets."""
    generator = np.random.default_rng(5)
    angle, distance = 2 * np.pi * generator.random(RAYS), np.sqrt(generator.random(RAYS))
    lens_y, lens_x = distance * np.sin(angle), distance * np.cos(angle)
    within_y, within_x = generator.random((2, RAYS)) - 0.5
    met = np.zeros((*SHAPE, RAYS), np.int8)
    rows, columns = (each[..., None].astype(np.float32) for each in np.indices(SHAPE))
    for plane, (y, x, radius) in enumerate(DISKS, 1):
        blur = size * (plane - focus) / len(DISKS)
        dy = rows + (within_y + blur * lens_y - y).astype(np.float32)
        dx = columns + (within_x + blur * lens_x - x).astype(np.float32)
        met[dy**2 + dx**2 <= radius**2] = plane
    seen = np.stack([(met == plane).mean(-1) for plane in range(3)], axis=-1)
    return seen @ linear(COLORS)


@pytest.mark.parametrize("focus", [0, 1, 2])
def test_overlapping_disks_in_three_planes_look_as_rays_through_a_lens_make_them(focus: int) -> None:
    picture = srgb(rays(focus, 0.0))
    rows, columns = np.indices(SHAPE)
    planes = np.zeros(SHAPE, np.uint8)
    for plane, (y, x, radius) in enumerate(DISKS, 1):
        planes[np.hypot(rows - y, columns - x) <= radius] = plane
    expected = rays(focus, 8.0)
    spread, hard = (
        np.abs(frames_of(optical_scene(picture, planes, size=8.0, boundary=boundary))[focus] - expected).max(
            -1
        )
        for boundary in ("spread", "hard")
    )
    # What is left: pixels that an edge in focus divides, and rims above rims, which rays meet together.
    assert spread.mean() < 0.005
    assert np.percentile(spread, 99) < 0.07
    assert hard.mean() > 4 * spread.mean()
