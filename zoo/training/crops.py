"""From a scene to a training crop: a window in which two frames are sharp somewhere, then augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

import mfsynth
from mfsynth.order import philox
from mfsynth.synthesis.optics.capture import compress, grained
from zoo.training.changes import draw_changes
from zoo.training.scenes import as_trained, some_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import FocusMap, Picture, Scene
    from zoo.training.changes import Capture, Changes, Levels
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
    scene, window, changes = drawn(scene, options, rng, captured)
    return changed(rendered(scene, window, options.crop, options.target), changes)


def drawn(
    scene: Scene, options: TrainOptions, rng: np.random.Generator, captured: bool
) -> tuple[Scene, mfsynth.Window, Changes]:
    """All draws of a crop: the scene with its frames, the window, the augmentation; see `make_crop`."""
    scene = as_trained(some_frames(scene, options.frames, rng), options)
    window = choose_window(scene.focus(), options.crop, rng)
    return scene, window, draw_changes(len(scene.recipe.frames), options, captured, rng)


def rendered(scene: Scene, window: mfsynth.Window, side: int, target: Target) -> Crop:
    """A window of a scene, extended to `side` by mirroring."""
    sample = mfsynth.render(scene, window)
    chosen = sample.nearest if target == "nearest" else sample.focus
    return pad_reflect(Crop(sample.frames, chosen, sample.gt), side)


def changed(crop: Crop, changes: Changes) -> Crop:
    """A crop after its augmentation."""
    crop = rotate_flip(crop, changes.turns, changes.flips)
    if changes.exposure is not None:
        crop = with_levels(crop, changes.exposure)
    return with_capture(unlike(crop, changes.unlike), changes.capture)


def with_capture(crop: Crop, capture: Capture) -> Crop:
    """A crop whose frames have noise and a JPEG; the truth stays clean."""
    frames = crop.frames
    for noise in capture.noises:
        frames = grained(frames, noise.sigma, noise.keys)
    if capture.quality:
        grid = capture.grid_x, capture.grid_y
        frames = tuple(compress(frame, capture.quality, *grid) for frame in frames)
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


def unlike(crop: Crop, levels: Sequence[Levels]) -> Crop:
    """A crop whose frames have levels of their own, if there are any; truth and target stay."""
    if not levels:
        return crop
    frames = tuple(cv2.LUT(frame, own[None]) for frame, own in zip(crop.frames, levels, strict=True))
    return replace(crop, frames=frames)  # type: ignore[arg-type]


def with_levels(crop: Crop, levels: Levels) -> Crop:
    """A crop with other levels, of frames and truth."""
    frames = tuple(cv2.LUT(frame, levels) for frame in crop.frames)
    return Crop(frames, crop.target, cv2.LUT(crop.gt, levels))  # type: ignore[arg-type]


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
