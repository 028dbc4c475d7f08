"""What a build, or a dry run, says of images that cannot be used: how many, why, which, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from coco_folder import Picture, edit_annotations, save_annotations, write_coco
from conftest import Cli

from mfsynth.building.report import BuildReport
from mfsynth.building.run import Run, build
from mfsynth.errors import BuildError, SourceError
from mfsynth.options import BuildOptions


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Eight pictures: 2 and 5 are missing, 3 is empty, 4 has no width, a record has no id, 7 has no mask."""
    folder = tmp_path / "coco"
    write_coco(folder, "s", [Picture(id) for id in range(1, 9)])
    for id in (2, 5):
        (folder / "s" / f"{id:012d}.jpg").unlink()
    (folder / "s" / f"{3:012d}.jpg").write_bytes(b"")
    (folder / "panoptic_s" / f"{7:012d}.png").unlink()
    content = edit_annotations(folder, "s")
    del content["images"][3]["width"]
    content["images"].append({"file_name": "x.jpg"})
    save_annotations(folder, "s", content)
    return folder


NO_WIDTH = "  image 4 cannot be used: images[3]: it has no width"
NOT_THERE = (
    "  image 2 cannot be used: panoptic_s.json: '000000000002.jpg' is not there; "
    "looked for 's/000000000002.jpg'"
)
NO_MASK = (
    "  image 7 cannot be used: panoptic_s.json: '000000000007.png' is not there; "
    "looked for 'panoptic_s/000000000007.png'"
)
EMPTY = "  image 3 cannot be used: 000000000003.jpg is empty"
NO_ID = "  images[8]: it has no id: this record is skipped"


def test_each_reason_comes_with_an_example(coco: Path, tmp_path: Path) -> None:
    first, *lines = build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1)).lines()
    assert first.startswith("made 3 samples in 1 shard")
    assert [line for line in lines if line.startswith(" ")] == [NO_WIDTH, NO_MASK, EMPTY, NOT_THERE, NO_ID]
    assert [line.partition(" (")[0] for line in lines if not line.startswith(" ")] == [
        "left out 1: bad-record",
        "left out 1: mask-missing",
        "left out 1: picture-broken",
        "left out 2: picture-missing",
        "skipped 1 record of the annotations: stray-record",
    ]
    assert lines[6].endswith("): 2, 5")
    again = build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1))
    assert again.finished
    assert again.lines()[1:] == lines


def test_a_copy_without_side_files_says_what_the_annotations_tell(coco: Path, tmp_path: Path) -> None:
    build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1))
    (tmp_path / "out" / ".parts" / "s-000000.json").write_text("{")
    again = build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1))
    assert again.examples == {"bad-record": NO_WIDTH.strip(), "stray-record": NO_ID.strip()}


def test_a_dry_run_knows_what_is_missing_and_says_what_it_tried(coco: Path, tmp_path: Path, cli: Cli) -> None:
    command = ["build", "--split", "s", "--coco", coco, "--out", tmp_path / "out", "--variants", 2]
    lines = cli(*command, "--dry-run").stdout.splitlines()
    assert lines[0].startswith("would make 6 samples in 1 shard, about ")
    assert lines[2] == "4 pictures tried"
    assert [line for line in lines if line.startswith(" ")] == [NO_WIDTH, NO_MASK, EMPTY, NOT_THERE, NO_ID]
    assert not (tmp_path / "out").exists()
    expected = json.loads(cli(*command, "--dry-run", "--json").stdout)
    made = json.loads(cli(*command, "--json").stdout)
    for name in ("samples", "shards", "left_out", "skipped", "examples"):
        assert expected[name] == made[name], name


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["build", "dry run"])
def test_strict_stops_at_a_missing_file_before_anything_is_made(
    tmp_path: Path, cli: Cli, dry: tuple[str, ...]
) -> None:
    write_coco(tmp_path / "coco", "s", [Picture(1), Picture(2)])
    (tmp_path / "coco" / "panoptic_s" / f"{2:012d}.png").unlink()
    out = tmp_path / "out"
    run = cli("build", "--split", "s", "--coco", tmp_path / "coco", "--out", out, "--strict", *dry)
    assert run.returncode == 1
    assert "image 2 cannot be used: panoptic_s.json: '000000000002.png' is not there" in run.stderr
    assert run.stderr.endswith("; --strict is on: fix it, or build without --strict\n")
    assert not out.exists()


def test_a_strict_dry_run_stops_at_a_picture_that_it_tries(coco: Path, tmp_path: Path) -> None:
    from mfsynth.building.estimate import estimate

    options = BuildOptions("s", masks="panoptic", licenses=())
    with pytest.raises(BuildError, match=r"images\[3\]: it has no width; --strict is on"):
        estimate(options, Run(coco, tmp_path / "out", strict=True))
    write_coco(tmp_path / "other", "s", [Picture(1), Picture(2)])
    (tmp_path / "other" / "s" / f"{2:012d}.jpg").write_bytes(b"")
    with pytest.raises(BuildError, match=r"image 2 cannot be used: .* is empty; --strict is on"):
        estimate(options, Run(tmp_path / "other", tmp_path / "out", strict=True))


def test_a_folder_of_other_pictures_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", "s", [Picture(1), Picture(2)])
    for path in (tmp_path / "coco" / "s").iterdir():
        path.rename(path.with_name(f"other-{path.name}"))
    said = r"none of the images of s can be used; the first, 1: .*'000000000001.jpg' is not there"
    with pytest.raises(SourceError, match=said):
        build(BuildOptions("s"), Run(tmp_path / "coco", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("seconds", "told"), [(2.0, "8 samples/s"), (41.5, "0.4 samples/s")])
def test_a_slow_build_makes_more_than_no_samples(seconds: float, told: str) -> None:
    report = BuildReport(Path("out"), samples=16, shards=8, made=8, kept=0, bytes=1, seconds=seconds)
    assert str(report).endswith(f"s, {told}")
