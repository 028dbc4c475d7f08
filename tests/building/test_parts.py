"""Side files and the numbers of shards: what a resumed build believes, and what it makes again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Picture, write_coco
from conftest import Cli, tree

import mfsynth
from mfsynth import Manifest
from mfsynth.building.run import Run, build
from mfsynth.errors import OutputError
from mfsynth.options import BuildOptions

OPTIONS = BuildOptions("s", shards=3, variants=2)


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures under two licenses; of shard 1, one picture is missing."""
    root = tmp_path_factory.mktemp("coco")
    write_coco(root, "s", [Picture(number, license=4 + number % 2) for number in range(1, 7)])
    (root / "s" / Picture(3).name).unlink()
    return root


@pytest.fixture(scope="module")
def whole(coco: Path) -> Path:
    build(OPTIONS, Run(coco, coco / "whole", workers=1))
    return coco / "whole"


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> Path:
    """The data set as a kill before its manifest leaves it."""
    shutil.copytree(whole, tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    return tmp_path / "out"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, each in inner for place in leaves(each, (*path, name)))]


def changed(value: Any) -> Any:
    """Another value of the same kind, which decodes as well."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return value[:-1] if isinstance(value, list) else {}


def test_no_changed_side_file_is_sealed(coco: Path, whole: Path, stopped: Path) -> None:
    """Every value in it, changed to others: the shard is made again, and the data set is the same."""
    file = stopped / ".parts" / "s-000001.json"
    original = json.loads(file.read_text())
    before = tree(whole)
    for place in leaves(original)[1:]:
        if place[0] == "origin" and len(place) > 2:
            continue  # there are many, and all are hashed alike
        parent = original
        for name in place[:-1]:
            parent = parent[name]
        kept = parent[place[-1]]
        parent[place[-1]] = changed(kept)
        file.write_text(json.dumps(original))
        parent[place[-1]] = kept
        (stopped / "manifest.json").unlink(missing_ok=True)
        assert build(OPTIONS, Run(coco, stopped, workers=1)).made == 1, place
        assert tree(stopped) == before, place


def seal(part: dict[str, Any]) -> None:
    """Make the digest fit again."""
    import hashlib

    rest = {name: value for name, value in part.items() if name != "digest"}
    part["digest"] = hashlib.sha256(
        json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no change": lambda part: None,
    "more samples": lambda part: part["shard"].update(samples=4),
    "negative samples": lambda part: part["shard"].update(samples=-1),
    "no samples": lambda part: part["shard"].update(samples=0),
    "a license less": lambda part: part["licenses"].clear(),
    "another license": lambda part: part.update(licenses={"9": 2}),
    "nothing left out": lambda part: part.update(left_out=[]),
    "another image left out": lambda part: part["left_out"][0].update(image_id=666),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_counts_come_from_the_shard(coco: Path, whole: Path, stopped: Path, forgery: str) -> None:
    """Even where the digest fits."""
    file = stopped / ".parts" / "s-000001.json"
    part = json.loads(file.read_text())
    FORGERIES[forgery](part)
    seal(part)
    file.write_text(json.dumps(part, separators=(",", ":")))
    made = build(OPTIONS, Run(coco, stopped, workers=1)).made
    assert made == (forgery != "no change")
    assert tree(stopped) == tree(whole)


def test_a_side_file_with_an_origin_needs_its_digest(coco: Path, whole: Path, stopped: Path) -> None:
    file = stopped / ".parts" / "s-000001.json"
    part = json.loads(file.read_text())
    del part["digest"]
    file.write_text(json.dumps(part))
    assert build(OPTIONS, Run(coco, stopped, workers=1)).made == 1
    assert tree(stopped) == tree(whole)


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"shard": "\xff"}', b"[]"]
)
def test_a_broken_side_file_costs_its_shard_only(
    coco: Path, whole: Path, stopped: Path, text: bytes, cli: Cli
) -> None:
    (stopped / ".parts" / "s-000001.json").write_bytes(text)
    assert build(OPTIONS, Run(coco, stopped, workers=1)).made == 1
    assert tree(stopped) == tree(whole)
    (stopped / ".parts" / "build.json").write_bytes(text)
    run = cli("build", "--split", "s", "--coco", coco, "--out", stopped, "--shards", "3", "--variants", "2")
    assert run.returncode == 1
    assert f"{stopped / '.parts' / 'build.json'} is " in run.stderr
    assert "--overwrite" in run.stderr
    assert "Traceback" not in run.stderr


# --- shards without samples ---------------------------------------------------------------------------


def without(tmp_path: Path, *numbers: int) -> Path:
    """Six pictures in three shards, some of them missing."""
    write_coco(tmp_path / "coco", "s", [Picture(number) for number in range(1, 7)])
    for number in numbers:
        (tmp_path / "coco" / "s" / Picture(number).name).unlink()
    return tmp_path / "coco"


@pytest.mark.parametrize("gone", [(1, 2), (3, 4), (5, 6), (1, 2, 3, 4)])
def test_no_empty_shard_is_made(tmp_path: Path, gone: tuple[int, ...]) -> None:
    coco, out = without(tmp_path, *gone), tmp_path / "out"
    report = build(OPTIONS, Run(coco, out, workers=1))
    shards = 3 - len(gone) // 2
    assert (report.shards, report.closed, report.samples) == (shards, len(gone) // 2, 2 * (6 - len(gone)))
    assert (report.made, report.kept) == (shards, 0)
    assert f"3 shards requested, {shards} made: no image of the others can be used" in report.lines()
    assert sorted(path.name for path in out.glob("*.tar")) == [f"s-00000{k}.tar" for k in range(shards)]
    assert [sample.recipe.image.id for sample in mfsynth.open(out)] == [
        number for number in range(1, 7) if number not in gone for _ in range(2)
    ]
    assert not mfsynth.verify(out, workers=1).problems
    assert build(OPTIONS, Run(coco, out, workers=1)).finished


def test_a_set_that_closed_up_is_repaired_and_made_again(tmp_path: Path, cli: Cli) -> None:
    coco, out = without(tmp_path, 1, 2), tmp_path / "out"
    build(OPTIONS, Run(coco, out, workers=1))
    before = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    (out / "s-000001.tar").write_bytes(b"damaged")
    assert cli("verify", out, "--repair", "--coco", coco, "--workers", "1").returncode == 0
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")} == before
    made = build(OPTIONS, Run(coco, tmp_path / "again", workers=1), Manifest.read(out))
    assert made.closed == 1


def test_a_kill_while_closing_up_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build is stopped after each number of renamed shards."""
    coco, done = without(tmp_path, 1, 2), tmp_path / "done"
    build(OPTIONS, Run(coco, done, workers=1))
    for moved in range(2):
        out = tmp_path / f"out{moved}"
        shutil.copytree(done, out)
        (out / "manifest.json").unlink()
        for number in reversed(range(moved, 2)):
            (out / f"s-00000{number}.tar").rename(out / f"s-00000{number + 1}.tar")
        build(OPTIONS, Run(coco, out, workers=1))
        assert tree(out) == tree(done)


# --- links and leftovers ------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_parts_that_are_a_link_are_refused(
    coco: Path, stopped: Path, tmp_path: Path, cli: Cli, more: list[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (stopped / ".parts").rename(elsewhere)
    (stopped / ".parts").symlink_to(elsewhere)
    before = tree(elsewhere)
    run = cli("build", "--split", "s", "--coco", coco, "--out", stopped, *more)
    assert run.returncode == 1
    assert f"{stopped / '.parts'} is a symbolic link" in run.stderr
    assert tree(elsewhere) == before


@pytest.mark.parametrize("kept", [True, False])
def test_a_repair_leaves_no_more_files_than_before(
    coco: Path, whole: Path, tmp_path: Path, cli: Cli, kept: bool
) -> None:
    """A copy without side files stays one; with them, they stay as they were."""
    out = tmp_path / "set"
    shutil.copytree(whole, out)
    if not kept:
        shutil.rmtree(out / ".parts")
    before = tree(out)
    (out / "s-000001.tar").unlink()
    assert cli("verify", out, "--repair", "--coco", coco, "--workers", "1").returncode == 0
    assert tree(out) == before


def test_a_link_in_place_of_parts_stops_a_repair(coco: Path, whole: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "set"
    shutil.copytree(whole, out)
    (out / ".parts").rename(tmp_path / "elsewhere")
    (out / ".parts").symlink_to(tmp_path / "elsewhere")
    (out / "s-000001.tar").unlink()
    run = cli("verify", out, "--repair", "--coco", coco, "--workers", "1")
    assert run.returncode == 1
    assert "is a symbolic link" in run.stderr


def test_a_folder_whose_name_is_not_utf_8(coco: Path, tmp_path: Path, cli: Cli) -> None:
    out = os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")
    command = ["build", "--split", "s", "--coco", coco, "--out", out]
    for _ in range(2):
        run = cli(*command, errors="replace")
        assert run.returncode == 0, run.stderr
        assert "5 samples in 1 shard" in run.stdout
    assert cli("verify", out, errors="replace").returncode == 0


def test_a_file_in_place_of_parts_is_refused(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".parts").write_text("")
    with pytest.raises(OutputError, match=r"\.parts is not a folder"):
        build(OPTIONS, Run(coco, tmp_path / "out"))
