"""From a scene to a training crop: a window in which two frames are sharp somewhere, then augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

import mfsynth
from mfsynth.order import philox, uniform_between
from mfsynth.synthesis.optics import capture
from zoo.training.scenes import as_trained, some_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import FocusMap, Picture, Scene
    from zoo.training.options import Target, TrainOptions

_TRIES = 8
_ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
"""OpenCV's names of quarter turns; NumPy takes eight times as long."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Frames and the truth, side x side x 3 uint8 each, and which frame to choose, side x side."""

    frames: tuple[Picture, ...]
    target: FocusMap
    gt: Picture


def make_crop(scene: Scene, options: TrainOptions, rng: np.random.Generator, captured: bool = False) -> Crop:
    """Choose frames and a window, render only those, and augment the crop as the options say.

    Args:
        scene: To make it of.
        options: Of the training.
        rng: Makes all draws.
        captured: Whether the scene's recipe decides what a camera adds; see `Source.captured`.

    Raises:
        TrainingError: If the scene has no pair of frames.
    """
    scene = as_trained(some_frames(scene, options.frames, rng), options)
    crop = rendered(scene, choose_window(scene.focus(), options.crop, rng), options.crop, options.target)
    turns = int(rng.integers(4)) if options.rotate else 0
    flips = bool(rng.integers(2)) if options.mirror else False
    crop = rotate_flip(crop, turns, flips)
    if options.exposure:
        crop = adjust_exposure(crop, rng.uniform(-options.exposure, options.exposure))
    if (options.unequal or options.unbalanced) and rng.integers(2):
        crop = unlike(crop, options.unequal, options.unbalanced, rng)
    return with_noise(crop, options, captured, rng)


def rendered(scene: Scene, window: mfsynth.Window, side: int, target: Target) -> Crop:
    """A window of a scene, extended to `side` by mirroring."""
    sample = mfsynth.render(scene, window)
    chosen = sample.nearest if target == "nearest" else sample.focus
    return pad_reflect(Crop(sample.frames, chosen, sample.gt), side)


def with_noise(crop: Crop, options: TrainOptions, captured: bool, rng: np.random.Generator) -> Crop:
    """A crop whose frames have the settings' noise, of one random standard deviation, independent in each.

    Then comes what a camera adds, if the settings ask for it and the recipe does not decide on it.
    """
    frames, words = crop.frames, philox("capture", rng.integers(1 << 63))
    if options.noise[1] > 0:
        frames = capture.grained(frames, uniform_between(words, options.noise), words)
    if options.capture and not captured:
        frames = capture.captured(frames, words)
    return replace(crop, frames=frames)


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
    height, width = crop.target.shape
    if (height, width) == (side, side):
        return crop
    below, right = side - height, side - width

    def fill(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, below), (0, right), (0, 0)][: array.ndim], "reflect")

    return Crop(tuple(fill(frame) for frame in crop.frames), fill(crop.target), fill(crop.gt))


def rotate_flip(crop: Crop, turns: int, flips: bool) -> Crop:
    """A crop rotated by a number of quarter turns, then mirrored if `flips`."""

    def turn(array: Any) -> Any:
        array = cv2.rotate(array, _ROTATIONS[turns]) if turns else array
        return cv2.flip(array, 1) if flips else array

    return Crop(tuple(turn(frame) for frame in crop.frames), turn(crop.target), turn(crop.gt))


def unlike(crop: Crop, unequal: float, unbalanced: float, rng: np.random.Generator) -> Crop:
    """A crop whose frames have exposures and white balances of their own; truth and target stay.

    Args:
        crop: To change.
        unequal: Largest change of a frame's exposure, in stops.
        unbalanced: Largest further change of one of its channels, in stops.
        rng: Makes all draws.
    """

    def changed(frame: Picture) -> Picture:
        stops = rng.uniform(-unequal, unequal) + rng.uniform(-unbalanced, unbalanced, 3)
        return cv2.LUT(frame, np.stack([_exposed(each) for each in stops], -1)[None])  # type: ignore[return-value]

    return replace(crop, frames=tuple(changed(frame) for frame in crop.frames))


def adjust_exposure(crop: Crop, stops: float) -> Crop:
    """A crop with another exposure: linear light times 2^stops (sRGB taken as gamma 2.2), clipped."""
    table = _exposed(stops)
    frames = tuple(cv2.LUT(frame, table) for frame in crop.frames)
    return Crop(frames, crop.target, cv2.LUT(crop.gt, table))  # type: ignore[arg-type]


def _exposed(stops: float) -> NDArray[np.uint8]:
    """For each value of 8 bits, its value in another exposure."""
    levels = np.arange(256) * 2.0 ** (stops / 2.2)
    table: NDArray[np.uint8] = np.rint(levels).clip(0, 255).astype(np.uint8)
    return table


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
