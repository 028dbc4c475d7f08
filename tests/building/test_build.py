"""Whole builds, through the command line or the function behind it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from coco_folder import Picture, edit_annotations, save_annotations, write_coco
from conftest import STACK, Cli, tree

import mfsynth
from mfsynth import Manifest
from mfsynth.building.estimate import estimate
from mfsynth.building.run import Run, build
from mfsynth.errors import BuildError, OutputError, SourceError
from mfsynth.options import BuildOptions

OPTIONS = BuildOptions("small", variants=2, shards=3, noise=(0.0, 0.1))


@pytest.fixture
def built(small_pairs: Path) -> Path:
    """A data set made with these options by one worker."""
    return small_pairs


def test_bytes_do_not_depend_on_workers_folder_or_date(built: Path, small_coco: Path, tmp_path: Path) -> None:
    shutil.copytree(small_coco, tmp_path / "coco")
    build(OPTIONS, Run(tmp_path / "coco", tmp_path / "elsewhere", workers=2))
    assert tree(tmp_path / "elsewhere") == tree(built)


def test_the_folder_holds_what_the_format_says_and_nothing_else(built: Path) -> None:
    names = [f"small-{index:06d}" for index in range(3)]
    assert set(tree(built)) == {
        "manifest.json",
        ".parts/build.json",
        *(f"{name}.tar" for name in names),
        *(f".parts/{name}.json" for name in names),
    }


def test_no_clock_host_or_path_is_in_it(built: Path, small_coco: Path) -> None:
    for path in built.rglob("*.json"):
        assert str(small_coco) not in path.read_text()
        assert str(built) not in path.read_text()


def test_members_are_plain_ustar_in_the_documented_order(built: Path) -> None:
    import tarfile

    with tarfile.open(built / "small-000000.tar") as archive:
        members = archive.getmembers()
    fields = ["json", "gt.jpg", "segments.png", "focus.png", "frame0.png", "frame1.png"]
    keys = [f"{id:012d}-{variant:03d}" for id in (3, 13, 23) for variant in (0, 1)]
    assert [member.name for member in members] == [f"{key}.{field}" for key in keys for field in fields]
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
        assert member.mode == 0o644


def test_gt_is_the_sources_own_bytes(built: Path, small_coco: Path) -> None:
    import tarfile

    with tarfile.open(built / "small-000000.tar") as archive:
        member = archive.extractfile("000000000013-000.gt.jpg")
        assert member is not None
        assert member.read() == (small_coco / "small" / "000000000013.jpg").read_bytes()


def test_samples_obey_equation_1(small_coco: Path, tmp_path: Path) -> None:
    build(BuildOptions("small"), Run(small_coco, tmp_path / "out"))
    for sample in mfsynth.open(tmp_path / "out"):
        source = cv2.imread(str(small_coco / "small" / sample.recipe.image.file_name))
        assert np.array_equal(sample.gt, source[..., ::-1])
        planes = np.array([segment.plane for segment in sample.recipe.segments])
        assert np.array_equal(sample.focus, planes[sample.segments])
        for index, frame in enumerate(sample.frames):
            assert np.array_equal(frame[sample.focus == index], sample.gt[sample.focus == index])
            assert not np.array_equal(frame, sample.gt)


def test_other_shards_store_or_format_change_no_recipe(built: Path, small_coco: Path, tmp_path: Path) -> None:
    other = BuildOptions("small", variants=2, shards=5, noise=(0.0, 0.1), store="recipe", format="jpeg")
    build(other, Run(small_coco, tmp_path / "out"))
    assert [s.recipe for s in mfsynth.open(tmp_path / "out")] == [s.recipe for s in mfsynth.open(built)]


def test_building_again_has_nothing_to_do(built: Path, small_coco: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    report = build(OPTIONS, Run(small_coco, built))
    assert (report.made, report.kept, report.samples) == (0, 3, 18)
    assert report.lines()[0].startswith("nothing to do: 18 samples in 3 shards")
    assert report.lines()[0].endswith("their sizes are right, `mfsynth verify` compares content")
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.name != ".parts"} == {
        path: time for path, time in before.items() if path.name != ".parts"
    }


def test_missing_and_damaged_shards_are_made_again(built: Path, small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (out / "small-000001.tar").unlink()
    assert build(OPTIONS, Run(small_coco, out)).made == 1
    assert tree(out) == tree(built)
    (out / "manifest.json").unlink()  # as if the build had been killed before the seal
    damaged = bytearray((out / "small-000002.tar").read_bytes())
    damaged[5000] ^= 1
    (out / "small-000002.tar").write_bytes(damaged)
    (out / ".parts" / "small-000000.json").write_text('{"shard":')
    (out / ".parts" / "tmp-left").write_bytes(b"half a shard")
    report = build(OPTIONS, Run(small_coco, out))
    assert (report.made, report.kept) == (2, 1)
    assert tree(out) == tree(built)


def test_other_options_are_refused_with_their_differences(built: Path, small_coco: Path) -> None:
    before = tree(built)
    other = BuildOptions("small", variants=2, shards=3, noise=(0.0, 0.2), seed=5)
    with pytest.raises(
        OutputError, match=r"noise: \[0.0, 0.1\] there, \[0.0, 0.2\] requested\n  seed: 0 there, 5"
    ):
        build(other, Run(small_coco, built))
    assert tree(built) == before


def test_other_data_is_refused_naming_the_files(built: Path, small_coco: Path, tmp_path: Path) -> None:
    shutil.copytree(small_coco, tmp_path / "coco")
    picture = tmp_path / "coco" / "small" / "000000000013.jpg"
    size = picture.stat().st_size
    picture.write_bytes(picture.read_bytes() + b"\0\0")
    (tmp_path / "coco" / "panoptic_small" / "000000000023.png").unlink()
    with pytest.raises(OutputError) as caught:
        build(OPTIONS, Run(tmp_path / "coco", built))
    assert f"small/000000000013.jpg: {size:,} bytes there, {size + 2:,} bytes now" in str(caught.value)
    assert "panoptic_small/000000000023.png:" in str(caught.value)
    assert "missing now" in str(caught.value)


def test_other_package_versions_are_refused(built: Path, small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    path = out / ".parts" / "build.json"
    path.write_text(path.read_text().replace(f'"opencv":"{cv2.__version__}"', '"opencv":"4.0"'))
    made = (
        f"made with other versions, whose bytes may differ: opencv {cv2.__version__} \\(was 4.0\\); use it as"
    )
    with pytest.raises(OutputError, match=made):
        build(OPTIONS, Run(small_coco, out))
    (out / "manifest.json").unlink()
    with pytest.raises(
        OutputError, match=r"started with other versions.*finish it with those, choose another --out"
    ):
        build(OPTIONS, Run(small_coco, out))


def test_overwrite_replaces_the_data_set_and_leaves_other_files(
    built: Path, small_coco: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (out / "notes.txt").write_text("mine")
    other = BuildOptions("small", shards=1)
    build(other, Run(small_coco, out, overwrite=True))
    assert {path.name for path in out.iterdir()} == {
        ".parts",
        "manifest.json",
        "notes.txt",
        "small-000000.tar",
    }
    assert Manifest.read(out).samples == 9


def test_overwrite_goes_on_with_what_a_killed_build_left(
    built: Path, small_coco: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (out / "manifest.json").unlink()  # as if the build had been killed before the seal
    (out / "small-000001.tar").unlink()
    report = build(OPTIONS, Run(small_coco, out, overwrite=True))
    assert (report.made, report.kept) == (1, 2)
    assert build(OPTIONS, Run(small_coco, out, overwrite=True)).made == 3  # a finished set is made anew
    (out / "manifest.json").unlink()
    (out / ".parts" / "build.json").unlink()  # as if it had been killed while it cleared the folder
    assert build(OPTIONS, Run(small_coco, out, overwrite=True)).made == 3
    (out / "manifest.json").unlink()
    (out / ".parts" / "build.json").write_text("{")
    assert build(OPTIONS, Run(small_coco, out, overwrite=True)).made == 3
    assert tree(out) == tree(built)


def test_a_build_that_only_seals_says_so(built: Path, small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (out / "manifest.json").unlink()
    report = build(OPTIONS, Run(small_coco, out))
    assert (report.made, report.kept) == (0, 3)
    assert report.lines()[0].startswith("made 18 samples in 3 shards")
    assert report.lines()[0].endswith("; 3 shards kept from before")
    assert tree(out) == tree(built)


def test_a_finished_set_without_its_parts_is_known_by_its_manifest(
    built: Path, small_coco: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out, ignore=shutil.ignore_patterns(".parts"))
    assert build(OPTIONS, Run(small_coco, out)).lines()[0].startswith("nothing to do: 18 samples")
    with pytest.raises(OutputError, match=r"holds another data set; it differs in\n  seed: 0 there, 5"):
        build(replace(OPTIONS, seed=5), Run(small_coco, out))
    shutil.copytree(small_coco, tmp_path / "coco")
    picture = tmp_path / "coco" / "small" / "000000000013.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0\0")
    with pytest.raises(OutputError, match=r"it differs in\n  names and sizes of the pictures; choose"):
        build(OPTIONS, Run(tmp_path / "coco", out))
    (out / "small-000001.tar").unlink()
    assert build(OPTIONS, Run(small_coco, out)).made == 3
    assert tree(out) == tree(built)


def test_a_damaged_manifest_comes_with_the_remedy(built: Path, small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (out / "manifest.json").write_text("{")
    with pytest.raises(OutputError, match=r"manifest.json is not JSON: .*delete it and build again"):
        build(OPTIONS, Run(small_coco, out))
    (out / "manifest.json").unlink()
    assert build(OPTIONS, Run(small_coco, out)).kept == 3
    assert tree(out) == tree(built)


def test_a_folder_of_somebody_elses_files_is_refused(small_coco: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("\\\\begin")
    with pytest.raises(OutputError, match="is not empty, and mfsynth did not create"):
        build(OPTIONS, Run(small_coco, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_manifest_makes_the_same_data_set_again(
    built: Path, small_coco: Path, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "again"
    run = cli("build", "--from", built / "manifest.json", "--coco", small_coco, "--out", out)
    assert run.returncode == 0, run.stderr
    assert tree(out) == tree(built)


def test_a_manifest_with_other_inputs_names_which(built: Path, small_coco: Path, tmp_path: Path) -> None:
    shutil.copytree(small_coco, tmp_path / "coco")
    mask = tmp_path / "coco" / "panoptic_small" / "000000000013.png"
    mask.write_bytes(mask.read_bytes() + b"\0")
    with pytest.raises(SourceError, match=r"differs in the names and sizes of the masks"):
        build(OPTIONS, Run(tmp_path / "coco", tmp_path / "out"), Manifest.read(built))
    assert not (tmp_path / "out").exists()


def test_a_manifest_whose_pictures_changed_inside_is_not_met(
    built: Path, small_coco: Path, tmp_path: Path
) -> None:
    """Same names and sizes, other content: found out by the shards' hashes."""
    shutil.copytree(small_coco, tmp_path / "coco")
    picture = tmp_path / "coco" / "small" / "000000000013.jpg"
    data = bytearray(picture.read_bytes())
    data[-20] ^= 4
    picture.write_bytes(data)
    for _ in range(2):  # the second build finds the first one's data set
        with pytest.raises(
            BuildError,
            match=r"1 of 3 shards differ from those in the manifest; the first is small-000000.tar",
        ):
            build(OPTIONS, Run(tmp_path / "coco", tmp_path / "out"), Manifest.read(built))


def test_a_manifest_with_another_number_of_shards_is_not_met(
    built: Path, small_coco: Path, tmp_path: Path
) -> None:
    like = Manifest.read(built)
    fewer = replace(like, shards=like.shards[:2], samples=12)
    with pytest.raises(BuildError, match=r"the options give 3 shards, the manifest has 2"):
        build(OPTIONS, Run(small_coco, tmp_path / "out"), fewer)


def test_a_manifest_may_have_any_name(built: Path, small_coco: Path, tmp_path: Path, cli: Cli) -> None:
    shutil.copy(built / "manifest.json", tmp_path / "mymanifest.json")
    out = tmp_path / "again"
    run = cli("build", "--from", "mymanifest.json", "--coco", small_coco, "--out", out, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert tree(out) == tree(built)


def test_pictures_that_are_not_jpeg_are_stored_as_png(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(1, suffix=".png"), Picture(2)])
    sixteen = np.random.Generator(np.random.Philox(key=1)).integers(0, 65536, (40, 56, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "s" / "000000000001.png"), sixteen)
    build(BuildOptions("s"), Run(tmp_path, tmp_path / "out"))
    first, second = mfsynth.open(tmp_path / "out")
    assert Manifest.read(tmp_path / "out").layout.gt == "png"
    assert np.array_equal(first.gt, (sixteen >> 8).astype(np.uint8)[..., ::-1])
    assert np.array_equal(second.gt, cv2.imread(str(tmp_path / "s" / "000000000002.jpg"))[..., ::-1])


def test_licenses_are_counted(small_coco: Path, built: Path) -> None:
    (count,) = Manifest.read(built).licenses
    assert (count.id, count.name, count.samples) == (4, "Attribution License", 18)


def test_the_commands_report_as_json(small_coco: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    run = cli("build", "--split", "small", "--coco", small_coco, "--out", out, "--json")
    report = json.loads(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert (report["samples"], report["shards"], report["made"], report["left_out"]) == (9, 1, 1, {})
    assert report["bytes"] == (out / "small-000000.tar").stat().st_size


def test_dry_run_writes_nothing_and_is_about_right(small_coco: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    command = ["build", "--split", "small", "--coco", small_coco, "--variants", 4, "--out", out]
    expected = json.loads(cli(*command, "--dry-run", "--json").stdout)
    assert not out.exists()
    report = json.loads(cli(*command, "--json").stdout)
    assert expected["samples"] == report["samples"] == 36
    assert expected["bytes"] == pytest.approx(report["bytes"], rel=0.2)


def test_dry_run_counts_every_frame_and_target(small_coco: Path, small_stacks: Path, tmp_path: Path) -> None:
    options = BuildOptions("small", variants=2, shards=3, noise=(0.0, 0.1), **STACK)
    found = estimate(options, Run(small_coco, tmp_path / "out"))
    assert found.bytes == pytest.approx(Manifest.read(small_stacks).shards[0].size * 3, rel=0.25)
    assert found.lines()[0].startswith("would make 18 samples of 12 frames in 3 shards, about ")
    assert found.to_json()["frames"] == 12


def test_dry_run_heeds_strict_and_the_manifest(
    built: Path, small_coco: Path, tmp_path: Path, cli: Cli
) -> None:
    coco = tmp_path / "coco"
    shutil.copytree(small_coco, coco)
    dry = ["build", "--coco", coco, "--out", tmp_path / "out", "--dry-run"]
    assert cli(*dry, "--from", built / "manifest.json").stdout.startswith("would make 18 samples")
    content = edit_annotations(coco, "small")
    del content["annotations"][0]
    save_annotations(coco, "small", content)
    other = cli(*dry, "--from", built / "manifest.json")
    assert other.returncode == 1
    assert "was made from other data; it differs in annotations/panoptic_small.json" in other.stderr
    strict = cli(*dry, "--split", "small", "--strict")
    assert strict.returncode == 1
    assert "image 3 cannot be used: the annotations list no mask for it; --strict is on" in strict.stderr


def test_val2017_is_accounted_for(shared_coco: Path, tmp_path: Path) -> None:
    report = build(BuildOptions("val2017", shards=64), Run(shared_coco, tmp_path / "out"))
    assert (report.samples, report.shards, report.closed) == (101, 64, 0)
    assert report.left_out == {"min-area": (205289,)}
