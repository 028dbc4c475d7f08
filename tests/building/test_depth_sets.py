"""Data sets of depth maps: built, verified, repaired, built again, and live; what is left out, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_folder import Picture, write_coco
from conftest import Cli, tree

import mfsynth
from mfsynth import Manifest
from mfsynth.building.run import Run, build
from mfsynth.errors import BuildError, OptionsError, OutputError, SourceError
from mfsynth.options import BuildOptions
from mfsynth.shards.manifest import fingerprint

OPTIONS = BuildOptions("s", frames=6, depth="near", kernel="disk", boundary="spread", shards=2)


def depth_of(picture: Picture) -> np.ndarray:
    """Slanted ground, and something near that stands on it: H x W, uint8."""
    rows, columns = np.mgrid[: picture.height, : picture.width]
    near = (rows - 18) ** 2 + (columns - 30) ** 2 < 80
    values: np.ndarray = np.where(near, 250, 5 * rows)
    return values.astype(np.uint8)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Three pictures, ids 1 to 3, without masks or annotations; their depth maps are in `maps`."""
    pictures = [Picture(id) for id in (1, 2, 3)]
    write_coco(tmp_path / "coco", "s", pictures)
    shutil.rmtree(tmp_path / "coco" / "panoptic_s")
    shutil.rmtree(tmp_path / "coco" / "annotations")
    (tmp_path / "maps").mkdir()
    for each in pictures:
        cv2.imwrite(str(tmp_path / "maps" / f"{each.id:012d}.png"), depth_of(each))
    return tmp_path / "coco"


def run_of(coco: Path, out: str = "out", **how: Any) -> Run:
    return Run(coco, coco.parent / out, workers=1, depth_maps=coco.parent / "maps", **how)


def map_of(coco: Path, id: int = 2) -> Path:
    return coco.parent / "maps" / f"{id:012d}.png"


def test_a_set_is_built_verified_repaired_and_built_again(coco: Path, tmp_path: Path, cli: Cli) -> None:
    maps, out, again = tmp_path / "maps", tmp_path / "out", tmp_path / "again"
    options = ["--depth", maps, "--frames", 6, "--kernel", "disk", "--boundary", "spread", "--shards", 2]
    built = cli("build", "--split", "s", "--coco", coco, "--out", out, *options)
    assert built.returncode == 0, built.stderr
    assert "there is no annotations/panoptic_s.json: taking all of s/, 3 pictures" in built.stderr
    assert "made 3 samples in 2 shards" in built.stdout
    assert "is intact: 3 samples in 2 shards, all drawn again" in cli("verify", out).stdout
    assert "depth near" in cli("info", out).stdout

    without = cli("build", "--from", out, "--coco", coco, "--out", again)
    assert without.returncode == 2
    assert "come from depth maps; give the folder that has them: --depth DIR" in without.stderr
    assert cli("build", "--from", out, "--coco", coco, "--out", again, "--depth", maps).returncode == 0
    assert tree(again) == tree(out)

    shard = again / "s-000001.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert cli("verify", again, "--repair", "--coco", coco).returncode == 2
    repaired = cli("verify", again, "--repair", "--coco", coco, "--depth", maps)
    assert repaired.returncode == 0, repaired.stderr
    assert tree(again) == tree(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--split", "s", "--depth-far-is-large"], "needs --depth DIR"),
        (["--from", "x", "--depth", "maps", "--depth-far-is-large"], "omit --depth-far-is-large"),
        (["--split", "s", "--depth", "maps", "--order", "layout"], "--order has no effect with --depth"),
        (["--split", "s", "--depth", "maps", "--min-sharpness", "2"], "--min-sharpness has no effect with"),
    ],
)
def test_options_that_contradict_depth_maps_are_refused(cli: Cli, words: list[str], said: str) -> None:
    run = cli("build", *words)
    assert run.returncode != 0
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_live_samples_are_those_of_a_build(coco: Path, tmp_path: Path) -> None:
    """Also from Python's own build, whose keyword is the same; depth maps mean that near is large."""
    report = mfsynth.build(
        "s", coco=coco, out=tmp_path / "out", depth_maps=tmp_path / "maps", frames=3, workers=1
    )
    assert report.samples == 3
    assert Manifest.read(tmp_path / "out").options["depth"] == "near"
    live = mfsynth.synthesize(coco, "s", depth_maps=tmp_path / "maps", frames=3)
    for stored, made in zip(mfsynth.open(tmp_path / "out"), live, strict=True):
        assert stored.recipe == made.recipe
        assert np.array_equal(stored.segments, made.segments)
        assert np.array_equal(stored.focus, made.focus)
        assert all(map(np.array_equal, stored.frames, made.frames))
    again = mfsynth.build(
        "s", coco=coco, out=tmp_path / "again", depth_maps=tmp_path / "maps", like=tmp_path / "out"
    )
    assert again.samples == 3
    assert tree(tmp_path / "again") == tree(tmp_path / "out")
    with pytest.raises(OptionsError, match="like sets everything that decides content"):
        mfsynth.build("s", coco=coco, depth="far", depth_maps=tmp_path / "maps", like=tmp_path / "out")


def test_realistic_sets_have_layers_for_planes(coco: Path, tmp_path: Path) -> None:
    """The preset's order and its rule for sharpness are about masks."""
    live = mfsynth.synthesize(coco, "s", depth_maps=tmp_path / "maps", preset="realistic", frames=6)
    assert (live.options.order, live.options.min_sharpness) == ("random", 0.0)
    scene = next(iter(live.scenes()))
    assert [segment.plane for segment in scene.recipe.segments] == [
        segment.id - 1 for segment in scene.recipe.segments
    ]


def test_16_bits_and_tiff_make_the_same_samples(coco: Path) -> None:
    build(OPTIONS, run_of(coco))
    for id in (1, 2, 3):
        values = cv2.imread(str(map_of(coco, id)), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 200 + 7
        map_of(coco, id).unlink()
        cv2.imwrite(str(map_of(coco, id).with_suffix(".tif")), values)
    build(OPTIONS, run_of(coco, "other"))
    for name in ("s-000000.tar", "s-000001.tar"):
        assert (coco.parent / "out" / name).read_bytes() == (coco.parent / "other" / name).read_bytes()


FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("depth-missing", Path.unlink),
    "cut": ("depth-broken", lambda path: path.write_bytes(path.read_bytes()[:-9])),
    "flat": ("depth-flat", lambda path: cv2.imwrite(str(path), np.full((40, 56), 9, np.uint8))),
    "almost flat": ("min-area", lambda path: cv2.imwrite(str(path), np.eye(40, 56, dtype=np.uint8) * 9)),
}


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_unusable_image_is_left_out_by_reason(
    coco: Path, tmp_path: Path, fault: str, annotated: bool
) -> None:
    if annotated:
        write_coco(coco, "s", [Picture(id) for id in (1, 2, 3)])
    reason, spoil = FAULTS[fault]
    spoil(map_of(coco))
    options = BuildOptions("s", frames=3, depth="near", min_area=0.03)
    report = build(options, run_of(coco))
    assert report.left_out == {reason: (2,)}
    assert report.samples == 2
    assert mfsynth.verify(tmp_path / "out", workers=1).ok
    assert build(options, run_of(coco)).made == 0
    with pytest.raises(BuildError, match="image 2 cannot be used"):
        build(options, run_of(coco, "strict", strict=True))
    assert str(tmp_path) not in (tmp_path / "out" / ".parts" / "s-000000.json").read_text()


def test_a_dry_run_counts_depth_maps(coco: Path, tmp_path: Path, cli: Cli) -> None:
    write_coco(coco, "s", [Picture(id) for id in (1, 2, 3)])
    map_of(coco).unlink()
    command = ["build", "--split", "s", "--coco", coco, "--depth", tmp_path / "maps", "--dry-run"]
    run = cli(*command)
    assert "from 6 files (pictures and depth maps) and annotations/panoptic_s.json" in run.stdout
    assert json.loads(cli(*command, "--json").stdout)["left_out"] == {"depth-missing": [2]}


def test_other_maps_are_another_data_set(coco: Path, tmp_path: Path) -> None:
    build(OPTIONS, run_of(coco))
    map_of(coco).write_bytes(map_of(coco, 1).read_bytes() + b"more")
    with pytest.raises(
        OutputError, match=r"holds another data set; it differs in\n  depth_s/000000000002.png"
    ):
        build(OPTIONS, run_of(coco))
    shutil.rmtree(tmp_path / "out" / ".parts")
    with pytest.raises(OutputError, match="names and sizes of the depth maps"):
        build(OPTIONS, run_of(coco))
    with pytest.raises(SourceError, match="it differs in the names and sizes of the depth maps"):
        build(OPTIONS, run_of(coco, "again"), Manifest.read(tmp_path / "out"))


def test_a_forged_manifest_is_noticed(coco: Path, tmp_path: Path) -> None:
    build(OPTIONS, run_of(coco))
    path = tmp_path / "out" / "manifest.json"
    whole = json.loads(path.read_text())
    assert whole["inputs"]["annotations"] == "s/"
    for name, value, said in (
        ("depth_maps", "", "not those of depth maps"),
        ("masks", "0" * 64, "not those of depth maps"),
        ("annotations", "t/", "not those of depth maps"),
        ("depth_maps", "1" * 64, "do not match their fingerprint"),
    ):
        forged = json.loads(json.dumps(whole))
        forged["inputs"][name] = value
        path.write_text(json.dumps(forged))
        lines = mfsynth.verify(tmp_path / "out", samples=0, workers=1).problem_lines()
        assert any(said in line for line in lines), name


def test_recipes_that_are_no_layers_are_noticed(coco: Path, tmp_path: Path) -> None:
    """A set of masks, whose manifest says that it is one of depth maps."""
    write_coco(coco, "s", [Picture(id) for id in (1, 2, 3)])
    build(BuildOptions("s", frames=6, planes=16), Run(coco, tmp_path / "out", workers=1))
    path = tmp_path / "out" / "manifest.json"
    forged = json.loads(path.read_text())
    forged["options"] |= {"depth": "near"}
    forged["options_fingerprint"] = fingerprint(forged["options"])
    path.write_text(json.dumps(forged))
    lines = mfsynth.verify(tmp_path / "out", samples=0, workers=1).problem_lines()
    assert any("its segments are not 16 layers of a depth map" in line for line in lines)


def test_a_set_of_masks_says_nothing_of_depth_maps(coco: Path, tmp_path: Path) -> None:
    """So that older releases read it."""
    write_coco(coco, "s", [Picture(1)])
    build(BuildOptions("s"), Run(coco, tmp_path / "plain", workers=1))
    for name in ("manifest.json", ".parts/build.json"):
        assert "depth" not in (tmp_path / "plain" / name).read_text()
