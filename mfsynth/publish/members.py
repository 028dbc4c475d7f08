"""What a sample's members contain, in words: the schema in the card and in the Croissant file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfsynth.shards.layout import CERTAIN, FOCUS, NEAREST, RECIPE, SEGMENTS

if TYPE_CHECKING:
    from mfsynth.shards.layout import Layout

_MEDIA_TYPES = {"json": "application/json", "png": "image/png", "jpg": "image/jpeg"}
_RECIPE = (
    "what was drawn: `key`, `seed`, `variant`; `image` (`id`, `file_name`, `width`, `height`, `license`, "
    "`coco_url`, `flickr_url`); `segments` (`index` in segments.png, `id`, `category_id` and `iscrowd` as "
    "annotated, `area`, `plane`: {plane}); `frames` (`plane`, `noise_sigma`, "
    "`noise_key`); `blur` (`kernel`, `sigma` in pixels); `tries`"
)
_OPTICS = (
    "; `optics`: the lens and the camera (`planes`, `radius` in pixels, `blades`, `rotation`, `boundary`, "
    "`fill`, `light`, `noise_model`, `shot_noise`, `read_noise`), what the picture says of each of "
    "`segments` (`bottom`, `stuff`, `sharpness`, `group`), and how each of `frames` was taken (`scale`, "
    "`shift_x`, `shift_y`, `rotation`, `exposure`, JPEG `quality`, `grid_x`, `grid_y`)"
)
_NEAREST = (
    "the index of the frame that is nearest to the ground truth there, before noise (error averaged over "
    "3 x 3 pixels), unless the focus map's frame is less than 2 gray levels farther"
)
_CERTAIN = (
    "255 where some frame shows the ground truth; lower, down to 0, the farther even the nearest frame "
    "is from it"
)
_MAPS = {FOCUS: "the index of the frame that is sharpest there", NEAREST: _NEAREST, CERTAIN: _CERTAIN}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of every sample.

    Attributes:
        field: Its name without the key, such as `gt.jpg`.
        form: The form of its content, such as `RGB, 8 bit`.
        text: What it is.
    """

    field: str
    form: str
    text: str

    @property
    def name(self) -> str:
        """The field without its extension, such as `gt`; the recipe's is `json`."""
        return self.field.partition(".")[0]

    @property
    def media_type(self) -> str:
        """Its media type, such as `image/png`."""
        return _MEDIA_TYPES[self.field.rpartition(".")[2]]

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture: all but the recipe are."""
        return self.field != RECIPE


def members(layout: Layout) -> tuple[Member, ...]:
    """The members of a sample, in the order in which they are stored."""
    return tuple(_member(field, layout) for field in layout.fields)


def _member(field: str, layout: Layout) -> Member:
    if field == RECIPE:
        return Member(field, "object", _recipe(layout))
    if field == layout.gt_field:
        own = "the source file's own bytes" if layout.gt == "jpg" else "encoded again"
        return Member(field, "RGB or gray, 8 bit", f"the all-in-focus picture, {own}")
    if field == SEGMENTS:
        text = (
            "the index of each pixel's segment in the recipe's `segments`; 16 bit if there are more than 256"
        )
        return Member(field, "gray, 8 or 16 bit", text)
    if field in layout.map_fields:
        return Member(field, "gray, 8 bit", _MAPS[field])
    index = layout.frame_fields.index(field)
    most = "sharpest" if layout.targets else "sharp"
    return Member(
        field, "RGB, 8 bit", f"frame {index}: {most} where the focus map says {index}, else blurred"
    )


def _recipe(layout: Layout) -> str:
    if not layout.targets:
        return _RECIPE.format(plane="the frame in which it is sharp")
    return _RECIPE.format(plane="its distance, 0 the farthest; a frame is focused at its own") + _OPTICS
