"""What is drawn for a sample: Recipe and its parts, to JSON and back. All of them are frozen.

Format 1 has what the paper's pairs need; format 2 also has `optics`. All recipes of a data set have the same
fields: none is ever absent or null.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec

from mfsynth import limits, schema
from mfsynth.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = (1, 2)
"""The formats of recipes that this release reads and writes."""
BLADES = (5, 9)
"""Fewest and most corners of an aperture that is drawn."""

Kernel = Literal["gaussian", "disk", "polygon"]
Order = Literal["random", "layout"]
Boundary = Literal["hard", "spread"]
Fill = Literal["nearest", "inpaint"]
Light = Literal["srgb", "linear"]
NoiseModel = Literal["gaussian", "poisson-gaussian"]

# Bounds of a recipe's values, checked on reading: beyond them, rendering overflows or never ends.
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Plane = Annotated[int, msgspec.Meta(ge=0, le=255)]
_BlurSigma = Annotated[float, msgspec.Meta(ge=0.1, le=100)]
_NoiseSigma = Annotated[float, msgspec.Meta(ge=0, le=1)]
_NoiseKey = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Radius = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Blades = Annotated[int, msgspec.Meta(ge=0, le=32)]
_Turn = Annotated[float, msgspec.Meta(ge=0, le=6.3)]
_Angle = Annotated[float, msgspec.Meta(ge=-0.5, le=0.5)]
_ShotNoise = Annotated[float, msgspec.Meta(ge=0, le=10)]
_Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Levels = Annotated[float, msgspec.Meta(ge=0, le=255)]
_Scale = Annotated[float, msgspec.Meta(ge=0.5, le=2)]
_Shift = Annotated[float, msgspec.Meta(ge=-10_000, le=10_000)]
_Stops = Annotated[float, msgspec.Meta(ge=-4, le=4)]
_Quality = Annotated[int, msgspec.Meta(ge=0, le=100)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=15)]
_Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]
_AtLeastOne = msgspec.Meta(min_length=1)
_SomeFrames = msgspec.Meta(min_length=2, max_length=limits.FRAMES)
_Stack = msgspec.Meta(min_length=2, max_length=limits.STACK)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image as COCO lists it; `license` is an id in COCO's license table, URLs may be empty."""

    id: _Natural
    file_name: str
    width: _Positive
    height: _Positive
    license: _Whole
    coco_url: str
    flickr_url: str


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment of an image; Guerrero Peña et al. call it an object.

    `index` is its value in the segment map, `id` its COCO id (0 is void), `area` its number of pixels there.
    """

    index: _Natural
    id: _Natural
    category_id: _Whole
    iscrowd: _Whole
    area: _Positive


@dataclass(frozen=True, slots=True)
class Segment(SegmentInfo):
    """A segment with its plane, 0 the farthest; in format 1, it is sharp in the frame of that index."""

    plane: _Plane


@dataclass(frozen=True, slots=True)
class FrameRecipe:
    """How one frame is made: its plane, and its noise (sigma in units of full range; the key as hex text)."""

    plane: _Plane
    noise_sigma: _NoiseSigma
    noise_key: _NoiseKey


@dataclass(frozen=True, slots=True)
class Blur:
    """The blur of what is farthest out of focus; sigma in pixels.

    Of a disk or polygon, sigma is half the radius in `Optics`: a disk's standard deviation along an axis.
    """

    kernel: str
    sigma: _BlurSigma


@dataclass(frozen=True, slots=True)
class Traits:
    """What the picture says about a segment, which draws depend on.

    Attributes:
        bottom: The lowest row with a pixel of it.
        stuff: 1 if it is stuff, such as sky or grass, or void; 0 if it is a thing.
        sharpness: How much a small blur changes it, as a root mean square, in gray levels.
        group: Index of the segment whose plane it shares; its own index, if it is sharp enough.
    """

    bottom: _Natural
    stuff: _Flag
    sharpness: _Levels
    group: _Natural


@dataclass(frozen=True, slots=True)
class Shot:
    """How one frame is taken, apart from its plane and noise.

    Attributes:
        scale: Relative to frame 0, about the picture's center.
        shift_x, shift_y: To the right and down, in pixels.
        rotation: Clockwise, in radians, about the picture's center.
        exposure: In stops; linear light is multiplied by 2^exposure.
        quality: Of the JPEG that the camera stores; 0 is no JPEG.
        grid_x, grid_y: Pixels from the left and top edges of a JPEG block to those of the picture.
    """

    scale: _Scale
    shift_x: _Shift
    shift_y: _Shift
    rotation: _Angle
    exposure: _Stops
    quality: _Quality
    grid_x: _Offset
    grid_y: _Offset


@dataclass(frozen=True, slots=True)
class Optics:
    """What format 2 adds: how a lens and a camera make the frames.

    Attributes:
        planes: Number of planes, at equal steps of inverse distance; plane 0 is the farthest.
        radius: Of the disk, or of a disk with the polygon's area, between the two outermost planes, in
            pixels; 0 for a Gaussian, whose sigma is in `Blur`.
        blades: Corners of the polygon; 0 for other kernels.
        rotation: Of the polygon, in radians; 0 for other kernels.
        boundary: `hard`, or `spread`: near layers spread over far ones.
        fill: What is put behind a layer: the color of the `nearest` visible pixel, or `inpaint`.
        light: The values that are blurred and combined: `srgb` or `linear`.
        noise_model: `gaussian` (on sRGB values) or `poisson-gaussian` (on linear light).
        shot_noise: Variance of the noise per unit of linear light.
        read_noise: Standard deviation of the noise in the dark, in linear light.
        segments: One for each segment.
        frames: One for each frame.
    """

    planes: Annotated[int, msgspec.Meta(ge=2, le=limits.PLANES)]
    radius: _Radius
    blades: _Blades
    rotation: _Turn
    boundary: Boundary
    fill: Fill
    light: Light
    noise_model: NoiseModel
    shot_noise: _ShotNoise
    read_noise: _Fraction
    segments: Annotated[tuple[Traits, ...], _AtLeastOne]
    frames: Annotated[tuple[Shot, ...], _Stack]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that was drawn for a sample: with the picture and the segment map, it gives the sample again."""

    format: int
    key: str
    seed: _Natural
    variant: _Natural
    image: ImageInfo
    segments: Annotated[tuple[Segment, ...], _AtLeastOne]
    frames: Annotated[tuple[FrameRecipe, ...], _SomeFrames]
    blur: Blur
    tries: _Positive
    optics: Optics | None = None

    def to_json(self) -> bytes:
        """The recipe as one line of JSON, the same bytes for equal recipes."""
        text = schema.encode(self)
        return text.removesuffix(_NO_OPTICS) + b"}" if self.optics is None else text

    @property
    def planes(self) -> int:
        """Number of planes."""
        return len(self.frames) if self.optics is None else self.optics.planes

    def sharpest(self) -> list[int]:
        """For each plane, the index of the frame that is sharpest there; of equals, the first."""
        return [
            min(range(len(self.frames)), key=lambda k: abs(self.frames[k].plane - plane))
            for plane in range(self.planes)
        ]

    @staticmethod
    def from_json(text: bytes) -> Recipe:
        """The recipe that `to_json` wrote.

        Raises:
            ShardError: If the text is not a recipe of this format, has unknown fields or values out of
                bounds, or contradicts itself.
        """
        if len(text) > limits.RECIPE_BYTES:
            raise ShardError(f"the recipe is larger than {limits.RECIPE_BYTES:,} bytes")
        recipe = schema.decode(text, Recipe, "the recipe", error=ShardError)
        if recipe.format not in FORMATS:
            raise ShardError(
                f"the recipe has format {recipe.format}, this release reads up to {FORMATS[-1]}",
                "update mfsynth",
            )
        recipe.check()
        if (
            recipe.to_json() != text
        ):  # takes half the time of decoding, so fields are compared by name only here
            plain = schema.decode(text, dict, "the recipe", error=ShardError)
            schema.check_fields(plain, Recipe, f"recipe {recipe.key}", error=ShardError)
        return recipe

    def check(self) -> None:
        """Check what the types of the fields cannot say.

        The key is used as a file's name, so it must be the format's own, whoever made the data set.

        Raises:
            ShardError: If the key is not that of image and variant, a plane does not exist, the picture or
                all frames together are too large, or the optics contradict themselves.
        """
        key, image = sample_key(self.image.id, self.variant), self.image
        if self.key != key:
            raise ShardError(f"the recipe's key is {self.key[:40]!r}, its image and variant give {key!r}")
        if (self.format == 1) != (self.optics is None):
            told = "no optics" if self.optics is None else "optics"
            raise ShardError(f"the recipe has format {self.format} and {told}")
        planes = [each.plane for each in self.segments] + [each.plane for each in self.frames]
        if max(planes) >= self.planes:
            raise ShardError(f"the recipe has planes beyond its {self.planes} planes")
        if image.width * image.height > limits.PICTURE_PIXELS:
            raise ShardError(
                f"the recipe gives a picture of {image.width} x {image.height} pixels, "
                f"at most {limits.PICTURE_PIXELS:,} pixels are read"
            )
        if self.optics is not None:
            wrong = next(_contradictions(self, self.optics), "")
            if wrong:
                raise ShardError(f"the recipe contradicts itself: {wrong}")


_NO_OPTICS = b',"optics":null}'
"""How the last field of format 1 would be written: msgspec cannot omit a dataclass's default."""
_AS_FRAME_0 = (1.0, 0.0, 0.0, 0.0, 0.0)


def _contradictions(recipe: Recipe, optics: Optics) -> Iterator[str]:
    """What is wrong with a recipe of format 2 though each of its values is within bounds."""
    if len(optics.segments) != len(recipe.segments) or len(optics.frames) != len(recipe.frames):
        yield (
            f"optics of {len(optics.segments)} segments and {len(optics.frames)} frames, "
            f"of {len(recipe.segments)} and {len(recipe.frames)}"
        )
        return
    if any(low.plane >= high.plane for low, high in pairwise(recipe.frames)):
        yield "frames whose planes do not ascend"
    if len(recipe.frames) * recipe.image.width * recipe.image.height > limits.STACK_PIXELS:
        yield f"frames of more than {limits.STACK_PIXELS:,} pixels together"
    if too_thin(recipe.image, recipe.blur.sigma):
        yield f"a blur of sigma {recipe.blur.sigma} is too large for so thin a picture"
    yield from _odd_blur(recipe.blur, optics)
    yield from _odd_segments(recipe, optics)
    yield from _odd_frames(optics)
    if optics.boundary == "hard" and optics.fill != "nearest":
        yield f"a hard boundary with fill {optics.fill}"
    if optics.noise_model == "gaussian" and (optics.shot_noise or optics.read_noise):
        yield "Gaussian noise with shot or read noise"


def _odd_blur(blur: Blur, optics: Optics) -> Iterator[str]:
    if blur.kernel not in get_args(Kernel):
        yield f"unknown blur kernel {blur.kernel[:40]!r}; known: {', '.join(get_args(Kernel))}"
    if (blur.kernel == "gaussian") != (optics.radius == 0):
        yield f"kernel {blur.kernel} with radius {optics.radius}"
    if optics.radius and blur.sigma != optics.radius / 2:
        yield f"sigma {blur.sigma} is not half the radius {optics.radius}"
    turned = optics.blades or optics.rotation
    if optics.blades < 3 if blur.kernel == "polygon" else turned:
        yield f"kernel {blur.kernel} with {optics.blades} blades and rotation {optics.rotation}"


def _odd_segments(recipe: Recipe, optics: Optics) -> Iterator[str]:
    groups = [each.group for each in optics.segments]
    if max(groups) >= len(groups):
        yield f"groups beyond its {len(groups)} segments"
        return
    if any(groups[group] != group for group in groups):
        yield "a group whose segment is in another group"
    if any(
        recipe.segments[group].plane != each.plane
        for group, each in zip(groups, recipe.segments, strict=True)
    ):
        yield "a segment outside its group's plane"
    if any(each.bottom >= recipe.image.height for each in optics.segments):
        yield "a segment that ends below the picture"
    kinds = {
        (segment.category_id, each.stuff)
        for segment, each in zip(recipe.segments, optics.segments, strict=True)
    }
    if len({category for category, _ in kinds}) < len(kinds) or (0, 0) in kinds:
        yield "a category that is both stuff and a thing, or void that is not stuff"


def _odd_frames(optics: Optics) -> Iterator[str]:
    first = optics.frames[0]
    if (first.scale, first.shift_x, first.shift_y, first.rotation, first.exposure) != _AS_FRAME_0:
        yield "frame 0 is not in its own geometry"
    if any(not each.quality and (each.grid_x or each.grid_y) for each in optics.frames):
        yield "a JPEG's grid without a JPEG"


def too_thin(image: ImageInfo, sigma: float) -> bool:
    """Whether a blur mirrors far more around a picture than it has, such as a row of a million pixels."""
    around = 2 * math.ceil(4 * sigma)  # no kernel reaches farther
    mirrored = (image.width + around) * (image.height + around)
    return mirrored > max(limits.MIRRORED_PIXELS, 16 * image.width * image.height)


def sample_key(image_id: int, variant: int) -> str:
    """The key of a sample.

    >>> sample_key(139, 0)
    '000000000139-000'
    """
    return f"{image_id:012d}-{variant:03d}"
