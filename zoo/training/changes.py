"""What is drawn to augment a crop, before anything is changed: the same for every way to render it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfsynth.order import philox, uniform_between
from mfsynth.synthesis.noise import noise_key
from mfsynth.synthesis.optics.capture import draw_capture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.training.options import TrainOptions

    Levels = NDArray[np.uint8]
    """256 or 256 x 3: for each value of 8 bits another one, of all channels or of each."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of the frames, independent in each.

    Attributes:
        sigma: Standard deviation, in units of full range; 0 is none.
        keys: One for each frame.
    """

    sigma: float
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capture:
    """What a camera adds to the frames of a crop.

    Attributes:
        noises: One after the other.
        quality: Of the JPEG; 0 is none.
        grid_x, grid_y: Pixels from the left and the top of a JPEG's unit to the picture's.
    """

    noises: tuple[Noise, ...] = ()
    quality: int = 0
    grid_x: int = 0
    grid_y: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What is done to a rendered crop, in this order.

    Attributes:
        turns: Quarter turns, counterclockwise.
        flips: Whether it is mirrored then.
        exposure: Levels of frames and truth; None leaves them.
        unlike: For each frame, levels of its own; none if frames stay alike.
        capture: What a camera adds.
    """

    turns: int
    flips: bool
    exposure: Levels | None
    unlike: tuple[Levels, ...]
    capture: Capture


def draw_changes(frames: int, options: TrainOptions, captured: bool, rng: np.random.Generator) -> Changes:
    """Draw how a crop of some frames is augmented.

    Args:
        frames: Their number.
        options: Of the training.
        captured: Whether the recipe decides what a camera adds; see `Source.captured`.
        rng: Makes all draws.
    """
    turns = int(rng.integers(4)) if options.rotate else 0
    flips = bool(rng.integers(2)) if options.mirror else False
    exposure = exposed(rng.uniform(-options.exposure, options.exposure)) if options.exposure else None
    unlike: tuple[Levels, ...] = ()
    if (options.unequal or options.unbalanced) and rng.integers(2):
        unlike = draw_unlike(frames, options.unequal, options.unbalanced, rng)
    return Changes(turns, flips, exposure, unlike, draw_capture_of(frames, options, captured, rng))


def draw_unlike(
    frames: int, unequal: float, unbalanced: float, rng: np.random.Generator
) -> tuple[Levels, ...]:
    """Levels for frames that have exposures and white balances of their own.

    Args:
        frames: Their number.
        unequal: Largest change of a frame's exposure, in stops.
        unbalanced: Largest further change of one of its channels, in stops.
        rng: Makes all draws.
    """

    def levels() -> Levels:
        stops = rng.uniform(-unequal, unequal) + rng.uniform(-unbalanced, unbalanced, 3)
        return np.stack([exposed(each) for each in stops], -1)

    return tuple(levels() for _ in range(frames))


def draw_capture_of(frames: int, options: TrainOptions, captured: bool, rng: np.random.Generator) -> Capture:
    """The settings' noise, of one random standard deviation, and then what a camera adds.

    A camera adds something only if the settings ask for it and the recipe does not decide on it.
    """
    words = philox("capture", rng.integers(1 << 63))

    def noise(sigma: float) -> Noise:
        return Noise(sigma, tuple(noise_key(words) for _ in range(frames)))

    noises = (noise(uniform_between(words, options.noise)),) if options.noise[1] > 0 else ()
    if not options.capture or captured:
        return Capture(noises)
    camera = draw_capture(words)
    return Capture((*noises, noise(camera.sigma)), camera.quality, camera.grid_x, camera.grid_y)


def exposed(stops: float) -> Levels:
    """For each value of 8 bits, its value in another exposure: linear light times 2^stops, clipped.

    sRGB is taken as gamma 2.2.
    """
    levels = np.arange(256) * 2.0 ** (stops / 2.2)
    table: Levels = np.rint(levels).clip(0, 255).astype(np.uint8)
    return table
