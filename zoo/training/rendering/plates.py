"""From a scene to a plate: all that a device needs to render a window, made by a loader worker.

What stays on the CPU is cheap, or one step after the other: which layers there are and what nearer ones hide
(distance transforms and inpainting), kernels' taps, where pixels of a moved frame come from, and the raw
words of noise. Pictures are sent as bytes, mirrored beyond the picture's border as far as blurs reach, so
that nothing on the device has to know of borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.sample import Window
from mfsynth.synthesis.noise import noise_words
from mfsynth.synthesis.optics.breathing import Motion, Resampling, inside, is_still
from mfsynth.synthesis.optics.capture import camera_stage
from mfsynth.synthesis.optics.circles import blur_size
from mfsynth.synthesis.optics.frames import Lens
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.layers import FULL, cut_out
from mfsynth.synthesis.optics.targets import REACH
from mfsynth.synthesis.optics.windows import union
from mfsynth.synthesis.render import gaussian_reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import Optics, Picture, Recipe, Scene
    from mfsynth.synthesis.optics.reach import Size

    Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Hard:
    """A picture whose blurred sides are composed along hard edges.

    Attributes:
        picture: (h + 2 R) x (w + 2 R) x 3, uint8, with R more pixels on each side than are made.
        choice: F x h x w, uint8: the kernel of each pixel of each frame.
    """

    picture: Picture
    choice: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A layer.

    Attributes:
        colors: (h + 2 R) x (w + 2 R) x 3, uint8, sRGB.
        cover: (h + 2 R) x (w + 2 R), uint8: how much of each pixel it covers, in eighths.
        kernels: The kernels that it is blurred with.
        choice: F: for each frame, which of those.
    """

    colors: Picture
    cover: Bytes
    kernels: tuple[int, ...]
    choice: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """Where the pixels of a frame come from, h x w each, in steps of 1/32 of a pixel; and its exposure."""

    columns: NDArray[np.int32]
    rows: NDArray[np.int32]
    factor: float


@dataclass(frozen=True, slots=True, eq=False)
class Grain:
    """Gaussian noise of sRGB values.

    Attributes:
        words: F x h x w x 3, int16: the raw words.
        sigmas: F: standard deviations in units of full range.
    """

    words: NDArray[np.int16]
    sigmas: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """Noise of linear light.

    Attributes:
        words: F x h x w x 3, int16: the raw words.
        shot_noise: Variance for each unit of light.
        read_noise: Standard deviation in the dark.
    """

    words: NDArray[np.int16]
    shot_noise: float
    read_noise: float


@dataclass(frozen=True, slots=True)
class Coding:
    """A frame's JPEG.

    Attributes:
        quality: From 1 to 100.
        left, top: Pixels from the edges of a unit to those of `part`, filled with the pixels at its edge.
        part: The units that are coded, as a part of the picture.
    """

    quality: int
    left: int
    top: int
    part: Window


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """What a device needs to render F frames of a window.

    Attributes:
        window: What is rendered.
        size: Height and width of the whole picture.
        lens: What the lens sees: a tuple of layers from the nearest to the farthest, or a picture.
        taps: K x (2 R + 1) x (2 R + 1), float32: the kernels.
        light: The values that are blurred: `srgb` or `linear`.
        clean: Where the lens's frames are made.
        around: Where targets are made.
        truth: Ground truth and focus map in `around`, uint8.
        focus: The same.
        valid: F x h x w, bool: where each frame shows the picture, in `around`; None if everywhere.
        judged: Whether targets are computed from frames; in format 1, they are the focus map.
        made: Where light, noise and grain are made, which is what the JPEG needs.
        moves: For each frame, None if it has the geometry and exposure of the ground truth.
        sensor, grain: The noise, if any.
        codings: For each frame, its JPEG, if any.
    """

    window: Window
    size: Size
    lens: Hard | tuple[Sheet, ...]
    taps: NDArray[np.float32]
    light: str
    clean: Window
    around: Window
    truth: Picture
    focus: Bytes
    valid: NDArray[np.bool_] | None
    judged: bool
    made: Window
    moves: tuple[Move | None, ...]
    sensor: Sensor | None
    grain: Grain | None
    codings: tuple[Coding | None, ...]


def plate_of(scene: Scene, window: Window) -> Plate:
    """All that it takes to render a window of a scene, which is checked already."""
    recipe, size = scene.recipe, scene.size
    around, count = window.grown(REACH, *size), range(len(recipe.frames))
    codings = tuple(_coding(recipe, number, size, window) for number in count)
    made = union([window, *(each.part for each in codings if each)])
    ways = [_way(recipe, number, size) for number in count]
    clean = union([around, made, *(way.around(made) for way in ways if way)])
    lens, taps = (_hard if _is_hard(recipe) else _sheets)(scene, clean)
    sensor, grain = _noise(recipe, size, made)
    return Plate(
        window=window,
        size=size,
        lens=lens,
        taps=taps,
        light="srgb" if recipe.optics is None else recipe.optics.light,
        clean=clean,
        around=around,
        truth=np.array(scene.picture[around.slices], order="C"),
        focus=scene.focus(around),
        valid=_valid(recipe.optics, size, around),
        judged=recipe.optics is not None,
        made=made,
        moves=tuple(_move(recipe, number, way, made) for number, way in enumerate(ways)),
        sensor=sensor,
        grain=grain,
        codings=codings,
    )


def _is_hard(recipe: Recipe) -> bool:
    return recipe.optics is None or recipe.optics.boundary == "hard"


# --- the lens -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Blurs:
    """The kernels of a scene, by distance in planes, and how far the largest one reaches."""

    distances: tuple[int, ...]
    reach: int
    taps: NDArray[np.float32]

    @staticmethod
    def of(scene: Scene) -> _Blurs:
        recipe, optics = scene.recipe, scene.recipe.optics
        distances: tuple[int, ...] = (0, 1)
        reach, aperture = gaussian_reach(recipe.blur.sigma), Aperture("gaussian")
        if optics is not None:
            lens = Lens(scene, optics)
            distances, reach = tuple(lens.distances), lens.reach
            aperture = Aperture(recipe.blur.kernel, optics.blades, optics.rotation)
        taps = np.zeros((len(distances), 2 * reach + 1, 2 * reach + 1), np.float32)
        for kernel, distance in zip(taps, distances, strict=True):
            own = aperture.taps(blur_size(recipe, distance)) if distance else np.ones((1, 1))
            margin = reach - len(own) // 2
            kernel[margin : margin + len(own), margin : margin + len(own)] = own
        return _Blurs(distances, reach, taps)


def _hard(scene: Scene, clean: Window) -> tuple[Hard, NDArray[np.float32]]:
    blurs = _Blurs.of(scene)
    recipe, seen = scene.recipe, clean.grown(blurs.reach, *scene.size)
    if recipe.optics is None:
        focus = scene.focus(clean)
        choice = [(focus != number).view(np.uint8) for number in range(len(recipe.frames))]
    else:
        planes, kernel_of = scene.planes(clean), np.zeros(256, np.uint8)
        kernel_of[list(blurs.distances)] = range(len(blurs.distances))
        apart = [np.abs(np.arange(256) - frame.plane) for frame in recipe.frames]
        choice = [cv2.LUT(planes, kernel_of[each]) for each in apart]
    picture = _extended(scene.picture[seen.slices], seen, clean, blurs.reach)
    return Hard(picture, np.stack(choice)), blurs.taps


def _sheets(scene: Scene, clean: Window) -> tuple[tuple[Sheet, ...], NDArray[np.float32]]:
    blurs, optics = _Blurs.of(scene), scene.recipe.optics
    assert optics is not None
    seen = clean.grown(blurs.reach, *scene.size)

    def spread(values: Bytes, part: Window) -> Bytes:
        if part != seen:
            whole = np.zeros((seen.height, seen.width, *values.shape[2:]), np.uint8)
            whole[part.within(seen).slices] = values
            values = whole
        return _extended(values, seen, clean, blurs.reach)

    sheets = []
    for layer in cut_out(scene, optics, clean, blurs.reach):
        cover = np.full(layer.colors.shape[:2], FULL, np.uint8) if layer.cover is None else layer.cover
        apart = [abs(layer.plane - frame.plane) for frame in scene.recipe.frames]
        kernels = sorted(set(apart))
        sheets.append(
            Sheet(
                spread(layer.colors, layer.part),
                spread(cover, layer.part),
                tuple(map(blurs.distances.index, kernels)),
                tuple(map(kernels.index, apart)),
            )
        )
    return tuple(sheets), blurs.taps


def _extended(values: Bytes, seen: Window, window: Window, reach: int) -> Bytes:
    """A window with `reach` more pixels on each side, from what is seen; the picture's border is mirrored."""
    top, left = reach - (window.top - seen.top), reach - (window.left - seen.left)
    bottom = window.height + 2 * reach - seen.height - top
    right = window.width + 2 * reach - seen.width - left
    return cv2.copyMakeBorder(values, top, bottom, left, right, cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


# --- the stages ---------------------------------------------------------------------------------------


def _way(recipe: Recipe, number: int, size: Size) -> Resampling | None:
    """Where the pixels of a frame come from; None if it does not move."""
    if recipe.optics is None or is_still(recipe.optics.frames[number]):
        return None
    return Resampling(Motion.of(recipe.optics.frames[number], size).inverse, size)


def _move(recipe: Recipe, number: int, way: Resampling | None, window: Window) -> Move | None:
    if way is None or recipe.optics is None:
        return None
    return Move(*way.steps(window), 2.0 ** recipe.optics.frames[number].exposure)


def _valid(optics: Optics | None, size: Size, window: Window) -> NDArray[np.bool_] | None:
    if optics is None or all(map(is_still, optics.frames)):
        return None
    return np.stack([inside(shot, size, window) for shot in optics.frames])


def _noise(recipe: Recipe, size: Size, window: Window) -> tuple[Sensor | None, Grain | None]:
    optics, keys = recipe.optics, [frame.noise_key for frame in recipe.frames]
    if optics is not None and optics.noise_model == "poisson-gaussian":
        if not (optics.shot_noise or optics.read_noise):
            return None, None
        return Sensor(words_of(keys, size[1], window), optics.shot_noise, optics.read_noise), None
    sigmas = tuple(frame.noise_sigma for frame in recipe.frames)
    return None, Grain(words_of(keys, size[1], window), sigmas) if any(sigmas) else None


def words_of(keys: Sequence[str], width: int, window: Window) -> NDArray[np.int16]:
    """The raw words of some frames' noise: F x h x w x 3; torch knows them only as signed."""
    return np.stack([noise_words(key, width, window) for key in keys]).view(np.int16)


def _coding(recipe: Recipe, number: int, size: Size, window: Window) -> Coding | None:
    stage = camera_stage(recipe, number, size)
    if stage is None or recipe.optics is None:
        return None
    shot, part = recipe.optics.frames[number], stage.reach.around(window)
    return Coding(shot.quality, 0 if part.left else shot.grid_x, 0 if part.top else shot.grid_y, part)
