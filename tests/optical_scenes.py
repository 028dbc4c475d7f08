"""Scenes for tests of optics: a picture and its planes become a scene with a recipe of format 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.recipe import Blur, FrameRecipe, ImageInfo, Optics, Recipe, Segment, Shot, Traits
from mfsynth.sample import Scene, Window
from mfsynth.synthesis.optics.frames import clean_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOT = Shot(1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)


def optical_scene(
    picture: np.ndarray,
    planes: np.ndarray,
    *,
    count: int = 0,
    frames: Sequence[int] = (),
    kernel: str = "disk",
    size: float = 4.0,
    boundary: str = "spread",
    fill: str = "nearest",
    light: str = "linear",
) -> Scene:
    """A scene with one segment for each plane that occurs.

    Args:
        picture: H x W x 3, uint8.
        planes: H x W, the plane of each pixel.
        count: Number of planes; by default just enough.
        frames: The planes in focus; by default all.
        kernel, size: Of the blur between the outermost planes; sigma of a Gaussian, else the radius.
        boundary, fill, light: As in `Optics`.
    """
    present, segments = np.unique(planes, return_inverse=True)
    segments = segments.reshape(planes.shape).astype(np.uint8)
    count = count or int(planes.max()) + 1
    frames = frames or range(count)
    height, width = planes.shape
    optics = Optics(
        count, 0.0 if kernel == "gaussian" else size, 6, 0.3, boundary, fill, light, "gaussian", 0.0, 0.0,
        tuple(Traits(0, 0, 9.0, k) for k in range(len(present))), (_SHOT,) * len(frames),
    )  # fmt: skip
    recipe = Recipe(
        2, "000000000001-000", 0, 0, ImageInfo(1, "a.jpg", width, height, 4, "", ""),
        tuple(
            Segment(k, 100 + k, 1, 0, int((segments == k).sum()), plane)
            for k, plane in enumerate(present.tolist())
        ),
        tuple(FrameRecipe(plane, 0.0, "00" * 16) for plane in frames),
        Blur(kernel, size if kernel == "gaussian" else size / 2), 1, optics,
    )  # fmt: skip
    return Scene(np.ascontiguousarray(picture), segments, recipe)


def whole(scene: Scene) -> Window:
    """The window with all of a scene."""
    return Window(0, 0, *scene.size)


def frames_of(scene: Scene, window: Window | None = None) -> tuple[np.ndarray, ...]:
    """A scene's clean frames."""
    assert scene.recipe.optics is not None
    return clean_frames(scene, scene.recipe.optics, window or whole(scene))


def linear(picture: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values from 0 to 255, after IEC 61966-2-1."""
    encoded = picture / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def srgb(light: np.ndarray) -> np.ndarray:
    """sRGB values from 0 to 255 of linear light, rounded."""
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)
