"""Whether a picture is used as it is stored or turned upright, so that it fits its mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mfsynth import codecs
from mfsynth.coco import exclusions
from mfsynth.errors import UnusableImage

if TYPE_CHECKING:
    from mfsynth.sample import ImageInfo

Orientation = Literal["auto", "raw", "upright"]
"""What becomes of a tagged picture: `raw` uses it as stored, `upright` turns it; `auto` turns it only where
its annotations have the upright size and not the stored one."""


def turn_of(image: ImageInfo, stored: tuple[int, int], tag: int, option: Orientation) -> int:
    """The orientation that the picture is turned from; 1 if it is used as stored.

    Args:
        image: What the annotations say.
        stored: The picture's height and width.
        tag: Its orientation, 1 to 8.
        option: What to do about it.

    Raises:
        UnusableImage: If the picture does not have the size that the annotations give.
    """
    size = (image.height, image.width)
    upright = stored[::-1] if codecs.is_transposed(tag) else stored
    if option != "upright" and stored == size:
        return 1
    if option != "raw" and upright == size:
        return tag
    raise UnusableImage(exclusions.SIZE, _difference(image, stored, upright, tag, option))


def _difference(
    image: ImageInfo, stored: tuple[int, int], upright: tuple[int, int], tag: int, option: Orientation
) -> str:
    turned = f" (upright by its EXIF orientation {tag}: {_sides(upright)})" if upright != stored else ""
    size = (image.height, image.width)
    says = f"{image.file_name} is {_sides(stored)}{turned}, the annotations say {_sides(size)}"
    return f"{says}; --orientation is {option}" if size in (stored, upright) else says


def _sides(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
