"""Recipes of format 2 that no build wrote: what they must not say, and what they may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mfsynth import limits
from mfsynth.errors import ShardError
from mfsynth.recipe import Recipe
from mfsynth.sample import ImageInfo, SegmentInfo, Traits
from mfsynth.synthesis.draw import DrawOptions, draw

Content = dict[str, Any]
OPTIONS = DrawOptions(
    frames=3, planes=5, order="layout", kernel="polygon", boundary="spread", fill="inpaint", light="linear",
    noise=(0.1, 0.1), noise_model="poisson-gaussian", capture="camera", breathing=2.0, min_sharpness=1.0,
)  # fmt: skip


def content() -> Content:
    """A recipe as plain values: four segments, of which the last shares the plane of the first."""
    image = ImageInfo(1, "a.jpg", 60, 40, 4, "", "")
    segments = [SegmentInfo(k, k, k, 0, 600) for k in range(4)]
    traits = [Traits(10 * k, int(k == 0), 5.0, k % 3) for k in range(4)]
    drawn: Content = json.loads(draw(image, segments, OPTIONS, 0, traits).to_json())
    return drawn


def read(changed: Content) -> Recipe:
    return Recipe.from_json(msgspec.json.encode(changed))


def optics(**values: object) -> Callable[[Content], object]:
    return lambda recipe: recipe["optics"].update(values)


def trait(index: int, **values: object) -> Callable[[Content], object]:
    return lambda recipe: recipe["optics"]["segments"][index].update(values)


def shot(index: int, **values: object) -> Callable[[Content], object]:
    return lambda recipe: recipe["optics"]["frames"][index].update(values)


def kernel(name: str, **values: object) -> Callable[[Content], object]:
    def change(recipe: Content) -> None:
        recipe["blur"].update(kernel=name)
        recipe["optics"].update(values)

    return change


CONTRADICTIONS: dict[str, tuple[str, Callable[[Content], object]]] = {
    "no optics": ("has format 2 and no optics", lambda r: r.pop("optics")),
    "optics in format 1": ("has format 1 and optics", lambda r: r.update(format=1)),
    "format 3": ("has format 3, this release reads up to 2", lambda r: r.update(format=3)),
    "fewer traits": ("optics of 3 segments", lambda r: r["optics"]["segments"].pop()),
    "fewer shots": ("and 2 frames, of 4 and 3", lambda r: r["optics"]["frames"].pop()),
    "segment beyond the planes": ("beyond its 5 planes", lambda r: r["segments"][0].update(plane=5)),
    "frame beyond the planes": ("beyond its 5 planes", lambda r: r["frames"][2].update(plane=5)),
    "frames in disorder": ("planes do not ascend", lambda r: r["frames"][1].update(plane=0)),
    "an unknown kernel": ("unknown blur kernel 'star'", kernel("star")),
    "a disk without radius": ("kernel disk with radius 0.0", kernel("disk", radius=0.0, blades=0)),
    "a Gaussian with radius": ("kernel gaussian with radius", kernel("gaussian", blades=0, rotation=0.0)),
    "sigma of another disk": ("is not half the radius", lambda r: r["blur"].update(sigma=1.25)),
    "blades of a disk": ("kernel disk with", kernel("disk")),
    "one blade of a disk": ("kernel disk with 1 blades", kernel("disk", blades=1, rotation=0.0)),
    "rotation of a disk": ("with 0 blades and rotation 0.5", kernel("disk", blades=0, rotation=0.5)),
    "two blades": ("kernel polygon with 2 blades", optics(blades=2)),
    "no blades": ("kernel polygon with 0 blades", optics(blades=0)),
    "a group of none": ("groups beyond its 4 segments", trait(3, group=4)),
    "groups in a circle": ("in another group", lambda r: (trait(0, group=1)(r), trait(1, group=0)(r))),
    "a chain of groups": ("in another group", trait(0, group=1)),
    "a group in two planes": (
        "outside its group's plane",
        lambda r: r["segments"][3].update(plane=(r["segments"][0]["plane"] + 1) % 5),
    ),
    "below the picture": ("ends below the picture", trait(1, bottom=40)),
    "void that is a thing": ("void that is not stuff", trait(0, stuff=0)),
    "a category of both": ("both stuff and a thing", lambda r: r["segments"][1].update(category_id=0)),
    "frame 0 moved": ("frame 0 is not in its own geometry", shot(0, shift_x=1.0)),
    "frame 0 brighter": ("frame 0 is not in its own geometry", shot(0, exposure=1.0)),
    "a grid without JPEG": ("a JPEG's grid without a JPEG", shot(1, quality=0, grid_x=3)),
    "inpainting nothing": ("a hard boundary with fill inpaint", optics(boundary="hard")),
    "shot noise in sRGB": ("Gaussian noise with shot or read noise", optics(noise_model="gaussian")),
    "a large blur of a thin picture": (
        "too large for so thin a picture",
        lambda r: (
            r["image"].update(width=1_000_000, height=1),
            optics(radius=100.0)(r),
            r["blur"].update(sigma=50.0),
        ),
    ),
    "too many pixels": ("pixels together", lambda r: r["image"].update(width=16_384, height=16_384)),
}  # fmt: skip


def test_the_recipe_itself_is_read() -> None:
    assert read(content()).to_json() == msgspec.json.encode(content())


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_recipe_that_contradicts_itself_is_refused(name: str) -> None:
    text, change = CONTRADICTIONS[name]
    recipe = content()
    change(recipe)
    if name == "too many pixels":
        recipe["frames"] += [dict(recipe["frames"][2], plane=plane) for plane in (3, 4)]
        recipe["frames"][1]["plane"], recipe["frames"][2]["plane"] = 1, 2
        recipe["optics"]["frames"] += recipe["optics"]["frames"][1:]
    with pytest.raises(ShardError, match=text):
        read(recipe)


BOUNDS: dict[str, Callable[[Content], object]] = {
    "planes 1": optics(planes=1),
    "planes 256": optics(planes=256),
    "radius -1": optics(radius=-1.0),
    "radius 101": optics(radius=101.0),
    "33 blades": optics(blades=33),
    "rotation 7": optics(rotation=7.0),
    "boundary": optics(boundary="soft"),
    "fill": optics(fill="black"),
    "light": optics(light="gamma"),
    "noise model": optics(noise_model="poisson"),
    "shot noise 11": optics(shot_noise=11.0),
    "read noise -1": optics(read_noise=-1.0),
    "no segments": optics(segments=[]),
    "one frame": lambda r: r["optics"].update(frames=r["optics"]["frames"][:1]),
    "33 frames": lambda r: r["optics"].update(frames=r["optics"]["frames"][:1] * 33),
    "bottom -1": trait(0, bottom=-1),
    "stuff 2": trait(0, stuff=2),
    "sharpness 256": trait(0, sharpness=256.0),
    "group -1": trait(0, group=-1),
    "scale 3": shot(1, scale=3.0),
    "shift 1e9": shot(1, shift_y=1e9),
    "rotation 1": shot(1, rotation=1.0),
    "exposure 5": shot(1, exposure=5.0),
    "quality 101": shot(1, quality=101),
    "grid 16": shot(1, grid_y=16),
    "null": optics(radius=None),
    "absent": lambda r: r["optics"].pop("light"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_a_recipe_out_of_bounds_is_refused(name: str) -> None:
    recipe = content()
    BOUNDS[name](recipe)
    with pytest.raises(ShardError, match="the recipe is malformed: "):
        read(recipe)


def test_an_unknown_field_of_the_optics_is_named() -> None:
    recipe = content()
    recipe["optics"]["coating"] = 1
    with pytest.raises(ShardError, match=r"unknown fields in recipe 000000000001-000: optics\.coating"):
        read(recipe)


def test_the_longest_recipe_that_an_image_may_have_is_read() -> None:
    """As many segments as an image may have, and in every field the longest text."""
    recipe = content()
    count, wide = limits.SEGMENTS, 2**63 - 1
    side = int(limits.PICTURE_PIXELS**0.5)
    recipe["image"].update(width=side // 8, height=side)
    segment = {
        "index": count - 1,
        "id": wide,
        "category_id": -wide,
        "iscrowd": -wide,
        "area": 10**8,
        "plane": 4,
    }
    traits = {"bottom": side - 1, "stuff": 0, "sharpness": 100 / 3 * 1e-3, "group": count - 1}
    recipe["segments"] = [segment] * count
    recipe["optics"]["segments"] = [traits] * count
    recipe["frames"] = [dict(recipe["frames"][0], plane=plane) for plane in range(32)]
    recipe["optics"]["planes"] = limits.PLANES
    recipe["optics"]["frames"] = [recipe["optics"]["frames"][0]] + [
        dict.fromkeys(recipe["optics"]["frames"][1], -1 / 3) | {"quality": 100, "grid_x": 15, "grid_y": 15}
        | {"scale": 4 / 3}
    ] * 31  # fmt: skip
    assert len(read(recipe).segments) == count
