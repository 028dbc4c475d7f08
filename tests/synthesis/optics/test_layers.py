from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from optical_scenes import linear, optical_scene, whole

from mfsynth.sample import Scene
from mfsynth.synthesis.optics.hidden import EDGE, hidden_pixels, inpainted, rim
from mfsynth.synthesis.optics.layers import Layer, peel, soft_matte

RED, GREEN, BLUE = (200, 20, 30), (20, 180, 40), (10, 60, 220)


def layers_of(scene: Scene, reach: int) -> list[Layer]:
    assert scene.recipe.optics is not None
    return list(peel(scene, scene.recipe.optics, whole(scene), reach))


def placed(layer: Layer, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A layer's matte and light in the whole picture."""
    matte, light = np.zeros(shape), np.zeros((*shape, 3))
    matte[layer.part.slices] = 1 if layer.matte is None else layer.matte
    light[layer.part.slices] = layer.light
    return matte, light


def square() -> np.ndarray:
    planes = np.zeros((60, 60), np.uint8)
    planes[20:40, 20:40] = 1
    return planes


def test_a_matte_is_whole_inside_and_half_in_the_next_pixel() -> None:
    matte = soft_matte(square() > 0)
    assert matte[30, 17:23].tolist() == [0, 0, 0.5, 1, 1, 1]
    assert matte[30, 38:43].tolist() == [1, 1, 0.5, 0, 0]


def test_a_matte_is_whole_on_thin_things_too() -> None:
    mask = np.random.default_rng(1).random((40, 40)) < 0.2
    assert (soft_matte(mask)[mask] == 1).all()


def test_a_slanted_matte_has_no_stair_steps() -> None:
    """Along a slanted line, the matte falls off by distance: its level lines keep close to the line."""
    rows, columns = np.indices((80, 80))
    distance = (columns - 40 + 0.3 * (rows - 40)) / np.hypot(1, 0.3)
    matte = soft_matte(distance >= 0)
    edge = (matte > 0) & (matte < 1)
    assert len(np.unique(matte[edge])) > 3
    assert np.abs(distance[edge]).max() < 2
    assert np.corrcoef(matte[edge], distance[edge])[0, 1] > 0.8


def test_layers_come_from_the_nearest_on_and_only_those_that_exist() -> None:
    planes = square() * np.uint8(7)
    planes[50:, :5] = 3
    scene = optical_scene(np.zeros((60, 60, 3), np.uint8), planes, count=16)
    assert [layer.plane for layer in layers_of(scene, 2)] == [7, 3, 0]


@pytest.mark.parametrize("fill", ["nearest", "inpaint"])
@pytest.mark.parametrize("size", [1.0, 3.0, 8.0])
def test_what_a_near_layer_hides_has_the_colors_around_it(size: float, fill: str) -> None:
    """The object is two pixels larger than its mask, as in COCO, and none of its color is left behind it."""
    picture = np.full((60, 60, 3), GREEN, np.uint8)
    picture[18:42, 18:42] = RED
    near, far = layers_of(optical_scene(picture, square(), size=size, fill=fill), 8)
    assert far.matte is None
    behind = placed(far, (60, 60))[1]
    assert np.abs(behind[20:40, 20:40] - linear(np.array(GREEN))).max() < 0.01
    rim_is_clean = np.abs(behind - linear(np.array(GREEN))).max() < 0.01
    assert rim_is_clean == (size == 8.0)
    matte, light = placed(near, (60, 60))
    assert np.abs(light - matte[..., None] * linear(np.array(RED))).max() < 1e-6


def test_layers_go_on_behind_nearer_ones() -> None:
    """A near strip crosses the edge between two farther planes: behind it, that edge goes on."""
    planes = np.zeros((60, 90), np.uint8)
    planes[:30], planes[30:, 40:50] = 1, 2
    planes[:30, 40:50] = 2
    picture = np.array([BLUE, GREEN, RED], np.uint8)[planes]
    _, middle, far = layers_of(optical_scene(picture, planes, size=8.0), 8)
    matte, light = placed(middle, (60, 90))
    assert (matte[:30] == 1).all()
    assert (matte[31:] == 0).all()
    assert np.abs(light[:30] - linear(np.array(GREEN))).max() < 1e-6
    assert np.abs(placed(far, (60, 90))[1][30:] - linear(np.array(BLUE))).max() < 1e-6


def test_hidden_pixels_take_the_plane_of_the_nearest_that_is_not() -> None:
    """Against all distances; OpenCV's are up to 2 % too small."""
    planes = np.random.default_rng(3).integers(0, 4, (10, 10)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    scene = optical_scene(np.zeros((40, 40, 3), np.uint8), planes, size=0.0)
    hidden = hidden_pixels(planes, 1, 100, scene.recipe)
    assert np.array_equal(hidden.places, np.flatnonzero(planes > 1))
    seen = np.argwhere(planes <= 1)
    for place, plane in zip(hidden.places, hidden.planes, strict=True):
        distances = np.hypot(*(seen - np.divmod(place, 40)).T)
        nearest = planes[tuple(seen[distances <= 1.03 * distances.min()].T)]
        assert plane in nearest


def test_only_a_defocused_edge_has_a_rim_and_it_is_within_the_blur() -> None:
    recipe = optical_scene(np.zeros((60, 60, 3), np.uint8), square() * np.uint8(15), size=8.0).recipe
    assert rim(recipe, 1) == 0
    assert rim(recipe, 15) == EDGE
    assert all(rim(recipe, distance) <= 8.0 * distance / 15 / 2 for distance in range(16))


def test_inpainted_pictures_of_all_layers_are_kept_for_the_next_window() -> None:
    planes = np.repeat(np.arange(32), 2)[None].repeat(20, axis=0)
    scene = optical_scene(np.zeros((20, 64, 3), np.uint8), planes, fill="inpaint")
    first, again = ([inpainted(scene, plane, 4) for plane in range(31)] for _ in range(2))
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert inpainted(replace(scene), 0, 4) is not first[0]  # only those of one scene
    assert inpainted(scene, 0, 4) is not first[0]


def test_a_single_row_is_inpainted_from_itself_only() -> None:
    """OpenCV reads beyond a picture of one row, so that it came out differently each time."""
    rng = np.random.default_rng(5)
    for width in range(3, 60):
        picture = rng.integers(0, 256, (1, width, 3), dtype=np.uint8)
        planes = rng.integers(0, 2, (1, width))
        planes[0, :2] = 0, 1
        twice = (
            optical_scene(each, its, fill="inpaint")
            for each, its in ((picture, planes), (picture.repeat(2, axis=0), planes.repeat(2, axis=0)))
        )
        one, two = (inpainted(scene, 0, 9) for scene in twice)
        assert np.array_equal(one, two[:1]), width
