"""Whatever is chosen: the paper's pixels stay, windows are cuts, and both stores hold the same samples."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import Window
from mfsynth.building.folder import output_at
from mfsynth.building.make import CocoLookup, verify_and_repair
from mfsynth.building.origin import Origin
from mfsynth.building.plan import make_plan
from mfsynth.building.run import packages
from mfsynth.building.work import Job, make_shard
from mfsynth.errors import OptionsError
from mfsynth.options import BuildOptions, split_of, with_preset
from mfsynth.sample import Recipe, Sample, Scene
from mfsynth.shards import tar
from mfsynth.shards.layout import PARTS
from mfsynth.shards.manifest import Manifest
from mfsynth.shards.pixels import read_sample, read_scene
from mfsynth.verification.check import VerifyJob, verify_shard

TINY = Path(__file__).parents[2] / "formats" / "1" / "coco"

# SHA-256 of frames, focus map and ground truth, and of those of a window, as the release before optics made
# them. No float here is so near to a half that another machine would round it the other way.
PAPER = {
    "000000000003-002": (
        "1a06fbe8a2191f98256e534cdbd549b11455ba91ded17f70016de13ba38ec8f2",
        "7b338fee31e9adae0318fa1826181084a01ede59b2d461dceee97b5cc41c1988",
    ),
    "000000000043-002": (
        "5ee5ad7b18a8664070fed82efb32a8581adba4d095b0a085576d2e8fd54d8558",
        "8b267c5aea6700c95c5a17c7cebb438b54f5f186bd3d3f47c1f39b5822fdb910",
    ),
}

ONE: dict[str, dict[str, Any]] = {
    "three frames": {"frames": 3},
    "planes between": {"frames": 2, "planes": 5},
    "layout": {"order": "layout"},
    "disk": {"kernel": "disk", "radius": (2.0, 4.0)},
    "polygon": {"kernel": "polygon", "radius": (2.0, 4.0)},
    "spread": {"boundary": "spread"},
    "inpaint": {"boundary": "spread", "fill": "inpaint"},
    "linear": {"light": "linear"},
    "sensor": {"noise": (0.02, 0.05), "noise_model": "poisson-gaussian"},
    "camera": {"capture": "camera"},
    "breathing": {"breathing": 3.0},
    "sharpness": {"min_sharpness": 7.0},
    "realistic": {"preset": "realistic", "min_sharpness": 0.0},
    "a noisy stack": {"preset": "realistic", "frames": 4, "min_sharpness": 0.0, "noise": (0.01, 0.1)},
}


def sha256(*parts: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.mark.parametrize("key", PAPER)
def test_the_papers_pixels_are_those_of_before(key: str) -> None:
    scenes = mfsynth.synthesize(TINY, "tiny", seed=5, epoch=2, noise=(0, 0.1), render=False, preset="paper")
    scene = next(scene for scene in scenes if scene.key == key)
    whole, part = mfsynth.render(scene), mfsynth.render(scene, (5, 7, 20, 23))
    assert scene.recipe.format == 1
    assert (sha256(*whole.frames, whole.focus, whole.gt), sha256(*part.frames, part.focus)) == PAPER[key]


def assert_equal(one: Sample, other: Sample) -> None:
    assert one.recipe == other.recipe
    for name in ("focus", "nearest", "certain", "gt", "segments"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for first, second in zip(one.frames, other.frames, strict=True):
        assert np.array_equal(first, second)


def assert_window_is_cut(scene: Scene, window: Window) -> None:
    whole, part = mfsynth.render(scene), mfsynth.render(scene, window)
    for name in ("focus", "nearest", "certain", "gt", "segments"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[window.slices]), name
    for cut, frame in zip(part.frames, whole.frames, strict=True):
        assert np.array_equal(cut, frame[window.slices])


def stored(options: BuildOptions, coco: Path, out: Path) -> list[Sample]:
    """The samples of a set of one shard, made and verified in this process; nothing may be wrong with it."""
    plan = make_plan(split_of(options, coco), options)
    (out / PARTS).mkdir(parents=True)
    origin = Origin(plan.options.to_json(), plan.inputs, packages(plan.options))
    part, _ = make_shard(
        Job(plan.options, plan.layout, 0, plan.shards[0], origin, output_at(out)), lambda _: None
    )
    again = frozenset(range(part.shard.samples))
    found = verify_shard(VerifyJob(out, part.shard, plan.layout, options.draw, again), lambda _: None)
    assert found.problems == ()
    assert found.rendered == part.shard.samples > 0
    with (out / part.shard.name).open("rb") as file:
        packed = list(tar.samples(file, part.shard.name, part.shard.size))
    return [read_sample(each, plan.layout, read_scene(each, plan.layout), None) for each in packed]


@pytest.mark.parametrize("name", ONE)
def test_pairs_and_recipes_hold_the_same_samples(name: str, small_coco: Path, tmp_path: Path) -> None:
    pairs, recipes = (
        stored(options_of(ONE[name], store=store, limit=2, shards=1), small_coco, tmp_path / store)
        for store in ("pairs", "recipe")
    )
    live = list(mfsynth.synthesize(small_coco, "small", limit=2, **ONE[name]))
    assert len(live) > 0
    for pair, rendered, made in zip(pairs, recipes, live, strict=True):
        assert_equal(pair, rendered)
        assert_equal(pair, made)


def options_of(content: dict[str, Any], **more: Any) -> BuildOptions:
    given = content | more
    return with_preset(given.pop("preset", "paper"), "small", given)


@pytest.mark.parametrize("name", ONE)
def test_a_window_is_a_cut_of_the_whole(name: str, small_coco: Path) -> None:
    scene = next(iter(mfsynth.synthesize(small_coco, "small", render=False, **ONE[name])))
    for window in (Window(0, 0, 7, 9), Window(11, 13, 20, 17), Window(33, 40, 7, 16)):
        assert_window_is_cut(scene, window)


def bounds(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.floats(low, high)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "preset": st.sampled_from(["paper", "realistic"]),
        "frames": st.integers(2, 5),
        "planes": st.integers(0, 7),
        "order": st.sampled_from(["random", "layout"]),
        "kernel": st.sampled_from(["gaussian", "disk", "polygon"]),
        "sigma": bounds(0.5, 4),
        "radius": bounds(0.5, 6),
        "boundary": st.sampled_from(["hard", "spread"]),
        "fill": st.sampled_from(["nearest", "inpaint"]),
        "light": st.sampled_from(["srgb", "linear"]),
        "noise": bounds(0, 0.2),
        "noise_model": st.sampled_from(["gaussian", "poisson-gaussian"]),
        "capture": st.sampled_from(["clean", "camera"]),
        "breathing": st.floats(0, 5),
        "min_sharpness": st.floats(0, 7.3),
        "min_area": st.floats(0, 1 / 3),
        "seed": st.integers(0, 2**63 - 1),
    },
)


def sensible(content: dict[str, Any]) -> bool:
    """Whether no two options contradict each other."""
    try:
        options_of(content)
    except OptionsError:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(content=CONTENTS.filter(sensible), data=st.data())
def test_any_options_give_windows_that_are_cuts_and_recipes_that_survive(
    content: dict[str, Any], data: st.DataObject, small_coco: Path
) -> None:
    options = options_of(content)
    assert BuildOptions.from_json(options.to_json()) == options
    plain = {"images": [13, 53], "render": False} | content
    for scene in mfsynth.synthesize(small_coco, "small", **plain):
        height, width = scene.size
        assert Recipe.from_json(scene.recipe.to_json()) == scene.recipe
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        size = data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
        assert_window_is_cut(scene, Window(top, left, *size))


@settings(max_examples=30, deadline=None)
@given(
    content=CONTENTS.filter(sensible),
    store=st.sampled_from(["pairs", "recipe"]),
    format=st.sampled_from(["png", "jpeg"]),
)
def test_any_options_give_a_shard_that_verify_passes(
    content: dict[str, Any], store: str, format: str, small_coco: Path
) -> None:
    content |= {"min_sharpness": 0.0, "min_area": 0.02}  # so that something is left
    options = options_of(content, store=store, format=format, limit=1, shards=1)
    with TemporaryDirectory() as folder:
        (sample,) = stored(options, small_coco, Path(folder) / "set")
    assert len(sample.frames) == options.frames
    assert sample.recipe.planes == (options.planes or options.frames)


def test_a_stack_with_everything_is_built_verified_and_says_how_it_was_made(
    small_coco: Path, tmp_path: Path
) -> None:
    content = ONE["a noisy stack"] | {"kernel": "polygon", "breathing": 2.0, "planes": 6}
    made = mfsynth.build("small", coco=small_coco, out=tmp_path / "set", shards=2, workers=2, **content)
    assert made.samples == 9
    assert mfsynth.verify(tmp_path / "set", samples=9, workers=2).problems == ()
    manifest = Manifest.read(tmp_path / "set")
    assert BuildOptions.of(manifest) == options_of(content, shards=2)
    again = mfsynth.build("small", coco=small_coco, out=tmp_path / "again", workers=1, like=manifest)
    assert again.samples == 9


def test_a_realistic_build_goes_on_where_it_was_killed_and_is_repaired(
    small_coco: Path, tmp_path: Path
) -> None:
    out, content = tmp_path / "set", ONE["a noisy stack"] | {"breathing": 2.0}
    build = partial(mfsynth.build, "small", coco=small_coco, out=out, shards=3, workers=1, **content)
    build()
    sealed = (out / "manifest.json").read_bytes()
    (out / "manifest.json").unlink()  # as a build leaves it that is killed
    (out / "small-000001.tar").unlink()
    assert build().kept == 2
    assert (out / "manifest.json").read_bytes() == sealed
    with (out / "small-000002.tar").open("r+b") as shard:
        shard.seek(3000)
        shard.write(b"wrong")
    repaired = verify_and_repair(out, CocoLookup(small_coco), workers=1)
    assert (repaired.problems, len(repaired.repaired) > 0) == ((), True)
    assert (out / "manifest.json").read_bytes() == sealed
