"""From members to arrays. Declared sizes are compared with the recipe before anything is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from mfsynth import codecs
from mfsynth.errors import ShardError
from mfsynth.sample import Sample, Scene, Window, everywhere_certain
from mfsynth.shards.layout import CERTAIN, FOCUS, NEAREST, RECIPE, SEGMENTS
from mfsynth.shards.recipes import read_recipe

if TYPE_CHECKING:
    from mfsynth.codecs.png import Array
    from mfsynth.sample import CertainMap, FocusMap, Picture, Recipe
    from mfsynth.shards.layout import Layout
    from mfsynth.shards.tar import Packed

    Size = tuple[int, int]
    """Height and width."""


def read_scene(packed: Packed, layout: Layout) -> Scene:
    """Decode a sample's picture, segment map and recipe.

    Raises:
        KeyError: If a member is missing.
        ShardError: If they contradict each other.
        CodecError: If a member is broken, or has another size than the recipe says.
    """
    recipe = read_recipe(packed.key, packed.members[RECIPE])
    if len(recipe.frames) != layout.frames:
        raise ShardError(f"its recipe has {len(recipe.frames)} frames, the manifest says {layout.frames}")
    if layout.targets != (recipe.optics is not None):
        said = f"the manifest's layout has {'' if layout.targets else 'no '}targets"
        raise ShardError(f"its recipe has format {recipe.format}, {said}")
    return scene_of(packed, recipe, layout.gt_field)


def scene_of(packed: Packed, recipe: Recipe, gt_field: str) -> Scene:
    """Decode a sample's picture and segment map, whose sizes its recipe gives.

    Raises:
        KeyError, ShardError, CodecError: As `read_scene`.
    """
    size = recipe.image.height, recipe.image.width
    picture = _picture(packed, gt_field, size)
    segments = _map(packed, SEGMENTS, size)
    if int(segments.max()) >= len(recipe.segments):
        raise ShardError(f"{SEGMENTS} has segments that the recipe does not list")
    return Scene(picture, segments, recipe)


def read_sample(packed: Packed, layout: Layout, scene: Scene, window: Window | None) -> Sample:
    """Decode a sample's frames, or render them if the store holds recipes; only a window of them.

    Raises:
        KeyError, ShardError, CodecError: As `read_scene`.
    """
    if layout.store == "recipe":
        from mfsynth.synthesis.render import render

        return render(scene, window)
    window = window or Window(0, 0, *scene.size)
    cut = window.slices
    frames = tuple(frame[cut] for frame in read_frames(packed, layout, scene))
    focus = read_focus(packed, scene)
    nearest, certain = focus, everywhere_certain(scene.size)
    if layout.targets:
        nearest, certain = read_targets(packed, scene)
    maps = focus[cut], scene.picture[cut], nearest[cut], certain[cut], scene.segments[cut]
    return Sample(scene.key, frames, *maps, scene.recipe, window)


def read_frames(packed: Packed, layout: Layout, scene: Scene) -> tuple[Picture, ...]:
    """Decode a sample's stored frames.

    Raises:
        KeyError, ShardError, CodecError: As `read_scene`.
    """
    return tuple(_picture(packed, field, scene.size) for field in layout.frame_fields)


def read_focus(packed: Packed, scene: Scene) -> FocusMap:
    """Decode a sample's stored focus map.

    Raises:
        KeyError, ShardError, CodecError: As `read_scene`.
    """
    return _frame_map(packed, FOCUS, scene)


def read_targets(packed: Packed, scene: Scene) -> tuple[FocusMap, CertainMap]:
    """Decode a sample's stored `nearest` and `certain`.

    Raises:
        KeyError, ShardError, CodecError: As `read_scene`.
    """
    certain = _map(packed, CERTAIN, scene.size)
    if certain.dtype != np.uint8:
        raise ShardError(f"{CERTAIN} is not a map of 8 bits")
    return _frame_map(packed, NEAREST, scene), cast("CertainMap", certain)


def _frame_map(packed: Packed, field: str, scene: Scene) -> FocusMap:
    """A map of frames' indices."""
    frames = _map(packed, field, scene.size)
    if frames.dtype != np.uint8 or int(frames.max()) >= len(scene.recipe.frames):
        raise ShardError(f"{field} has values beyond the sample's {len(scene.recipe.frames)} frames")
    return cast("FocusMap", frames)


def _picture(packed: Packed, field: str, size: Size) -> Picture:
    picture = _decoded(packed, field, size)
    if picture.shape != (*size, 3) or picture.dtype != np.uint8:
        raise ShardError(f"{field} is not an RGB picture of 8 bits")
    return cast("Picture", picture)


def _map(packed: Packed, field: str, size: Size) -> Array:
    array = _decoded(packed, field, size)
    if array.shape != size:
        raise ShardError(f"{field} is not a gray PNG")
    return array


def _decoded(packed: Packed, field: str, size: Size) -> Array:
    data, png = packed.members[field], field.endswith(".png")
    if not png and not codecs.is_jpeg(data):
        raise ShardError(f"{field} is not a JPEG")
    try:
        return codecs.decode_png(data, size) if png else codecs.decode_jpeg(data, size)
    except codecs.CodecError as error:
        raise codecs.CodecError(f"{field}: {error.message}", error.hint) from error
