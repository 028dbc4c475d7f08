"""What is drawn for a sample, and from which random stream.

Each purpose has its own Philox stream, keyed only by purpose, seed, image id and variant. No option enters a
key, so that changing one option leaves all other draws unchanged. Only raw words are read from a stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mfsynth.order import philox, uniform_between
from mfsynth.recipe import (
    Blur,
    Boundary,
    Fill,
    FrameRecipe,
    Kernel,
    Light,
    NoiseModel,
    Optics,
    Order,
    Recipe,
    Segment,
    Shot,
    sample_key,
)
from mfsynth.synthesis.planes import draw_by_layout, draw_many_planes, draw_planes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.recipe import ImageInfo, SegmentInfo, Traits

Capture = Literal["clean", "camera"]

DEPTH_PLANES = 16


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """The options that map random words to a recipe; `mfsynth.options.BuildOptions` says what each means.

    Args:
        seed: The data set's seed.
        sigma: Smallest and largest sigma of the blur, in pixels.
        noise: Smallest and largest standard deviation of the noise, in units of full range.
        min_area: Each frame keeps at least this fraction of the picture in focus; at most 1/3.
        frames: Number of frames.
        planes: Number of planes; 0 makes one for each frame, or 16 with depth maps.
        order: How segments are shared out among planes.
        depth: `none`, or what is large in depth maps: `near` or `far`.
        kernel: Of the blur.
        radius: Smallest and largest radius of a disk or polygon, in pixels.
        boundary: `hard` or `spread`.
        fill: What is behind a near layer.
        light: `srgb` or `linear`.
        noise_model: `gaussian` or `poisson-gaussian`.
        capture: `clean` or `camera`.
        breathing: Largest change of scale between frames, in per cent.
        min_sharpness: In gray levels.
    """

    seed: int = 0
    sigma: tuple[float, float] = (1.0, 5.0)
    noise: tuple[float, float] = (0.0, 0.0)
    min_area: float = 0.02
    frames: int = 2
    planes: int = 0
    order: Order = "random"
    depth: str = "none"
    kernel: Kernel = "gaussian"
    radius: tuple[float, float] = (2.0, 10.0)
    boundary: Boundary = "hard"
    fill: Fill = "nearest"
    light: Light = "srgb"
    noise_model: NoiseModel = "gaussian"
    capture: Capture = "clean"
    breathing: float = 0.0
    min_sharpness: float = 0.0

    @property
    def optical(self) -> bool:
        """Whether recipes say more than format 1 can."""
        plain = replace(
            self,
            seed=0,
            sigma=(1.0, 5.0),
            noise=(0.0, 0.0),
            min_area=0.02,
            radius=(2.0, 10.0),
            fill="nearest",
        )
        return plain != DrawOptions() and not (self.planes == 2 and replace(plain, planes=0) == DrawOptions())

    @property
    def depths(self) -> int:
        """The number of planes."""
        return self.planes or (self.frames if self.depth == "none" else max(self.frames, DEPTH_PLANES))


def stream(purpose: str, seed: int, image_id: int, variant: int) -> np.random.Philox:
    """The random stream of one purpose of one sample."""
    return philox("mfsynth 1", purpose, seed, image_id, variant)


def draw(
    image: ImageInfo,
    segments: Sequence[SegmentInfo],
    options: DrawOptions,
    variant: int,
    traits: Sequence[Traits] = (),
) -> Recipe:
    """Draw the recipe of one sample: planes of the segments, blur and noise, and in format 2 the optics.

    Args:
        image: The image.
        segments: Its segments with their pixel counts, in the order of their indices.
        options: How random words become values.
        variant: Which of the image's samples, from 0.
        traits: Of the segments, as `traits_of` gives them; needed if `options.optical`.

    Raises:
        UnusableImage: If the segments cannot be shared out so that enough is in focus.
    """
    seeded = (options.seed, image.id, variant)
    planes, tries = _planes(image, segments, options, variant, traits)
    sigma, radius = _blur(options, stream("blur", *seeded))
    noise = stream("noise", *seeded)
    noise_sigma = uniform_between(noise, options.noise)
    optics = _optics(options, seeded, traits, radius, noise_sigma) if options.optical else None
    last = options.depths - 1
    return Recipe(
        format=1 if optics is None else 2,
        key=sample_key(image.id, variant),
        seed=options.seed,
        variant=variant,
        image=image,
        segments=tuple(
            Segment(s.index, s.id, s.category_id, s.iscrowd, s.area, plane)
            for s, plane in zip(segments, planes, strict=True)
        ),
        frames=tuple(
            FrameRecipe(round(k * last / (options.frames - 1)), noise_sigma, _hex_key(noise))
            for k in range(options.frames)
        ),
        blur=Blur(options.kernel, sigma),
        tries=tries,
        optics=optics,
    )


def _planes(
    image: ImageInfo,
    segments: Sequence[SegmentInfo],
    options: DrawOptions,
    variant: int,
    traits: Sequence[Traits],
) -> tuple[list[int], int]:
    """The plane of each segment: groups of segments are shared out."""
    seeded = (options.seed, image.id, variant)
    areas = [segment.area for segment in segments]
    if options.order == "layout":
        words = stream("layout", *seeded)
        return draw_by_layout(areas, traits, options.depths, image.height, options.min_area, words)
    if options.depths == 2:
        return draw_planes(areas, options.min_area, stream("segments", *seeded))
    return draw_many_planes(areas, options.depths, options.min_area, stream("planes", *seeded))


def _blur(options: DrawOptions, words: np.random.Philox) -> tuple[float, float]:
    """The sigma that a recipe records, and the radius; one draw gives either."""
    if options.kernel == "gaussian":
        return uniform_between(words, options.sigma), 0.0
    radius = uniform_between(words, options.radius)
    return radius / 2, radius


def _optics(
    options: DrawOptions,
    seeded: tuple[int, int, int],
    traits: Sequence[Traits],
    radius: float,
    noise_sigma: float,
) -> Optics:
    shot = Shot(1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)
    return Optics(
        planes=options.depths,
        radius=radius,
        blades=0,
        rotation=0.0,
        boundary=options.boundary,
        fill=options.fill,
        light=options.light,
        noise_model=options.noise_model,
        shot_noise=0.0,
        read_noise=0.0,
        segments=tuple(traits),
        frames=(shot,) * options.frames,
    )


def _hex_key(words: np.random.Philox) -> str:
    """A 128-bit key from the next two words, as hex text, lowest byte first."""
    return words.random_raw(2).astype("<u8").tobytes().hex()
