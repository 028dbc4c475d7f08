"""Data sets built in parts: the bytes of one build, and everything that does not belong together refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Picture, edit_annotations, save_annotations, write_coco
from conftest import Cli, tree

import mfsynth
from mfsynth.building import run as running
from mfsynth.building.claims import EVERY_SHARD, claimed
from mfsynth.building.folder import output_at
from mfsynth.building.parts import read_part, write_part
from mfsynth.building.ranges import ShardRange
from mfsynth.building.run import Run, build
from mfsynth.errors import OptionsError, OutputError
from mfsynth.options import BuildOptions
from mfsynth.options.build import Store
from mfsynth.shards.layout import shard_name

OPTIONS = BuildOptions("small", shards=8, noise=(0.0, 0.1))


def make_part(coco: Path, out: Path, first: int, stop: int, options: BuildOptions = OPTIONS) -> Any:
    return build(options, Run(coco, out, workers=1, part=ShardRange(first, stop)))


def make_parts(coco: Path, out: Path, *ranges: tuple[int, int]) -> Path:
    for first, stop in ranges:
        make_part(coco, out, first, stop)
    return out


@pytest.fixture(scope="module")
def whole(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set as one build makes it."""
    out = tmp_path_factory.mktemp("whole") / "set"
    build(OPTIONS, Run(small_coco, out, workers=1))
    return out


@pytest.fixture(scope="module")
def all_made(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts that make up the data set, not merged. Not to be written to."""
    return make_parts(small_coco, tmp_path_factory.mktemp("parts") / "set", (4, 8), (0, 4))


@pytest.fixture
def made(all_made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(all_made, tmp_path / "out"))


@pytest.mark.parametrize("store", ["pairs", "recipe"])
def test_eight_parts_are_one_build(small_coco: Path, tmp_path: Path, store: Store) -> None:
    options = replace(OPTIONS, store=store)
    build(options, Run(small_coco, tmp_path / "whole", workers=1))
    for first in (3, 0, 7, 1, 2, 6, 5, 4):
        report = make_part(small_coco, tmp_path / "out", first, first + 1, options)
        assert (report.shard_range, report.shards, report.made) == ((first, first + 1), 1, 1)
        assert report.lines()[-1] == "when all parts are made, `mfsynth merge` seals the data set"
        assert not (tmp_path / "out" / "manifest.json").exists()
    merged = mfsynth.merge(tmp_path / "out", workers=1)
    assert (merged.samples, merged.shards, merged.kept, merged.finished) == (9, 8, 8, False)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_two_parts_at_once(cli: Cli, small_coco: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mfsynth", "build", "--split", "small", "--coco", str(small_coco)]
    command += ["--shards", "8", "--noise", "0", "0.1", "--workers", "1", "--out", str(out)]
    jobs = [subprocess.Popen([*command, "--shard-range", part]) for part in ("0:4", "4:8")]
    assert [job.wait(120) for job in jobs] == [0, 0]
    run = cli("merge", out, "--workers", 1)
    assert run.stdout.startswith("merged 9 samples in 8 shards, ")
    assert tree(out) == tree(whole)


def test_a_merged_set_is_not_merged_again(cli: Cli, made: Path, whole: Path, small_coco: Path) -> None:
    assert cli("merge", made, "--workers", 1).returncode == 0
    again = cli("merge", made, "--workers", 1)
    assert again.returncode == 0
    assert again.stdout.startswith("nothing to do: already sealed: 9 samples in 8 shards, ")
    assert make_part(small_coco, made, 2, 4).finished
    assert tree(made) == tree(whole)
    (made / "small-000003.tar").unlink()
    refused = cli("merge", made)
    assert refused.returncode == 1
    assert "is sealed, but shards are missing" in refused.stderr
    with pytest.raises(OutputError, match="is sealed, but shards are missing"):
        make_part(small_coco, made, 3, 4)


def test_a_build_without_a_range_makes_the_rest_and_seals(
    small_coco: Path, whole: Path, tmp_path: Path
) -> None:
    out = make_parts(small_coco, tmp_path / "out", (2, 5))
    report = build(OPTIONS, Run(small_coco, out, workers=1))
    assert (report.made, report.kept) == (5, 3)
    assert tree(out) == tree(whole)


def test_missing_and_damaged_shards_are_named_with_their_command(
    cli: Cli, small_coco: Path, whole: Path, made: Path
) -> None:
    for number in (1, 2, 5):
        (made / ".parts" / f"small-00000{number}.json").unlink()
    (made / "small-000007.tar").write_bytes(b"cut")
    before = tree(made)
    run = cli("merge", made, "--workers", 1)
    assert run.returncode == 1
    assert f"{made} is without shards 1:3, 5:6 of 8 shards; make them with the command" in run.stderr
    command = "mfsynth build --split small --noise 0.0 0.1 --shards 8"
    for part in ("1:3", "5:6"):
        assert f"  {command} --shard-range {part} --out {made}\n" in run.stderr
    assert tree(made) == before
    make_parts(small_coco, made, (1, 3), (5, 6))
    with pytest.raises(OutputError, match=f"{made} has damaged shards 7:8 of 8 shards"):
        mfsynth.merge(made, workers=1)
    assert make_part(small_coco, made, 6, 8).made == 1
    mfsynth.merge(made, workers=1)
    assert tree(made) == tree(whole)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [("2:4", "3:5"), ("2:4", "2:4"), ("2:4", "all"), ("2:4", "merge"), ("all", "0:1"), ("0:2", "free")],
)
def test_what_is_being_made_is_left_alone(small_coco: Path, made: Path, held: str, wanted: str) -> None:
    """A lock that is held stands in for a build that runs."""
    holder = EVERY_SHARD if held == "all" else ShardRange.parse(held)
    do: dict[str, Callable[[], object]] = {
        "all": lambda: build(OPTIONS, Run(small_coco, made, workers=1)),
        "merge": lambda: mfsynth.merge(made, workers=1),
        "free": lambda: make_part(small_coco, made, 2, 4),
    }
    start = do.get(wanted) or (lambda: make_part(small_coco, made, *map(int, wanted.split(":"))))
    scratch = made / ".parts" / "tmp-small-000001.tar-x"
    scratch.write_bytes(b"in the making")
    with claimed(output_at(made), holder, lambda _: None):
        if wanted == "free":
            start()
        else:
            doing = "working on" if held == "all" else f"making shards {held} of"
            with pytest.raises(OutputError, match=f"another build is {doing} {made}"):
                start()
        assert scratch.exists()
    assert not list((made / ".parts").glob("lock-*"))


# --- parts that do not belong together ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, "seed: 0 there, 1 requested"),
        ({"variants": 2}, "variants: 1 there, 2 requested"),
        ({"shards": 4}, "shards: 8 there, 4 requested"),
    ],
)
def test_a_part_with_other_options_is_refused(
    small_coco: Path, made: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(OutputError, match=told):
        make_part(small_coco, made, 0, 2, replace(OPTIONS, **change))


def brought(coco: Path, made: Path, elsewhere: Path, options: BuildOptions = OPTIONS) -> Path:
    """Shards 2:4 as another job made them elsewhere, copied over those that are there."""
    make_part(coco, elsewhere, 2, 4, options)
    for path in (*elsewhere.glob("*.tar"), *elsewhere.glob(".parts/small-*.json")):
        shutil.copy(path, made / path.relative_to(elsewhere))
    return made


def check_refused(coco: Path, made: Path, whole: Path, told: str) -> None:
    """The merge names these shards and what differs; made again, all is well."""
    before = tree(made)
    with pytest.raises(OutputError) as caught:
        mfsynth.merge(made, workers=1)
    assert f"shards 2:4: {told}" in str(caught.value)
    assert "by --shard-range 2:4" in str(caught.value)
    assert tree(made) == before
    assert make_part(coco, made, 0, 4).made == 2
    mfsynth.merge(made, workers=1)
    assert tree(made) == tree(whole)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, "seed: 1 in these, 0 in the others"),
        ({"capture": "camera"}, 'capture: "camera" in these, "clean" in the others'),
    ],
)
def test_parts_with_other_options_are_not_merged(
    small_coco: Path, made: Path, whole: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    brought(small_coco, made, tmp_path / "elsewhere", replace(OPTIONS, **change))
    check_refused(small_coco, made, whole, told)


def test_parts_from_other_annotations_are_not_merged(
    small_coco: Path, made: Path, whole: Path, tmp_path: Path
) -> None:
    coco = Path(shutil.copytree(small_coco, tmp_path / "coco"))
    content = edit_annotations(coco, "small")
    content["info"] = {"description": "another"}
    save_annotations(coco, "small", content)
    brought(coco, made, tmp_path / "elsewhere")
    check_refused(small_coco, made, whole, "content of annotations/panoptic_small.json")


def test_parts_from_other_packages_are_not_merged(
    small_coco: Path, made: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is recorded is changed: another version cannot be installed for a test."""
    ours = running.packages(OPTIONS)
    others = ours | {"numpy": "1.0"}
    folder = output_at(brought(small_coco, made, tmp_path / "elsewhere"))
    for number in (2, 3):
        part = read_part(folder, shard_name("small", number))
        assert part is not None
        assert part.origin is not None
        write_part(folder, replace(part, origin=replace(part.origin, packages=others)))
    with monkeypatch.context() as patch:
        patch.setattr(running, "packages", lambda options: others)
        with pytest.raises(OutputError, match=r"with other versions, .* numpy 1\.0 \(was "):
            make_part(small_coco, made, 4, 5)
    told = f"numpy: 1.0 in these, {ours['numpy']} in the others"
    check_refused(small_coco, made, whole, told)


def test_a_folder_without_parts_is_not_merged(cli: Cli, small_coco: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, told in (("none", "there is no folder"), ("empty", "holds no part of a data set")):
        run = cli("merge", tmp_path / folder)
        assert run.returncode == 1
        assert told in run.stderr
        assert "Traceback" not in run.stderr


# --- ranges, kills, and shards without samples --------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shard-range", "4"], "--shard-range is '4', it must be A:B"),
        (["--shard-range", "4:4"], "--shard-range 4:4 has no shards"),
        (["--shard-range", "6:9"], "--shard-range 6:9 goes beyond the last of 8 shards"),
        (["--shard-range", "0:2", "--overwrite"], "--overwrite would remove what other parts have made"),
        (["--shard-range", "0:2", "--dry-run"], "--dry-run shows the whole data set"),
    ],
)
def test_ranges_that_make_no_sense(
    cli: Cli, small_coco: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    run = cli(
        "build", "--split", "small", "--coco", small_coco, "--shards", 8, "--out", tmp_path / "o", *words
    )
    assert run.returncode == 2
    assert told in run.stderr
    assert not (tmp_path / "o").exists()


def test_a_part_with_other_options_is_not_told_to_overwrite(
    cli: Cli, small_coco: Path, tmp_path: Path
) -> None:
    words = ("build", "--split", "small", "--coco", small_coco, "--shards", 8, "--out", tmp_path / "o")
    assert cli(*words, "--shard-range", "0:1", "--workers", 1).returncode == 0
    run = cli(*words, "--shard-range", "1:2", "--seed", 1)
    assert run.returncode == 1
    assert "seed: 0 there, 1 requested" in run.stderr
    assert f"choose another --out, or remove {tmp_path / 'o'} before the first part starts" in run.stderr
    assert "--overwrite" not in run.stderr


def test_python_makes_and_merges_parts(small_coco: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for part in ((0, 3), (3, 8)):
        mfsynth.build(
            "small", coco=small_coco, out=out, shards=8, noise=(0, 0.1), shard_range=part, workers=1
        )
    assert str(mfsynth.merge(str(out), workers=1)).startswith("merged 9 samples in 8 shards, ")
    assert tree(out) == tree(whole)
    for wrong in ("0:3", (1, 2, 3), 4):
        with pytest.raises(OptionsError, match="it must be two whole numbers"):
            mfsynth.build("small", coco=small_coco, out=out, shards=8, shard_range=wrong)  # type: ignore[arg-type]


def test_parts_of_a_published_set_are_compared_with_it(small_coco: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    like = mfsynth.Manifest.read(whole)
    mfsynth.build("small", coco=small_coco, out=out, like=like, shard_range=(0, 8), workers=1)
    mfsynth.merge(out, workers=1)
    assert tree(out) == tree(whole)
    shards = (replace(like.shards[0], sha256="0" * 64), *like.shards[1:])
    other = replace(like, shards=shards)
    with pytest.raises(mfsynth.BuildError, match=r"1 of 2 shards differ from .* is small-000000\.tar"):
        mfsynth.build("small", coco=small_coco, out=tmp_path / "o", like=other, shard_range=(0, 2), workers=1)


def test_a_killed_part_goes_on(small_coco: Path, whole: Path, tmp_path: Path) -> None:
    out = make_parts(small_coco, tmp_path / "out", (6, 8))
    command = [sys.executable, "-m", "mfsynth", "build", "--split", "small", "--coco", str(small_coco)]
    command += ["--shards", "8", "--noise", "0", "0.1", "--workers", "1", "--out", str(out)]
    job = subprocess.Popen([*command, "--shard-range", "0:6"])
    end = time.monotonic() + 120
    while not (out / ".parts" / "small-000000.json").exists():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.001)
    job.send_signal(signal.SIGKILL)
    job.wait()
    report = make_part(small_coco, out, 0, 6)
    assert report.kept >= 1
    assert report.kept + report.made == 6
    assert not list((out / ".parts").glob("lock-*"))
    mfsynth.merge(out, workers=1)
    assert tree(out) == tree(whole)


def test_parts_without_samples_close_up(tmp_path: Path) -> None:
    coco, out = tmp_path / "coco", tmp_path / "out"
    write_coco(coco, "s", [Picture(number) for number in range(1, 7)])
    for number in (1, 2):
        (coco / "s" / Picture(number).name).unlink()
    options = BuildOptions("s", shards=3)
    build(options, Run(coco, tmp_path / "whole", workers=1))
    report = build(options, Run(coco, out, workers=1, part=ShardRange(0, 1)))
    assert (report.shards, report.closed, report.left_out) == (0, 1, {"picture-missing": (1, 2)})
    build(options, Run(coco, out, workers=1, part=ShardRange(1, 3)))
    assert mfsynth.merge(out, workers=1).closed == 1
    assert tree(out) == tree(tmp_path / "whole")


def test_side_files_of_releases_without_origins_are_believed(
    small_coco: Path, made: Path, tmp_path: Path
) -> None:
    for path in (made / ".parts").glob("small-*.json"):
        part = json.loads(path.read_text())
        del part["origin"], part["digest"]
        path.write_text(json.dumps(part))
    assert make_part(small_coco, made, 0, 8).kept == 8
    assert mfsynth.merge(made, workers=1).samples == 9
