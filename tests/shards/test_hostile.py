"""Data sets from elsewhere: whatever they say, no name in them becomes a path, and no number costs memory."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
import shutil
import tarfile
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, tree

import mfsynth
from mfsynth.errors import MfsynthError, ShardError
from mfsynth.preview.samples import preview
from mfsynth.preview.stats import collect
from mfsynth.publish.attribution import attribute
from mfsynth.verification.check import verify
from zoo.evaluation.data import open_data
from zoo.training.sources import Reader, ShardSource

SHARD = "small-000000.tar"


@pytest.fixture
def recipes(small_recipes: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_recipes, tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def stacks(small_stacks: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_stacks, tmp_path / "stacks")
    return tmp_path / "stacks"


def forge_recipe(folder: Path, change: Callable[[dict[str, Any]], object], *, rename: str = "") -> None:
    """Change the first recipe of a data set, and make every hash fit, as a hostile publisher does."""
    with tarfile.open(folder / SHARD) as archive:
        members = [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    name, text = members[0]
    recipe = json.loads(text)
    change(recipe)
    members[0] = (name, json.dumps(recipe, separators=(",", ":")).encode())
    key = name.partition(".")[0]
    with tarfile.open(folder / SHARD, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name.replace(key, rename) if rename else name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    seal(folder)


def seal(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for shard in manifest["shards"]:
        data = (folder / shard["name"]).read_bytes()
        shard |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def readers(folder: Path) -> Iterator[Callable[[], object]]:
    """Everything that reads recipes."""
    where = str(folder)
    yield lambda: list(mfsynth.open(folder))
    yield lambda: list(mfsynth.open(folder, shuffle=1))
    yield lambda: list(mfsynth.open(folder).scenes())
    yield lambda: list(mfsynth.open(folder).select(lambda _: False))
    yield lambda: list(mfsynth.open(folder).recipes())
    yield lambda: mfsynth.open(folder)[0]
    yield lambda: list(ShardSource(where, 0, holding=False).epoch(0, Reader(), 0))
    yield lambda: open_data(f"shards:{where}")
    yield lambda: collect(where, lambda _done, _total: None)
    yield lambda: attribute(folder, mfsynth.Manifest.read(folder))


@pytest.mark.parametrize(
    "key",
    ["/victim/settings", "../../victim/settings", "000000000003-000/../x", "000000000003-0000", "", "."],
)
def test_a_key_that_is_not_the_formats_is_refused_by_every_reader(recipes: Path, key: str) -> None:
    forge_recipe(recipes, lambda recipe: recipe.update(key=key))
    for read in readers(recipes):
        with pytest.raises(ShardError, match=r"000000000003-000: the recipe's key is '.*', its image and"):
            read()
    found = verify(recipes, samples=0, workers=1).problem_lines()
    assert "sample 000000000003-000: the recipe's key is" in "\n".join(found)


def test_a_recipe_under_the_key_of_another_sample_is_refused_by_every_reader(recipes: Path) -> None:
    forge_recipe(recipes, lambda _: None, rename="000000000002-000")
    for read in readers(recipes):
        with pytest.raises(ShardError, match="its recipe is that of another sample, 000000000003-000"):
            read()


FRAMES: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "a frame less": (
        "recipe has 11 frames, the manifest says 12",
        lambda r: (r["frames"].pop(), r["optics"]["frames"].pop()),
    ),
    "a shot less": (
        "optics of 5 segments and 11 frames, of 5 and 12",
        lambda r: r["optics"]["frames"].pop(),
    ),
    "no optics": ("has format 2 and no optics", lambda r: r.pop("optics")),
    "another format": (
        "has planes beyond|its recipe has format 1, the manifest's layout has targets",
        lambda r: (r.pop("optics"), r.update(format=1)),
    ),
    "too many frames": (
        "frames",
        lambda r: (r.update(frames=r["frames"] * 30), r["optics"].update(frames=r["optics"]["frames"] * 30)),
    ),
    "a plane beyond": ("has planes beyond its 12 planes", lambda r: r["segments"][0].update(plane=12)),
    "an endless blur": ("malformed: Expected", lambda r: r["optics"].update(radius=1e9)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_stack_that_contradicts_its_manifest_is_refused(stacks: Path, name: str) -> None:
    text, change = FRAMES[name]
    forge_recipe(stacks, change)
    for data in (mfsynth.open(stacks), mfsynth.open(stacks).scenes()):
        with pytest.raises(ShardError, match=rf"sample 000000000003-000: .*({text})"):
            list(data)
    assert re.search(text, "\n".join(verify(stacks, samples=0, workers=1).problem_lines()))


def test_pairs_cannot_pass_for_stacks_with_targets(small_stacks: Path, tmp_path: Path) -> None:
    """Without targets, `nearest` would be the focus map and every pixel certain, which is not so."""
    shutil.copytree(small_stacks, tmp_path / "set")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    del manifest["layout"]["targets"]
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match="its recipe has format 2, the manifest's layout has no targets"):
        list(mfsynth.open(tmp_path / "set"))
    found = "\n".join(verify(tmp_path / "set", samples=0, workers=1).problem_lines())
    assert "manifest.json has options that do not match its split and layout" in found


def test_evaluate_writes_nothing_where_a_hostile_key_points(recipes: Path, tmp_path: Path, cli: Cli) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "settings.json").write_text("precious")
    before = tree(victim)
    forge_recipe(recipes, lambda recipe: recipe.update(key=str(victim / "settings")))
    run = cli("evaluate", "--methods", "average", "--data", f"shards:{recipes}", "--out", tmp_path / "scores")
    assert run.returncode == 1
    assert "the recipe's key is" in run.stderr
    assert "Traceback" not in run.stderr
    assert tree(victim) == before


@pytest.mark.parametrize("split", ["..", ".", "a/b", "/abs", "a b", "a\n", "ärger", "", "x" * 61, "pipe:x"])
def test_a_splits_name_in_a_manifest_is_never_a_path(recipes: Path, split: str) -> None:
    manifest = json.loads((recipes / "manifest.json").read_text())
    manifest |= {"split": split, "shards": [], "samples": 0}
    (recipes / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MfsynthError, match=r"is not the name of a split; the manifest was tampered with"):
        mfsynth.open(recipes)


def test_a_huge_data_set_that_is_not_there_costs_nothing(recipes: Path) -> None:
    """A manifest of petabytes and two billion samples agrees with itself; the shards do not agree with it."""
    content = json.loads((recipes / "manifest.json").read_text())
    for shard in content["shards"]:
        shard |= {"size": 1 << 50, "samples": 7 * 10**8}
    content["samples"] = 21 * 10**8
    (recipes / "manifest.json").write_text(json.dumps(content))
    error = r"small-00000\d.tar (has \d+ bytes|holds 6 samples)"
    tracemalloc.start()
    try:
        for check, shuffle in itertools.product((True, False), (None, 1)):
            data = mfsynth.open(recipes, check=check, shuffle=shuffle)
            with pytest.raises(ShardError, match=error):
                deque(data)
            with pytest.raises(ShardError, match=error):
                data[-1]
        with pytest.raises(ShardError, match=error):
            preview(str(recipes), recipes / "page.html", seed=1)
        found = verify(recipes, workers=1).problem_lines()
        assert sum(f"bytes, the manifest says {1 << 50}" in line for line in found) == 3
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
