"""The types that all rooms share: Window, Recipe and its parts, Scene, Sample. All of them are frozen.

Pictures are RGB, height x width x 3, uint8, with the sRGB values of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from mfsynth import limits, schema
from mfsynth.errors import OptionsError, ShardError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """H x W x 3, RGB, uint8."""
    FocusMap = NDArray[np.uint8]
    """H x W, uint8: the index of the frame that is sharp there."""
    SegmentMap = NDArray[np.uint8] | NDArray[np.uint16]
    """H x W: the index of the segment, in the order of `Recipe.segments`."""

RECIPE_FORMAT = 1

# Bounds of a recipe's values, checked on reading: beyond them, rendering overflows or never ends.
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Plane = Annotated[int, msgspec.Meta(ge=0, le=255)]
_BlurSigma = Annotated[float, msgspec.Meta(ge=0.1, le=100)]
_NoiseSigma = Annotated[float, msgspec.Meta(ge=0, le=1)]
_NoiseKey = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_AtLeastOne = msgspec.Meta(min_length=1)
_SomeFrames = msgspec.Meta(min_length=2, max_length=limits.FRAMES)


class Window(NamedTuple):
    """A rectangle of a picture, in pixels; rows and columns count from the top left."""

    top: int
    left: int
    height: int
    width: int

    @staticmethod
    def of(numbers: Window | Sequence[int]) -> Window:
        """A window from four numbers: top, left, height, width.

        Raises:
            OptionsError: If there are not four whole numbers.
        """
        try:
            return numbers if isinstance(numbers, Window) else Window(*map(index, numbers))
        except TypeError as error:
            raise OptionsError(f"{numbers!r} is not a window", "give (top, left, height, width)") from error

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array: `picture[window.slices]`."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def grown(self, reach: int, height: int, width: int) -> Window:
        """This window with `reach` more pixels on each side, clipped to a picture of height x width."""
        top, left = max(0, self.top - reach), max(0, self.left - reach)
        bottom = min(height, self.top + self.height + reach)
        right = min(width, self.left + self.width + reach)
        return Window(top, left, bottom - top, right - left)

    def within(self, outer: Window) -> Window:
        """The same rectangle, counted from the top left corner of `outer`."""
        return Window(self.top - outer.top, self.left - outer.left, self.height, self.width)

    def check(self, height: int, width: int) -> Window:
        """This window, if it is not empty and lies inside a picture of height x width.

        Raises:
            OptionsError: If it is empty or does not lie inside.
        """
        inside = 0 <= self.top <= height - self.height and 0 <= self.left <= width - self.width
        if self.height < 1 or self.width < 1 or not inside:
            raise OptionsError(f"{self} does not lie inside a picture of height {height} and width {width}")
        return self


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
    """A segment with its plane: the index of the frame in which it is sharp."""

    plane: _Plane


@dataclass(frozen=True, slots=True)
class FrameRecipe:
    """How one frame is made: its plane, and its noise (sigma in units of full range; the key as hex text)."""

    plane: _Plane
    noise_sigma: _NoiseSigma
    noise_key: _NoiseKey


@dataclass(frozen=True, slots=True)
class Blur:
    """The blur of everything out of focus; sigma in pixels."""

    kernel: str
    sigma: _BlurSigma


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

    def to_json(self) -> bytes:
        """The recipe as one line of JSON, the same bytes for equal recipes."""
        return schema.encode(self)

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
        if recipe.format != RECIPE_FORMAT:
            raise ShardError(
                f"the recipe has format {recipe.format}, this release reads {RECIPE_FORMAT}", "update mfsynth"
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
            ShardError: If the key is not that of image and variant, a plane has no frame, or the picture is
                larger than any that is read.
        """
        key, image, frames = sample_key(self.image.id, self.variant), self.image, len(self.frames)
        planes = [each.plane for each in self.segments] + [each.plane for each in self.frames]
        if self.key != key:
            raise ShardError(f"the recipe's key is {self.key[:40]!r}, its image and variant give {key!r}")
        if max(planes) >= frames:
            raise ShardError(f"the recipe has planes beyond its {frames} frames")
        if image.width * image.height > limits.PICTURE_PIXELS:
            raise ShardError(
                f"the recipe gives a picture of {image.width} x {image.height} pixels, "
                f"at most {limits.PICTURE_PIXELS:,} pixels are read"
            )


def sample_key(image_id: int, variant: int) -> str:
    """The key of a sample.

    >>> sample_key(139, 0)
    '000000000139-000'
    """
    return f"{image_id:012d}-{variant:03d}"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture, its segment map and a recipe, not yet rendered."""

    picture: Picture
    segments: SegmentMap
    recipe: Recipe

    @property
    def key(self) -> str:
        """The key of the sample that this scene becomes."""
        return self.recipe.key

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        height, width = self.segments.shape
        return height, width

    def __repr__(self) -> str:
        return _line("scene", self.recipe, *self.size)

    def focus(self, window: Window | Sequence[int] | None = None) -> FocusMap:
        """The focus map, or the part of it in a window: a table lookup, without rendering."""
        import cv2
        import numpy as np

        segments = self.segments if window is None else self.segments[Window.of(window).slices]
        planes = np.zeros(max(256, len(self.recipe.segments)), np.uint8)
        planes[: len(self.recipe.segments)] = [segment.plane for segment in self.recipe.segments]
        if segments.dtype == np.uint8:
            return cv2.LUT(segments, planes[:256])  # type: ignore[return-value]  # ten times faster
        return planes[segments]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A rendered scene, or the part of it inside `window`, which is in pixels of the whole picture."""

    key: str
    frames: tuple[Picture, ...]
    focus: FocusMap
    gt: Picture
    segments: SegmentMap
    recipe: Recipe
    window: Window

    def __repr__(self) -> str:
        return _line("sample", self.recipe, self.window.height, self.window.width)


def _line(kind: str, recipe: Recipe, height: int, width: int) -> str:
    size = f"height {height}, width {width}, {len(recipe.frames)} frames"
    blur = f"{recipe.blur.kernel} blur of sigma {recipe.blur.sigma:.2f}"
    return f"<mfsynth {kind} {recipe.key}: {size}, {blur}>"
