"""What is stored for a sample comes back, whatever the options are, and every sample has one schema."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mfsynth import codecs
from mfsynth.building.work import encode_scene
from mfsynth.options import BuildOptions
from mfsynth.options.build import SERVES
from mfsynth.sample import ImageInfo, Scene, SegmentInfo
from mfsynth.shards.layout import Layout
from mfsynth.shards.pixels import read_sample, read_scene
from mfsynth.shards.tar import Packed
from mfsynth.synthesis.draw import draw
from mfsynth.synthesis.traits import traits_of

OPTIONS = st.fixed_dictionaries(
    {
        "frames": st.sampled_from((2, 3, 6, 11, 32)),
        "order": st.sampled_from(("random", "layout")),
        "kernel": st.sampled_from(("gaussian", "disk", "polygon")),
        "radius": st.just((1.0, 4.0)),
        "sigma": st.just((1.0, 2.0)),
        "boundary": st.sampled_from(("hard", "spread")),
        "fill": st.sampled_from(("nearest", "inpaint")),
        "light": st.sampled_from(("srgb", "linear")),
        "noise": st.sampled_from(((0.0, 0.0), (0.01, 0.1))),
        "noise_model": st.sampled_from(("gaussian", "poisson-gaussian")),
        "capture": st.sampled_from(("clean", "camera")),
        "breathing": st.sampled_from((0.0, 1.5)),
        "min_sharpness": st.sampled_from((0.0, 2.0)),
    }
)


def options_of(values: dict[str, Any]) -> BuildOptions:
    """The options, without those that have no effect beside the others, which are refused."""
    bare = BuildOptions("own", **{name: value for name, value in values.items() if name not in SERVES})
    idle = {name for name in SERVES if not SERVES[name].holds(bare)}
    return BuildOptions("own", **{name: value for name, value in values.items() if name not in idle})


def scene_of(options: BuildOptions, variant: int) -> Scene:
    """Six segments in two rows; every one has its own grain."""
    segments = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 14, axis=0), 12, axis=1)
    height, width = segments.shape
    rng = np.random.default_rng(5)
    picture = (40 * segments[..., None] + rng.integers(0, 50, (height, width, 3))).astype(np.uint8)
    infos = [SegmentInfo(k, 10 + k, 1, 0, int((segments == k).sum())) for k in range(6)]
    image = ImageInfo(1, "1.png", width, height, 4, "", "")
    traits = traits_of(picture, segments, infos, {10, 11}, options.draw)
    return Scene(picture, segments, draw(image, infos, options.draw, variant, traits))


def stored(scene: Scene, layout: Layout) -> Packed:
    members = encode_scene(scene, codecs.encode_png(scene.picture), codecs.encode_png(scene.segments), layout)
    assert tuple(field for field, _ in members) == layout.fields
    return Packed(scene.key, dict(members))


def schema_of(value: Any) -> Any:
    """The types of a JSON value; a list has those of its items, which must be the same."""
    if isinstance(value, dict):
        return {name: schema_of(each) for name, each in value.items()}
    if isinstance(value, list):
        first, *rest = map(schema_of, value)
        assert all(each == first for each in rest)
        return [first]
    assert value is not None
    return type(value).__name__


@settings(max_examples=30, deadline=None)
@given(values=OPTIONS, variant=st.integers(0, 3))
def test_both_stores_give_the_same_whatever_the_options(values: dict[str, Any], variant: int) -> None:
    options = options_of(values)
    scene = scene_of(options, variant)
    found = []
    for store in ("pairs", "recipe"):
        layout = Layout(store, "png", frames=options.frames, targets=options.draw.optical)
        packed = stored(scene, layout)
        found.append(read_sample(packed, layout, read_scene(packed, layout), None))
    pairs, recipe = found
    assert pairs.recipe == recipe.recipe == scene.recipe
    assert len(pairs.frames) == options.frames
    for one, other in zip(pairs.frames, recipe.frames, strict=True):
        assert np.array_equal(one, other)
    for name in ("gt", "focus", "nearest", "certain", "segments"):
        assert np.array_equal(getattr(pairs, name), getattr(recipe, name)), name


@settings(max_examples=30, deadline=None)
@given(values=OPTIONS)
def test_every_sample_of_a_set_has_one_schema(values: dict[str, Any]) -> None:
    options = options_of(values)
    recipes = [json.loads(scene_of(options, variant).recipe.to_json()) for variant in range(4)]
    first, *rest = map(schema_of, recipes)
    assert all(each == first for each in rest)
    assert recipes[0]["format"] == (2 if options.draw.optical else 1)
