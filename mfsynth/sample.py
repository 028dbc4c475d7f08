"""The types that all rooms share: Window, Scene, Sample, and those of a recipe. All of them are frozen.

Pictures are RGB, height x width x 3, uint8, with the sRGB values of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from mfsynth.errors import OptionsError
from mfsynth.recipe import (
    Blur,
    FrameRecipe,
    ImageInfo,
    Optics,
    Recipe,
    Segment,
    SegmentInfo,
    Shot,
    Traits,
    sample_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """H x W x 3, RGB, uint8."""
    FocusMap = NDArray[np.uint8]
    """H x W, uint8: the index of the frame that is sharp there."""
    PlaneMap = NDArray[np.uint8]
    """H x W, uint8: the plane of each pixel."""
    CertainMap = NDArray[np.uint8]
    """H x W, uint8: 255 where some frame shows the truth, lower where none does."""
    SegmentMap = NDArray[np.uint8] | NDArray[np.uint16]
    """H x W: the index of the segment, in the order of `Recipe.segments`."""

__all__ = (
    "Blur", "FrameRecipe", "ImageInfo", "Optics", "Recipe", "Sample", "Scene", "Segment", "SegmentInfo",
    "Shot", "Traits", "Window", "everywhere_certain", "sample_key",
)  # fmt: skip


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
        sharpest = self.recipe.sharpest()
        return self._of_segments([sharpest[segment.plane] for segment in self.recipe.segments], window)

    def planes(self, window: Window | Sequence[int] | None = None) -> PlaneMap:
        """The plane of each pixel, or those in a window."""
        return self._of_segments([segment.plane for segment in self.recipe.segments], window)

    def _of_segments(self, values: list[int], window: Window | Sequence[int] | None) -> NDArray[np.uint8]:
        """The value of each pixel's segment."""
        import cv2
        import numpy as np

        segments = self.segments if window is None else self.segments[Window.of(window).slices]
        table = np.zeros(max(256, len(values)), np.uint8)
        table[: len(values)] = values
        if segments.dtype == np.uint8:
            return cv2.LUT(segments, table[:256])  # type: ignore[return-value]  # ten times faster
        return table[segments]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A rendered scene, or the part of it inside `window`, which is in pixels of the whole picture.

    Attributes:
        key: Image and variant.
        frames: The frames.
        focus: The index of the frame that is sharpest at each pixel.
        gt: The ground truth: the picture itself.
        nearest: The index of the frame nearest to the ground truth there, before noise.
        certain: 255 where some frame shows the ground truth, lower where none does. In format 1, one frame
            always does, the one that `focus` and `nearest` name.
        segments: The segment map.
        recipe: All that was drawn.
        window: Which part of the picture this is.
    """

    key: str
    frames: tuple[Picture, ...]
    focus: FocusMap
    gt: Picture
    nearest: FocusMap
    certain: CertainMap
    segments: SegmentMap
    recipe: Recipe
    window: Window

    def __repr__(self) -> str:
        return _line("sample", self.recipe, self.window.height, self.window.width)


def everywhere_certain(size: tuple[int, int]) -> CertainMap:
    """A map of 255s, height x width, without memory of its own: some frame shows the truth everywhere."""
    import numpy as np

    return np.broadcast_to(np.uint8(255), size)


def _line(kind: str, recipe: Recipe, height: int, width: int) -> str:
    size = f"height {height}, width {width}, {len(recipe.frames)} frames"
    radius = recipe.optics.radius if recipe.optics else 0.0
    blurred = f"radius {radius:.2f}" if radius else f"sigma {recipe.blur.sigma:.2f}"
    blur = f"{recipe.blur.kernel} blur of {blurred}"
    return f"<mfsynth {kind} {recipe.key}: {size}, {blur}>"
