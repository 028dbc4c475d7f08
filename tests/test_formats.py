"""What the first release wrote is read, verified, resumed and rebuilt forever: the files of tests/formats."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tree

import mfsynth
from mfsynth import schema
from mfsynth.building.folder import BuildFile
from mfsynth.building.repair import repair
from mfsynth.building.run import Run, build, packages
from mfsynth.errors import BuildError, OutputError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.sample import Sample
from mfsynth.shards.layout import BUILD, MANIFEST, PARTS
from mfsynth.shards.manifest import Manifest, fingerprint
from mfsynth.verification.check import verify
from mfsynth.version import CONTENT_RELEASE, __version__

FORMAT_1 = Path(__file__).parent / "formats" / "1"
FORMAT_2 = FORMAT_1.parent / "2"
STORES = pytest.mark.parametrize("store", ["pairs", "recipe"])


def samples(folder: Path) -> dict[str, Sample]:
    return {sample.key: sample for sample in mfsynth.open(folder)}


def assert_equal(first: dict[str, Sample], second: dict[str, Sample]) -> None:
    """The same recipes and, within the rounding that another processor may bring, the same pixels."""
    assert first.keys() == second.keys()
    for key, one in first.items():
        other = second[key]
        assert one.recipe == other.recipe
        assert np.array_equal(one.focus, other.focus)
        assert np.array_equal(one.gt, other.gt)
        assert np.array_equal(one.segments, other.segments)
        for ours, theirs in zip(one.frames, other.frames, strict=True):
            assert np.abs(ours.astype(int) - theirs).max() <= 1
            assert np.mean(ours != theirs) <= 1e-3


@pytest.fixture
def copy(tmp_path: Path, store: str) -> Path:
    """A copy of the frozen data set, to be written to."""
    return Path(shutil.copytree(FORMAT_1 / store, tmp_path / "set"))


def edit(path: Path, **changes: object) -> None:
    """Change a JSON file's own entries; None removes one."""
    content = json.loads(path.read_text())
    for name, value in changes.items():
        content[name] = value
    path.write_text(json.dumps(content))


def begun_by(release: str, folder: Path, **changes: object) -> None:
    """Let a set say that a release made it, with today's versions of other packages."""
    options = BuildOptions.from_json(Manifest.read(folder).options)
    now = packages(options) | {"mfsynth": release}
    edit(folder / MANIFEST, packages=now)
    edit(folder / PARTS / BUILD, packages=now, **changes)


def set_options(folder: Path, options: dict[str, object]) -> None:
    """Give a manifest other options, their fingerprint made to fit."""
    edit(folder / MANIFEST, options=options, options_fingerprint=fingerprint(options))


@STORES
def test_a_data_set_is_read(store: str) -> None:
    read = samples(FORMAT_1 / store)
    assert len(read) == 12
    assert_equal(read, samples(FORMAT_1 / "pairs"))
    first = read["000000000003-000"]
    assert first.gt.shape == (40, 56, 3)
    assert [frame.noise_sigma for frame in first.recipe.frames] == [first.recipe.frames[0].noise_sigma] * 2


@STORES
def test_a_data_set_is_verified(store: str) -> None:
    checked = verify(FORMAT_1 / store, samples=12, workers=1)
    assert not checked.problems
    assert (checked.samples, checked.rendered) == (12, 12)


@STORES
def test_a_data_set_is_rebuilt_from_its_manifest(store: str, tmp_path: Path) -> None:
    manifest = Manifest.read(FORMAT_1 / store)
    options = BuildOptions.of(manifest)
    build(options, Run(FORMAT_1 / "coco", tmp_path / "again", workers=1))
    assert_equal(samples(tmp_path / "again"), samples(FORMAT_1 / store))
    again = Manifest.read(tmp_path / "again")
    assert again.options_fingerprint == manifest.options_fingerprint
    assert again.inputs == manifest.inputs


@STORES
def test_a_data_set_of_format_2_is_read_and_verified(store: str) -> None:
    """Within what verify tolerates, which is exact but for what another processor may round differently."""
    read = samples(FORMAT_2 / store)
    first = read["000000000003-000"]
    assert first.recipe.format == 2
    assert (first.recipe.planes, len(first.frames), first.gt.shape) == (5, 3, (40, 56, 3))
    assert first.certain.min() < 255
    checked = verify(FORMAT_2 / store, samples=len(read), workers=1)
    assert not checked.problems
    assert checked.rendered == checked.samples == len(read) > 3


@STORES
def test_a_data_set_of_format_2_is_rebuilt_from_its_manifest(store: str, tmp_path: Path) -> None:
    manifest = Manifest.read(FORMAT_2 / store)
    options = BuildOptions.of(manifest)
    build(options, Run(FORMAT_1 / "coco", tmp_path / "again", workers=1))
    again, frozen = samples(tmp_path / "again"), samples(FORMAT_2 / store)
    assert {key: each.recipe for key, each in again.items()} == {k: each.recipe for k, each in frozen.items()}
    assert Manifest.read(tmp_path / "again").options_fingerprint == manifest.options_fingerprint


def lose_a_shard(folder: Path) -> tuple[Path, Path]:
    """Leave a set as if its build had been killed: paths of the shard that is there, and of the other one."""
    kept, lost = (folder / shard.name for shard in Manifest.read(folder).shards)
    (folder / MANIFEST).unlink()
    lost.unlink()
    return kept, lost


@STORES
def test_an_unfinished_build_goes_on(store: str, copy: Path) -> None:
    """A build that lost its manifest and a shard is finished: what is whole is kept, the rest is made."""
    options = BuildOptions.of(Manifest.read(copy))
    begun_by(CONTENT_RELEASE, copy)
    kept, _ = lose_a_shard(copy)
    before = kept.read_bytes()
    report = build(options, Run(FORMAT_1 / "coco", copy, workers=1))
    assert (report.made, report.kept) == (1, 1)
    assert kept.read_bytes() == before
    assert_equal(samples(copy), samples(FORMAT_1 / store))


@STORES
def test_a_finished_build_is_left_alone(store: str, copy: Path) -> None:
    begun_by(CONTENT_RELEASE, copy)
    options = BuildOptions.from_json(Manifest.read(copy).options)
    assert build(options, Run(FORMAT_1 / "coco", copy, workers=1)).finished


@STORES
def test_what_another_release_made_or_began_is_not_mixed_with_other_bytes(store: str, copy: Path) -> None:
    """0.1.0 stores the same pixels in other bytes: its sets are whole or its own to finish, and say so."""
    options = BuildOptions.of(Manifest.read(copy))
    begun_by("0.1.0", copy)
    before = tree(copy)
    words = (
        rf"with other versions, whose bytes may differ: mfsynth {re.escape(__version__)} \(was 0\.1\.0\); "
    )
    with pytest.raises(OutputError, match=f"holds this data set, made {words}use it as it is"):
        build(options, Run(FORMAT_1 / "coco", copy, workers=1))
    assert tree(copy) == before
    lose_a_shard(copy)
    before = tree(copy)
    with pytest.raises(OutputError, match=f"holds this data set, started {words}finish it with those"):
        build(options, Run(FORMAT_1 / "coco", copy, workers=1))
    assert tree(copy) == before
    assert build(options, Run(FORMAT_1 / "coco", copy, workers=1, overwrite=True)).made == 2
    assert_equal(samples(copy), samples(FORMAT_1 / store))


@STORES
def test_what_another_release_made_is_made_again_in_other_bytes_and_said_so(
    store: str, tmp_path: Path
) -> None:
    manifest = Manifest.read(FORMAT_1 / store)
    said: list[str] = []
    words = rf"same pixels in other bytes: .*mfsynth {re.escape(__version__)} \(was 0\.1\.0\)"
    with pytest.raises(BuildError, match=rf"2 of 2 shards differ from those in the manifest.*{words}"):
        build(
            BuildOptions.of(manifest),
            Run(FORMAT_1 / "coco", tmp_path / "again", workers=1, say=said.append),
            manifest,
        )
    assert re.search(words, said[-1])
    assert_equal(samples(tmp_path / "again"), samples(FORMAT_1 / store))
    assert not verify(tmp_path / "again", samples=12, workers=1).problems


@STORES
def test_what_another_release_made_is_not_repaired_with_other_bytes(store: str, copy: Path) -> None:
    manifest = Manifest.read(copy)
    bad = copy / manifest.shards[0].name
    bad.write_bytes(bad.read_bytes()[:-1] + b"x")
    before = tree(copy)
    assert [problem.shard for problem in verify(copy, samples=0, workers=1).problems] == [bad.name]
    with pytest.raises(
        BuildError, match=r"was made by mfsynth 0\.1\.0; .*repair it with mfsynth 0\.1\.0, or build"
    ):
        repair(manifest, [bad.name], Run(FORMAT_1 / "coco", copy, workers=1))
    assert tree(copy) == before


@STORES
def test_options_that_a_set_lacks_take_their_defaults(store: str, copy: Path) -> None:
    """A set of a release that lacked an option is verified and finished as if it had its default."""
    options = Manifest.read(copy).options
    shorter = {name: value for name, value in options.items() if name not in ("min_area", "limit", "masks")}
    set_options(copy, shorter)
    assert not verify(copy, samples=2, workers=1).problems
    assert BuildOptions.from_json(shorter) == BuildOptions.from_json(options)
    begun_by(CONTENT_RELEASE, copy, options=shorter)
    assert build(BuildOptions.from_json(options), Run(FORMAT_1 / "coco", copy, workers=1)).finished


@STORES
def test_options_of_a_newer_release_are_refused_by_name(store: str, copy: Path) -> None:
    manifest = Manifest.read(copy)
    set_options(copy, manifest.options | {"coating": 5})
    edit(copy / MANIFEST, packages=manifest.packages | {"mfsynth": "9.9.0"})
    for use in (
        lambda: verify(copy, workers=1),
        lambda: BuildOptions.of(Manifest.read(copy)),
    ):
        with pytest.raises(
            ShardError, match=r"unknown fields in the build options: coating; written by mfsynth 9\.9\.0"
        ):
            use()


def test_what_a_build_file_says_is_what_the_frozen_one_says() -> None:
    """A field that is added to a build's own files must not change what an old one means."""
    import msgspec

    text = (FORMAT_1 / "pairs" / PARTS / BUILD).read_bytes()
    begun = msgspec.json.decode(text, type=BuildFile)
    assert BuildOptions.from_json(begun.options).to_json() == begun.options
    assert schema.encode(begun) == text


def test_a_recipe_may_grow() -> None:
    """A field that a later release adds is not written at its default: recipes of today keep their bytes."""
    code = """
import dataclasses, sys
from mfsynth import recipe, schema
from mfsynth.recipe import Recipe

Blur = dataclasses.make_dataclass(
    "Blur",
    [*((f.name, f.type) for f in dataclasses.fields(recipe.Blur)),
     ("blades", int, dataclasses.field(default=0, metadata=schema.since("9.0.0")))],
    frozen=True, slots=True,
)
Blur.__module__ = "mfsynth.recipe"  # where its annotations' names are
recipe.Blur = Blur  # what its annotation names, before the first recipe is read
text = sys.stdin.buffer.read()
read = Recipe.from_json(text)
assert read.blur.blades == 0 and read.to_json() == text
grown = dataclasses.replace(read, blur=dataclasses.replace(read.blur, blades=7))
assert Recipe.from_json(grown.to_json()) == grown and b'"blades":7' in grown.to_json()
"""
    recipe = next(iter(mfsynth.open(FORMAT_1 / "pairs"))).recipe.to_json()
    done = subprocess.run([sys.executable, "-c", code], input=recipe, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
