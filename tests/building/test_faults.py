"""Broken sources, full disks, kills: each either stops clearly or leaves the image out by reason."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from coco_folder import Picture, edit_annotations, mask_bgr, save_annotations, write_coco
from conftest import Cli, tree
from PIL import Image
from processes import workers
from unprivileged import mode, obey_permissions

from mfsynth import Manifest
from mfsynth.building.run import Run, build
from mfsynth.errors import BuildError, MfsynthError, OutputError, SourceError
from mfsynth.locks import locked
from mfsynth.options import BuildOptions

BROKEN = Picture(2)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Three good pictures, ids 1 to 3; tests break number 2."""
    write_coco(tmp_path / "coco", "s", [Picture(1), BROKEN, Picture(3)])
    return tmp_path / "coco"


def picture(coco: Path) -> Path:
    return coco / "s" / BROKEN.name


def mask(coco: Path) -> Path:
    return coco / "panoptic_s" / f"{BROKEN.id:012d}.png"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def drop(path: Path) -> None:
    """Drop some bytes from the middle."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 40 :])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def replace_by(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def write_mask(coco: Path, ids: np.ndarray) -> None:
    cv2.imwrite(str(mask(coco)), mask_bgr(ids))


def write_cmyk(coco: Path) -> None:
    Image.new("CMYK", (BROKEN.width, BROKEN.height), (10, 60, 200, 0)).save(picture(coco))


def write_12_bit(coco: Path) -> None:
    data = bytearray(picture(coco).read_bytes())
    data[data.index(b"\xff\xc0") + 4] = 12
    picture(coco).write_bytes(data)


def write_png_named_jpg(coco: Path) -> None:
    picture(coco).write_bytes(cv2.imencode(".png", BROKEN.pixels())[1].tobytes())


def list_another_segment(coco: Path) -> None:
    content = edit_annotations(coco, "s")
    content["annotations"][1]["segments_info"].append({"id": 4711, "category_id": 1, "area": 1})
    save_annotations(coco, "s", content)


def list_another_size(coco: Path) -> None:
    content = edit_annotations(coco, "s")
    content["images"][1]["height"] += 1
    save_annotations(coco, "s", content)


def list_values(coco: Path, place: str, **values: object) -> None:
    content = edit_annotations(coco, "s")
    content[place][1].update(values)
    save_annotations(coco, "s", content)


def list_another_record(coco: Path) -> None:
    content = edit_annotations(coco, "s")
    content["images"].append(content["images"][1] | {"license": 3})
    save_annotations(coco, "s", content)


def one_segment_in_truth(coco: Path) -> None:
    """The annotations give honest-looking areas, the mask has a single id."""
    write_mask(coco, np.full((BROKEN.height, BROKEN.width), 1001, np.uint32))
    content = edit_annotations(coco, "s")
    content["annotations"][1]["segments_info"] = [{"id": 1001, "category_id": 1, "area": 100}]
    content["annotations"][1]["segments_info"][0]["area"] = BROKEN.width * BROKEN.height // 2
    save_annotations(coco, "s", content)


FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing picture": ("picture-missing", lambda coco: picture(coco).unlink()),
    "empty picture": ("picture-broken", lambda coco: picture(coco).write_bytes(b"")),
    "cut picture": ("picture-broken", lambda coco: cut(picture(coco))),
    "damaged picture": ("picture-broken", lambda coco: drop(picture(coco))),
    "no picture at all": ("picture-kind", lambda coco: picture(coco).write_bytes(b"<html>" * 99)),
    "CMYK": ("cmyk-jpeg", write_cmyk),
    "12 bits": ("12-bit-jpeg", write_12_bit),
    "PNG named jpg": ("picture-kind", write_png_named_jpg),
    "size": ("size-mismatch", list_another_size),
    "a pipe": ("unreadable", lambda coco: replace_by(picture(coco), os.mkfifo)),
    "a folder": ("unreadable", lambda coco: replace_by(picture(coco), os.mkdir)),
    "100 GB of nothing": ("unreadable", lambda coco: os.truncate(picture(coco), 100 << 30)),
    "missing mask": ("mask-missing", lambda coco: mask(coco).unlink()),
    "cut mask": ("mask-broken", lambda coco: cut(mask(coco))),
    "flipped mask": ("mask-broken", lambda coco: flip(mask(coco))),
    "mask of another size": ("size-mismatch", lambda coco: write_mask(coco, np.ones((9, 9), np.uint32))),
    "unknown id": ("unknown-segment", lambda coco: write_mask(coco, BROKEN.segment_ids() + 1)),
    "listed id without pixels": ("missing-segment", list_another_segment),
    "width of 0": ("bad-record", lambda coco: list_values(coco, "images", width=0)),
    "listed twice": ("bad-record", list_another_record),
    "no segments": ("bad-record", lambda coco: list_values(coco, "annotations", segments_info=None)),
    "a single segment": ("min-area", one_segment_in_truth),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unusable_image_is_left_out_by_reason(coco: Path, tmp_path: Path, fault: str) -> None:
    reason, spoil = FAULTS[fault]
    spoil(coco)
    report = build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1))
    assert report.left_out == {reason: (2,)}
    assert report.samples == 2
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.left_out == {reason: (2,)}
    assert any(line.startswith(f"left out 1: {reason} ") and line.endswith(": 2") for line in report.lines())


def test_a_picture_that_is_not_sharp_is_left_out_under_its_own_reason(coco: Path, tmp_path: Path) -> None:
    pixels = cv2.GaussianBlur(BROKEN.pixels(), (0, 0), 4)
    cv2.imwrite(str(picture(coco)), pixels)
    report = build(BuildOptions("s", min_sharpness=3.0), Run(coco, tmp_path / "out", workers=1))
    assert report.left_out == {"min-sharpness": (2,)}
    assert (
        "image 2 cannot be used: segments that must share a plane, as they are not sharp, cover 100.0% of it"
        in report.examples["min-sharpness"]
    )
    assert any("too little of it is sharp" in line for line in report.lines())
    sharp = build(BuildOptions("s"), Run(coco, tmp_path / "paper", workers=1))
    assert sharp.left_out == {}


@pytest.mark.parametrize(("store", "samples"), [("pairs", 1), ("recipe", 2)])
def test_a_picture_too_large_for_a_jpeg_costs_itself_only(
    tmp_path: Path, store: Literal["pairs", "recipe"], samples: int
) -> None:
    large = Picture(2, height=8, width=65_501, suffix=".png")
    write_coco(tmp_path / "coco", "s", [Picture(1, suffix=".png"), large])
    options = BuildOptions("s", format="jpeg", store=store)
    report = build(options, Run(tmp_path / "coco", tmp_path / "out", workers=1))
    assert report.samples == samples
    if store == "pairs":
        said = "000000000002.png has a side of 65,501 pixels, a JPEG has 65,500 at most: use --format png"
        assert report.examples == {"too-large-for-jpeg": f"image 2 cannot be used: {said}"}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_noted_of_an_unusable_image_depends_on_no_folder(
    coco: Path, tmp_path: Path, fault: str
) -> None:
    FAULTS[fault][1](coco)
    build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1))
    shutil.move(coco, tmp_path / "elsewhere")
    build(BuildOptions("s"), Run(tmp_path / "elsewhere", tmp_path / "again", workers=1))
    assert tree(tmp_path / "out") == tree(tmp_path / "again")
    assert str(tmp_path) not in (tmp_path / "out" / ".parts" / "s-000000.json").read_text()


@pytest.mark.parametrize("find", [picture, mask])
def test_a_file_that_may_not_be_read_has_a_reason_of_its_own(
    coco: Path, tmp_path: Path, cli: Cli, find: Callable[[Path], Path]
) -> None:
    command = ["build", "--split", "s", "--coco", coco, "--out", tmp_path / "out"]
    with mode(0, find(coco)):
        run = cli(*command, "--json", preexec_fn=obey_permissions)
        strict = cli(*command, "--strict", "--overwrite", preexec_fn=obey_permissions)
    assert json.loads(run.stdout)["left_out"] == {"unreadable": [2]}
    assert f"image 2 cannot be used: cannot read {find(coco).name}: Permission denied" in strict.stderr


def test_strict_stops_at_the_first_and_keeps_nothing_half_done(coco: Path, tmp_path: Path, cli: Cli) -> None:
    cut(picture(coco))
    run = cli("build", "--split", "s", "--coco", coco, "--out", tmp_path / "out", "--strict")
    assert run.returncode == 1
    assert run.stderr.startswith("mfsynth: image 2 cannot be used: ")
    assert "--strict is on" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list((tmp_path / "out" / ".parts").glob("tmp-*"))


def test_a_finished_set_names_left_out_files_that_have_changed_since(coco: Path, tmp_path: Path) -> None:
    good = picture(coco).read_bytes()
    damaged = bytearray(good)
    damaged[:3] = b"zip"  # the size stays: only the hash tells
    picture(coco).write_bytes(damaged)
    run = Run(coco, tmp_path / "out", workers=1)
    build(BuildOptions("s"), run)
    again = build(BuildOptions("s"), run)
    assert again.made == 0
    assert again.left_out == {"picture-broken": (2,)}
    picture(coco).write_bytes(good)
    with pytest.raises(
        OutputError, match=r"files have changed since: s/000000000002.jpg; build it again with --over"
    ):
        build(BuildOptions("s"), run)
    assert build(BuildOptions("s"), Run(coco, tmp_path / "out", overwrite=True)).samples == 3


def test_a_finished_set_without_some_image_is_no_strict_one(coco: Path, tmp_path: Path) -> None:
    one_segment_in_truth(coco)  # found out on decoding: no file is to blame
    run = Run(coco, tmp_path / "out", workers=1)
    assert build(BuildOptions("s"), run).left_out == {"min-area": (2,)}
    assert build(BuildOptions("s"), run).made == 0
    with pytest.raises(BuildError, match=r"made without images that could not be used: 2; --strict is on"):
        build(BuildOptions("s"), replace(run, strict=True))


def test_a_strict_set_may_be_without_other_licenses(coco: Path, tmp_path: Path) -> None:
    content = edit_annotations(coco, "s")
    content["images"][1]["license"] = 3
    save_annotations(coco, "s", content)
    run = Run(coco, tmp_path / "out", workers=1, strict=True)
    assert build(BuildOptions("s", licenses=(4,)), run).left_out == {"license": (2,)}
    assert build(BuildOptions("s", licenses=(4,)), run).made == 0


def test_no_usable_image_at_all_makes_no_data_set(coco: Path, tmp_path: Path) -> None:
    for path in (coco / "s").iterdir():
        path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"none of the images of s can be used; the first, 1: .* is empty"):
        build(BuildOptions("s"), Run(coco, tmp_path / "out"))
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("spoil", [cut, lambda path: path.write_text("[]"), lambda path: path.unlink()])
def test_broken_annotations_stop_the_build(
    coco: Path, tmp_path: Path, cli: Cli, spoil: Callable[[Path], object]
) -> None:
    spoil(coco / "annotations" / "panoptic_s.json")
    run = cli("build", "--split", "s", "--coco", coco, "--out", tmp_path / "out")
    assert run.returncode == 1
    assert "panoptic_s.json" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_cut_zip_stops_the_build(coco: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(coco / "s.zip", "w") as archive:
        for path in sorted((coco / "s").iterdir()):
            archive.write(path, f"s/{path.name}")
    shutil.rmtree(coco / "s")
    whole = tmp_path / "whole"
    build(BuildOptions("s"), Run(coco, whole))
    cut(coco / "s.zip")
    with pytest.raises(SourceError, match=r"s.zip is not a complete zip"):
        build(BuildOptions("s"), Run(coco, tmp_path / "out"))


def test_a_member_damaged_inside_its_zip_is_left_out(coco: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(coco / "s.zip", "w") as archive:
        for path in sorted((coco / "s").iterdir()):
            archive.write(path, f"s/{path.name}")
    content = picture(coco).read_bytes()
    shutil.rmtree(coco / "s")
    data = bytearray((coco / "s.zip").read_bytes())
    data[data.index(content) + len(content) // 2] ^= 1
    (coco / "s.zip").write_bytes(data)
    report = build(BuildOptions("s"), Run(coco, tmp_path / "out"))
    assert report.left_out == {"picture-broken": (2,)}


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "..\\x.jpg", "C:/x.jpg"])
def test_file_names_cannot_lead_outside(coco: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(picture(coco), tmp_path / "secret.jpg")
    shutil.copy(picture(coco), coco / "x.jpg")
    content = edit_annotations(coco, "s")
    content["images"][1]["file_name"] = name
    save_annotations(coco, "s", content)
    report = build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1))
    assert report.left_out == {"picture-missing": (2,)}
    with pytest.raises(BuildError, match=r"image 2 .*panoptic_s.json: '.*' leads outside its folder"):
        build(BuildOptions("s"), Run(coco, tmp_path / "strict", workers=1, strict=True))


def test_an_unwritable_folder_is_named(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/mfsynth")):
        with pytest.raises(OutputError, match=str(out)):
            build(BuildOptions("s"), Run(coco, out))


def test_a_full_disk_is_said_and_the_build_goes_on_later(coco: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk: writing fails in the same place."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mfsynth.cli", "build", "--split", "s", "--coco", coco, "--out", out]
    command += ["--shards", "3", "--workers", "1"]
    limit = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); "
    limit += (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    full = subprocess.run(
        [sys.executable, "-c", limit, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert full.returncode == 1
    assert f"cannot write s-000000.tar to {out}: " in full.stderr
    assert "free some space and run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list((out / ".parts").glob("tmp-*"))
    assert not list(out.glob("*.tar"))
    build(BuildOptions("s", shards=3), Run(coco, tmp_path / "reference"))
    build(BuildOptions("s", shards=3), Run(coco, out))
    assert tree(out) == tree(tmp_path / "reference")


def test_a_disk_that_is_full_before_the_manifest_is_said(coco: Path, tmp_path: Path, cli: Cli) -> None:
    """Ids of images left out make the manifest larger than any shard; a limit stands in for a full disk."""
    content = edit_annotations(coco, "s")
    image = content["images"][0]
    content["images"] += [image | {"id": 10_000_000_000 + k} for k in range(10_000)]
    save_annotations(coco, "s", content)
    command = ["build", "--split", "s", "--coco", coco, "--out", tmp_path / "out"]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = cli(*command, preexec_fn=limit)
    assert full.returncode == 1
    assert (
        f"cannot write to {tmp_path / 'out'}: File too large; free some space and run the same" in full.stderr
    )
    assert "Traceback" not in full.stderr
    assert [path.name for path in (tmp_path / "out").glob("*")] == ["s-000000.tar", ".parts"]
    assert not list((tmp_path / "out" / ".parts").glob("tmp-*"))
    assert "3 samples in 1 shard," in cli(*command).stdout


def test_a_finished_set_in_a_read_only_folder_is_not_repaired(coco: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    command = ["build", "--split", "s", "--coco", coco, "--out", out, "--shards", "3", "--quiet"]
    assert cli(*command).returncode == 0
    before = tree(out)
    with mode(0o555, out, out / ".parts"):
        assert cli(*command, preexec_fn=obey_permissions).returncode == 0  # nothing to do
    (out / "s-000001.tar").unlink()
    for more in (command, ["verify", out, "--repair", "--coco", coco]):
        with mode(0o555, out, out / ".parts"):
            run = cli(*more, preexec_fn=obey_permissions)
        assert run.returncode == 1
        assert f"cannot write to {out}: Permission denied" in run.stderr
        assert "Traceback" not in run.stderr
    assert cli(*command).returncode == 0
    assert tree(out) == before


def test_two_builds_into_one_folder_are_refused(coco: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "out", "build"), pytest.raises(OutputError, match="another build is working on"):
        build(BuildOptions("s"), Run(coco, tmp_path / "out"))
    build(BuildOptions("s"), Run(coco, tmp_path / "out"))


# --- kills --------------------------------------------------------------------------------------------


def many(tmp_path: Path) -> Path:
    """Enough pictures for a build of a few seconds."""
    pictures = [Picture(id, height=240, width=320) for id in range(1, 41)]
    write_coco(tmp_path / "many", "m", pictures)
    return tmp_path / "many"


def start(coco: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "mfsynth.cli",
        "build",
        "--split",
        "m",
        "--coco",
        str(coco),
        "--out",
        str(out),
    ]
    command += ["--shards", "8", "--variants", "6", "--workers", "2", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


def kill_and_finish(tmp_path: Path, rounds: int, seed: int, store: str = "pairs") -> None:
    """Kill builds, or now and then one of their workers, at random moments; the last one may finish."""
    coco, out, reference = many(tmp_path), tmp_path / "out", tmp_path / "reference"
    more = ("--store", store)
    started = time.monotonic()
    assert start(coco, reference, *more).wait(120) == 0
    whole = time.monotonic() - started
    rng = random.Random(seed)
    for _ in range(rounds):
        process = start(coco, out, *more)
        time.sleep(rng.uniform(0.2, whole))
        if rng.random() < 0.3 and (at_work := workers(process.pid)):
            os.kill(rng.choice(at_work), signal.SIGKILL)
            time.sleep(rng.uniform(0, whole / 4))
        process.kill()
        process.communicate()
        if rng.random() < 0.4:
            shutil.rmtree(out, ignore_errors=True)
    process = start(coco, out, *more)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    time.sleep(0.3)  # workers of killed builds may be on their last breath
    assert tree(out) == tree(reference)


def test_a_build_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    kill_and_finish(tmp_path, rounds=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["pairs", "recipe"])
@pytest.mark.parametrize("seed", range(4))
def test_200_kills_end_with_the_same_bytes(tmp_path: Path, seed: int, store: str) -> None:
    """Twenty-five in each of eight runs."""
    kill_and_finish(tmp_path, rounds=25, seed=seed, store=store)


def test_a_worker_that_dies_is_reported_and_its_shard_made_again(tmp_path: Path) -> None:
    coco, out = many(tmp_path), tmp_path / "out"
    process = start(coco, out)
    wait_until(lambda: list(out.glob(".parts/tmp-*")) and workers(process.pid))
    os.kill(workers(process.pid)[0], signal.SIGKILL)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "made 240 samples in 8 shards" in output
    assert "died (signal 9); trying once more" in errors
    assert not list(out.glob(".parts/tmp-*"))


def test_a_shard_whose_worker_dies_twice_ends_the_build(tmp_path: Path) -> None:
    coco, out = many(tmp_path), tmp_path / "out"
    process = start(coco, out, "--workers", "1")
    killed: set[int] = set()
    while process.poll() is None:
        if list(out.glob(".parts/tmp-*")):
            for pid in set(workers(process.pid)) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.002)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "died twice (signal 9); out of memory? try fewer --workers" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_cleans_up_and_goes_on_later(tmp_path: Path, number: int, code: int) -> None:
    coco, out = many(tmp_path), tmp_path / "out"
    process = start(coco, out)
    wait_until(lambda: list(out.glob(".parts/tmp-*")))
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert not list(out.glob(".parts/tmp-*"))
    assert not (out / "manifest.json").exists()
    again = start(coco, out)
    assert again.wait(120) == 0
    assert json.loads((out / "manifest.json").read_text())["samples"] == 240
    assert not list(out.glob(".parts/tmp-*"))


@pytest.mark.parametrize("delay", [0, 0.1, 0.2, 0.3, 0.4])
def test_an_interrupt_while_workers_start_is_one_line(tmp_path: Path, delay: float) -> None:
    process = start(many(tmp_path), tmp_path / "out")
    wait_until(lambda: workers(process.pid))
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: the workers, still importing, get it, too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "mfsynth: interrupted; run the same command again to continue"


def test_a_build_runs_in_any_thread(coco: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        assert pool.submit(build, BuildOptions("s"), Run(coco, tmp_path / "out")).result().samples == 3


def test_a_worker_that_cannot_be_started_is_said(tmp_path: Path, cli: Cli) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))

    command = ["build", "--split", "m", "--coco", many(tmp_path), "--out", tmp_path / "out"]
    crowded = cli(*command, "--shards", 12, "--workers", 12, preexec_fn=limit)
    assert crowded.returncode == 1
    assert "cannot start a worker: Too many open files; try fewer --workers" in crowded.stderr
    assert "Traceback" not in crowded.stderr


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    process = start(many(tmp_path), tmp_path / "out")
    wait_until(lambda: len(workers(process.pid)) == 2)
    orphans = workers(process.pid)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), seconds=5)


def test_errors_survive_the_way_from_a_worker() -> None:
    import pickle

    for error in (BuildError("what", "hint"), SourceError("what"), OutputError("a", "b")):
        copy = pickle.loads(pickle.dumps(error))
        assert isinstance(copy, MfsynthError)
        assert (type(copy), str(copy)) == (type(error), str(error))
