"""What is drawn for a sample, and from which random stream.

Each purpose has its own Philox stream, keyed only by purpose, seed, image id and variant. No option enters a
key, so that changing one option leaves all other draws unchanged. Only raw words are read from a stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfsynth.errors import UnusableImage
from mfsynth.order import philox
from mfsynth.sample import RECIPE_FORMAT, Blur, FrameRecipe, Recipe, Segment, sample_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import ImageInfo, SegmentInfo

MAX_TRIES = 100
FRAMES = 2


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """The options that map random words to a recipe.

    Args:
        seed: The data set's seed.
        sigma: Smallest and largest sigma of the blur, in pixels.
        noise: Smallest and largest standard deviation of the noise, in units of full range.
        min_area: Each frame keeps at least this fraction of the picture in focus; at most 1/3.
    """

    seed: int = 0
    sigma: tuple[float, float] = (1.0, 5.0)
    noise: tuple[float, float] = (0.0, 0.0)
    min_area: float = 0.02


def stream(purpose: str, seed: int, image_id: int, variant: int) -> np.random.Philox:
    """The random stream of one purpose of one sample."""
    return philox("mfsynth 1", purpose, seed, image_id, variant)


def draw(image: ImageInfo, segments: Sequence[SegmentInfo], options: DrawOptions, variant: int) -> Recipe:
    """Draw the recipe of one sample: planes of the segments, blur and noise.

    Args:
        image: The image.
        segments: Its segments with their pixel counts, in the order of their indices.
        options: How random words become values.
        variant: Which of the image's samples, from 0.

    Raises:
        UnusableImage: If the segments cannot be divided so that both frames keep `min_area`.
    """
    seeded = (options.seed, image.id, variant)
    planes, tries = draw_planes(
        [segment.area for segment in segments], options.min_area, stream("segments", *seeded)
    )
    sigma = _uniform(stream("blur", *seeded), options.sigma)
    noise = stream("noise", *seeded)
    noise_sigma = _uniform(noise, options.noise)
    return Recipe(
        format=RECIPE_FORMAT,
        key=sample_key(image.id, variant),
        seed=options.seed,
        variant=variant,
        image=image,
        segments=tuple(
            Segment(s.index, s.id, s.category_id, s.iscrowd, s.area, plane)
            for s, plane in zip(segments, planes, strict=True)
        ),
        frames=tuple(FrameRecipe(plane, noise_sigma, _hex_key(noise)) for plane in range(FRAMES)),
        blur=Blur("gaussian", sigma),
        tries=tries,
    )


def draw_planes(areas: Sequence[int], min_area: float, words: np.random.Philox) -> tuple[list[int], int]:
    """Divide segments between the two planes.

    The subset in plane 1 is uniform over all subsets that leave both planes at least `min_area` of the
    picture. After 100 tries the largest segment goes to plane 1, all others to plane 0 (tries is then 101).

    Returns:
        The plane of each segment, and how many subsets were drawn.

    Raises:
        UnusableImage: If there is only one segment, or not even the last resort keeps `min_area`.
    """
    total = sum(areas)
    least = max(1, min_area * total)
    if len(areas) < 2 or max(areas) > total - least:
        raise UnusableImage("min-area", f"its largest segment covers {max(areas) / total:.1%} of it")
    for tries in range(1, MAX_TRIES + 1):
        planes = _bits(words, len(areas))
        sharp = sum(area for area, plane in zip(areas, planes, strict=True) if plane)
        if least <= sharp <= total - least:
            return planes, tries
    if max(areas) < least:
        raise UnusableImage("min-area", f"no subset of its {len(areas)} segments was large enough")
    largest = areas.index(max(areas))
    return [int(index == largest) for index in range(len(areas))], MAX_TRIES + 1


def _bits(words: np.random.Philox, count: int) -> list[int]:
    """The next `count` random bits, from whole words, lowest bit first."""
    drawn = words.random_raw(-(-count // 64)).tolist()
    return [(drawn[k >> 6] >> (k & 63)) & 1 for k in range(count)]


def _uniform(words: np.random.Philox, bounds: tuple[float, float]) -> float:
    """A value between the bounds, from the upper 53 bits of the next word."""
    low, high = bounds
    return low + (high - low) * ((words.random_raw() >> 11) * 2.0**-53)


def _hex_key(words: np.random.Philox) -> str:
    """A 128-bit key from the next two words, as hex text, lowest byte first."""
    return words.random_raw(2).astype("<u8").tobytes().hex()
