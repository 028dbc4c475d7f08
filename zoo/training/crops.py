"""From a scene to a training crop: a window in which both frames are sharp somewhere, then augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

import mfsynth
from mfsynth.order import philox, uniform_between
from mfsynth.synthesis.optics.capture import captured, grained
from zoo.errors import TrainingError

if TYPE_CHECKING:
    from mfsynth.sample import FocusMap, Picture, Scene
    from zoo.training.options import TrainOptions

_TRIES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Two frames and the truth, side x side x 3 uint8 each, and the focus map, side x side."""

    frames: tuple[Picture, ...]
    focus: FocusMap
    gt: Picture


def make_crop(scene: Scene, options: TrainOptions, rng: np.random.Generator) -> Crop:
    """Choose a window, render only that, and augment it as the options say."""
    crop = rendered(scene, choose_window(scene.focus(), options.crop, rng), options.crop)
    turns = int(rng.integers(4)) if options.rotate else 0
    flips = bool(rng.integers(2)) if options.mirror else False
    crop = rotate_flip(crop, turns, flips)
    if options.exposure:
        crop = adjust_exposure(crop, rng.uniform(-options.exposure, options.exposure))
    return Crop(add_noise(crop.frames, options.noise, options.capture, rng), crop.focus, crop.gt)


def rendered(scene: Scene, window: mfsynth.Window, side: int) -> Crop:
    """A window of a scene, extended to `side` by mirroring, without the recipe's noise.

    Raises:
        TrainingError: If it is not a pair.
    """
    if len(scene.recipe.frames) != 2:
        raise TrainingError(
            f"{scene.key} has {len(scene.recipe.frames)} frames",
            "only pairs can be trained on: give a data set of pairs",
        )
    frames = tuple(replace(frame, noise_sigma=0.0) for frame in scene.recipe.frames)
    sample = mfsynth.render(replace(scene, recipe=replace(scene.recipe, frames=frames)), window)
    return pad_reflect(Crop(sample.frames, sample.focus, sample.gt), side)


def add_noise(
    frames: tuple[Picture, ...], noise: tuple[float, float], camera: bool, rng: np.random.Generator
) -> tuple[Picture, ...]:
    """Frames with noise of one random standard deviation, independent in each; then what a camera adds."""
    words = philox("capture", rng.integers(1 << 63))
    if noise[1] > 0:
        frames = grained(frames, uniform_between(words, noise), words)
    return captured(frames, words) if camera else frames


def choose_window(focus: FocusMap, side: int, rng: np.random.Generator) -> mfsynth.Window:
    """A window of `side` (or of the picture, where that is smaller) that holds both values of the focus map.

    Uniform among such windows in most pictures; if a few draws find none, around a random edge of the map.
    """
    height, width = focus.shape
    high, wide = min(side, height), min(side, width)
    for _ in range(_TRIES):
        top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
        if _has_both(focus[top : top + high, left : left + wide]):
            break
    else:
        rows, columns = np.nonzero(focus[:, 1:] != focus[:, :-1])
        if not len(rows):
            rows, columns = np.nonzero(focus[1:] != focus[:-1])
        if len(rows):
            edge = int(rng.integers(len(rows)))
            top = _around(int(rows[edge]), high, height, rng)
            left = _around(int(columns[edge]), wide, width, rng)
    return mfsynth.Window(top, left, high, wide)


def pad_reflect(crop: Crop, side: int) -> Crop:
    """A crop of a picture smaller than `side`, extended to that by mirroring at its border."""
    height, width = crop.focus.shape
    if (height, width) == (side, side):
        return crop
    below, right = side - height, side - width

    def fill(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, below), (0, right), (0, 0)][: array.ndim], "reflect")

    return Crop(tuple(fill(frame) for frame in crop.frames), fill(crop.focus), fill(crop.gt))


def rotate_flip(crop: Crop, turns: int, flips: bool) -> Crop:
    """A crop rotated by a number of quarter turns, then mirrored if `flips`."""

    def turn(array: np.ndarray) -> np.ndarray:
        array = np.rot90(array, turns)
        return np.ascontiguousarray(array[:, ::-1] if flips else array)

    return Crop(tuple(turn(frame) for frame in crop.frames), turn(crop.focus), turn(crop.gt))


def adjust_exposure(crop: Crop, stops: float) -> Crop:
    """A crop with another exposure: linear light times 2^stops (sRGB taken as gamma 2.2), clipped."""
    levels = np.arange(256) * 2.0 ** (stops / 2.2)
    table = np.rint(levels).clip(0, 255).astype(np.uint8)
    frames = tuple(cv2.LUT(frame, table) for frame in crop.frames)
    return Crop(frames, crop.focus, cv2.LUT(crop.gt, table))  # type: ignore[arg-type]


def draws(*words: object) -> np.random.Generator:
    """The random stream named by some words."""
    return np.random.Generator(philox(*words))


def _has_both(focus: FocusMap) -> bool:
    low, high, _, _ = cv2.minMaxLoc(focus)
    return low != high


def _around(place: int, length: int, total: int, rng: np.random.Generator) -> int:
    """Where a window begins that holds `place` and its neighbor and lies inside."""
    low, high = max(0, place + 2 - length), min(place, total - length)
    return int(rng.integers(low, high + 1)) if low < high else min(max(low, 0), total - length)
