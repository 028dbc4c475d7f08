"""What a camera draws and stores: how noisy its sensor is, and the JPEG that it writes.

The blur removes the photograph's own grain, a cue that real frames do not give. A network that never sees
noise on sharp and blurred parts alike learns to mistake grain for sharpness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from mfsynth.order import uniform, uniform_between
from mfsynth.sample import Window
from mfsynth.synthesis.noise import add_noise
from mfsynth.synthesis.optics.reach import Grid, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.order import RandomWords
    from mfsynth.recipe import Recipe
    from mfsynth.sample import Picture
    from mfsynth.synthesis.optics.reach import Size

NOISY = 0.6
"""Fraction of the samples that get sensor noise."""
COMPRESSED = 0.6
"""Fraction of the noisy samples that are compressed."""
NOISE = (0.0, 5 / 255)
"""Smallest and largest standard deviation of the noise, in units of full range: up to 5 gray levels."""
QUALITY = (70, 99)
"""Smallest and largest JPEG quality."""
UNIT = 16
"""Side of what a JPEG codes as one, in pixels: with colors at half resolution, two blocks of 8."""

_MARGIN = 4


@dataclass(frozen=True, slots=True)
class Camera:
    """What is drawn once for a sample.

    Attributes:
        sigma: Standard deviation of the noise, in units of full range; 0 is none.
        quality: Of the JPEG; 0 is none.
        grid_x, grid_y: Pixels from the left and the top of a JPEG's unit to the picture's, from 0 to 15:
            frames are often cropped, and colors are stored for pairs of pixels, so that 7 would not be all.
    """

    sigma: float
    quality: int
    grid_x: int
    grid_y: int


def draw_capture(words: RandomWords) -> Camera:
    """Draw a camera from the next six words of a stream, whatever they say."""
    noisy = uniform(words) < NOISY
    sigma = uniform_between(words, NOISE)
    compressed = uniform(words) < COMPRESSED
    quality = int(uniform_between(words, (QUALITY[0], QUALITY[1] + 1)))
    grid_x, grid_y = (int(uniform_between(words, (0, UNIT))) for _ in range(2))
    if not noisy:
        return Camera(0.0, 0, 0, 0)
    return Camera(sigma, quality, grid_x, grid_y) if compressed else Camera(sigma, 0, 0, 0)


def grained(frames: Sequence[Picture], sigma: float, keys: Sequence[str]) -> tuple[Picture, ...]:
    """Frames with Gaussian noise, independent in each.

    Args:
        frames: Of one sample: H x W x 3, RGB, uint8.
        sigma: Standard deviation, in units of full range.
        keys: A noise key for each.
    """
    height, width = frames[0].shape[:2]
    window = Window(0, 0, height, width)
    return tuple(add_noise(frame, sigma, key, width, window) for frame, key in zip(frames, keys, strict=True))


def camera_stage(recipe: Recipe, number: int, size: Size) -> Stage | None:
    """The JPEG of a frame, if it has one.

    Units are coded each by itself, but colors are interpolated between them. The units that a window and some
    pixels around it touch give the same as the whole picture: two pixels for the next color, and four
    since libjpeg interpolates otherwise where no more than four are left.
    """
    if recipe.optics is None or not recipe.optics.frames[number].quality:
        return None
    shot = recipe.optics.frames[number]

    def compressed(picture: Picture, given: Window, window: Window) -> Picture:
        offsets = 0 if given.left else shot.grid_x, 0 if given.top else shot.grid_y
        return compress(picture, shot.quality, *offsets)[window.within(given).slices]

    return Stage(Grid(UNIT, shot.grid_y, shot.grid_x, _MARGIN, size), compressed)


def compress(picture: Picture, quality: int, grid_x: int = 0, grid_y: int = 0) -> Picture:
    """A picture after JPEG compression (4:2:0); units begin `grid_x` pixels left of it, `grid_y` above."""
    height, width = picture.shape[:2]
    grown = cv2.copyMakeBorder(picture, grid_y, 0, grid_x, 0, cv2.BORDER_REPLICATE)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(grown, cv2.COLOR_RGB2BGR), [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ])  # fmt: skip
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    return decoded[grid_y : grid_y + height, grid_x : grid_x + width]  # type: ignore[index, return-value]
