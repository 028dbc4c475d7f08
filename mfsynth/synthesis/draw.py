"""What is drawn for a sample, and from which random stream.

Each purpose has its own Philox stream, keyed only by purpose, seed, image id and variant. No option enters a
key, so that changing one option leaves all other draws unchanged. Only raw words are read from a stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mfsynth import limits
from mfsynth.errors import UnusableImage
from mfsynth.order import uniform, uniform_between
from mfsynth.recipe import (
    BLADES,
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
    too_thin,
)
from mfsynth.synthesis.depths import planes_by_depth
from mfsynth.synthesis.noise import noise_key
from mfsynth.synthesis.optics.capture import draw_capture
from mfsynth.synthesis.planes import Place, deal_planes, draw_planes, lay_out_planes
from mfsynth.synthesis.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.order import RandomWords
    from mfsynth.recipe import ImageInfo, SegmentInfo, Traits

Capture = Literal["clean", "camera"]

DEPTH_PLANES = 16
SHIFT = 0.0025
"""Largest shift between frames for each percent of breathing, as a fraction of the longer side."""
ROTATION = 0.002
"""Largest rotation for each percent of breathing, in radians: a fifth of a pixel at 100 from the center."""
EXPOSURE = 0.05
"""Largest change of exposure for each percent of breathing, in stops."""
SHOT_SHARE = (0.9, 1.0)
"""Smallest and largest share that shot noise has of the variance in middle gray."""
_GRAY = 0.21404114048223255
"""Linear light of the sRGB value 0.5."""
_GRAY_SLOPE = 0.9255833101934379
"""How fast linear light grows with sRGB values there. Both are given, as powers differ between machines."""
_STILL = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """The options that map random words to a recipe; `mfsynth.options.BuildOptions` says what each means.

    Args:
        seed: The data set's seed.
        sigma: Smallest and largest sigma of the blur, in pixels.
        noise: Smallest and largest standard deviation of the noise, in units of full range.
        min_area: Fraction of the picture that each frame has in focus, at least; at most 1/3.
        frames: Number of frames.
        planes: Number of planes; 0 makes one for each frame, or 16 with depth maps.
        order: How segments are assigned to planes.
        depth: `none`, or what is large in depth maps: `near` or `far`.
        kernel: Of the blur.
        radius: Smallest and largest radius of a disk or polygon, in pixels.
        boundary: `hard` or `spread`.
        fill: What is behind a near layer.
        light: `srgb` or `linear`.
        noise_model: `gaussian` or `poisson-gaussian`.
        capture: `clean` or `camera`.
        breathing: Largest change of scale between frames, in percent.
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
        plain = all(getattr(self, name) == value for name, value in _FORMAT_1.items())
        return not plain or self.depths != 2

    @property
    def depths(self) -> int:
        """The number of planes."""
        return self.planes or (self.frames if self.depth == "none" else max(self.frames, DEPTH_PLANES))

    @property
    def focused(self) -> list[int]:
        """The plane that each frame focuses: the first, the last, and evenly between them."""
        return [round(k * (self.depths - 1) / (self.frames - 1)) for k in range(self.frames)]


_FORMAT_1 = {
    "order": "random", "depth": "none", "kernel": "gaussian", "boundary": "hard", "light": "srgb",
    "noise_model": "gaussian", "capture": "clean", "breathing": 0.0, "min_sharpness": 0.0,
}  # fmt: skip
"""What format 1 says of two planes, without saying it."""


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
        UnusableImage: If the segments cannot be shared out so that enough is in focus, or frames of
            that size would not be read again.
    """
    return Draws(image, segments, options, traits).recipe(variant)


class Draws:
    """What is drawn for the samples of one image. What they share is worked out once.

    Args:
        image, segments, options, traits: As for `draw`.

    Raises:
        UnusableImage: As `draw`.
    """

    def __init__(
        self,
        image: ImageInfo,
        segments: Sequence[SegmentInfo],
        options: DrawOptions,
        traits: Sequence[Traits] = (),
    ) -> None:
        if options.frames * image.width * image.height > limits.STACK_PIXELS:
            raise UnusableImage(
                "too-large", f"{options.frames} frames of {image.width} x {image.height} pixels"
            )
        self._image, self._segments, self._options, self._traits = image, segments, options, traits
        self._optical, self._focused = options.optical, options.focused
        self._placed: dict[tuple[int, int], Segment] = {}
        self._groups = [each.group for each in traits] or [segment.index for segment in segments]
        self._areas = dict.fromkeys(sorted(self._groups), 0)
        for group, segment in zip(self._groups, segments, strict=True):
            self._areas[group] += segment.area
        if options.depth == "none":
            shared = tuple(self._areas.values())
            _check_groups(shared, [segment.area for segment in segments], options.min_area)

    def recipe(self, variant: int) -> Recipe:
        """The recipe of one sample.

        Raises:
            UnusableImage: As `draw`.
        """
        image, options = self._image, self._options
        seeded = (options.seed, image.id, variant)
        planes, tries = self._planes(variant)
        sigma, radius = _blur(options, stream("blur", *seeded))
        if self._optical and too_thin(image, sigma):
            raise UnusableImage(
                "too-large", f"{image.width} x {image.height} pixels, a blur of sigma {sigma:.1f}"
            )
        noise = stream("noise", *seeded)
        noise_sigma = uniform_between(noise, options.noise)
        if options.capture == "camera" and options.noise == (0.0, 0.0):
            noise_sigma = draw_capture(stream("capture", *seeded)).sigma
        optics = None
        if self._optical:
            optics = _optics(image, options, variant, self._traits, radius, noise_sigma)
        return Recipe(
            format=2 if self._optical else 1,
            key=sample_key(image.id, variant),
            seed=options.seed,
            variant=variant,
            image=image,
            segments=tuple(map(self._segment, range(len(planes)), planes)),
            frames=tuple(FrameRecipe(plane, noise_sigma, noise_key(noise)) for plane in self._focused),
            blur=Blur(options.kernel, sigma),
            tries=tries,
            optics=optics,
        )

    def _segment(self, index: int, plane: int) -> Segment:
        """A segment in its plane, the same object in all samples."""
        if (index, plane) not in self._placed:
            s = self._segments[index]
            self._placed[index, plane] = Segment(s.index, s.id, s.category_id, s.iscrowd, s.area, plane)
        return self._placed[index, plane]

    def _planes(self, variant: int) -> tuple[list[int], int]:
        """The plane of each segment, and the tries: its depth map's, or groups of segments are shared out."""
        image, segments, options = self._image, self._segments, self._options
        depths, focused, least = options.depths, self._focused, options.min_area
        if options.depth != "none":
            return planes_by_depth(segments, depths, focused, least), 1
        seeded, shared, tries = (options.seed, image.id, variant), tuple(self._areas.values()), 1
        if options.order == "layout":
            words = stream("layout", *seeded)
            planes, tries = lay_out_planes(shared, self._places(), depths, focused, least, words)
        elif depths == 2:
            planes, tries = draw_planes(shared, least, stream("segments", *seeded))
        else:
            planes = deal_planes(shared, depths, focused, least, stream("planes", *seeded))
        of_group = dict(zip(self._areas, planes, strict=True))
        return [of_group[group] for group in self._groups], tries

    def _places(self) -> list[Place]:
        """Where each group is in the picture, by its largest segment."""
        largest = _largest(self._groups, self._segments)
        found = (self._traits[largest[group]] for group in self._areas)
        return [Place(bool(each.stuff), each.bottom / self._image.height) for each in found]


def _largest(groups: Sequence[int], segments: Sequence[SegmentInfo]) -> dict[int, int]:
    """The largest segment of each group, which says where the group is."""
    found: dict[int, SegmentInfo] = {}
    for group, segment in zip(groups, segments, strict=True):
        if group not in found or segment.area > found[group].area:
            found[group] = segment
    return {group: segment.index for group, segment in found.items()}


def _check_groups(shared: Sequence[int], areas: Sequence[int], min_area: float) -> None:
    """Refuse an image that could be used if all of it were sharp.

    Raises:
        UnusableImage: If it is one.
    """
    total = sum(areas)
    most = total - max(1, min_area * total)
    if max(shared) > most >= max(areas):
        told = (
            f"segments that must share a plane, as they are not sharp, cover {max(shared) / total:.1%} of it"
        )
        raise UnusableImage("min-sharpness", told)


def _blur(options: DrawOptions, words: RandomWords) -> tuple[float, float]:
    """The sigma that a recipe records, and the radius; one word gives either."""
    if options.kernel == "gaussian":
        return uniform_between(words, options.sigma), 0.0
    radius = uniform_between(words, options.radius)
    return radius / 2, radius


# --- format 2 -----------------------------------------------------------------------------------------


def _optics(
    image: ImageInfo,
    options: DrawOptions,
    variant: int,
    traits: Sequence[Traits],
    radius: float,
    noise_sigma: float,
) -> Optics:
    seeded = (options.seed, image.id, variant)
    blades, rotation = _aperture(options, stream("aperture", *seeded))
    shot_noise, read_noise = _sensor(options, noise_sigma, stream("sensor", *seeded))
    return Optics(
        planes=options.depths,
        radius=radius,
        blades=blades,
        rotation=rotation,
        boundary=options.boundary,
        fill=options.fill if options.boundary == "spread" else "nearest",
        light=options.light,
        noise_model=options.noise_model,
        shot_noise=shot_noise,
        read_noise=read_noise,
        segments=tuple(traits),
        frames=_shots(image, options, stream("breathing", *seeded), stream("capture", *seeded)),
    )


def _aperture(options: DrawOptions, words: RandomWords) -> tuple[int, float]:
    """A polygon's corners, and its rotation: any that changes its shape."""
    low, high = BLADES
    blades = low + int(uniform(words) * (high - low + 1))
    rotation = uniform_between(words, (0.0, 2 * math.pi / blades))
    return (blades, rotation) if options.kernel == "polygon" else (0, 0.0)


def _sensor(options: DrawOptions, sigma: float, words: RandomWords) -> tuple[float, float]:
    """Shot and read noise that together are as strong in middle gray as Gaussian noise of a sigma.

    Shot noise has 90 to 100 percent of the variance there. That is the range that follows from the sensors
    in T. Brooks et al., "Unprocessing images for learned raw denoising" (CVPR 2019).
    """
    share = uniform_between(words, SHOT_SHARE)
    if options.noise_model == "gaussian":
        return 0.0, 0.0
    variance = (sigma * _GRAY_SLOPE) ** 2
    return share * variance / _GRAY, math.sqrt((1 - share) * variance)


def _shots(
    image: ImageInfo, options: DrawOptions, breathing: RandomWords, capture: RandomWords
) -> tuple[Shot, ...]:
    """How each frame is taken: the scale follows the focus, the rest is drawn, except frame 0's."""
    camera, most = draw_capture(capture), options.breathing
    stored = (camera.quality, camera.grid_x, camera.grid_y) if options.capture == "camera" else (0, 0, 0)
    shift = SHIFT * most * max(image.width, image.height)
    bounds = (shift, shift, ROTATION * most, EXPOSURE * most)
    strength = uniform_between(breathing, (-most / 100, most / 100))
    shots: list[Shot] = []
    for plane in options.focused:
        drawn = [uniform_between(breathing, (-bound, bound)) for bound in bounds]
        right, down, rotation, exposure = drawn if shots and most else _STILL
        scale = 1 + strength * plane / (options.depths - 1)
        shots.append(Shot(scale, right, down, rotation, exposure, *stored))
    return tuple(shots)
