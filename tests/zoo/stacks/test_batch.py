"""Batches: which files are one stack, what takes no part, and where results go."""

from __future__ import annotations

import json
import string
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unprivileged import mode, obey_permissions

from mfsynth.cli import main
from mfsynth.errors import OptionsError, OutputError
from zoo.errors import FrameError
from zoo.networks import Config, Network
from zoo.pictures import kinds
from zoo.stacks.batches.batch import Batch, fuse_batch, plan_batch
from zoo.stacks.batches.finding import find
from zoo.stacks.batches.grouping import grouped
from zoo.stacks.batches.shots import Shot, scenes, shot_of
from zoo.stacks.options import BatchOptions, FuseOptions
from zoo.stacks.report import FusedFile
from zoo.stacks.request import FuseRequest, fuse_as_asked
from zoo.store.folder import save_folder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Network(Config(task="seg", width=4, depth=2)).eval()


def picture(seed: int, frame: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A scene of its own for each seed, whose frame 0 is sharp on the left and frame 1 on the right."""
    noise = np.random.default_rng(seed).random((size[0] // 8, size[1] // 8, 3), np.float32)
    sharp = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255
    blurred = cv2.GaussianBlur(sharp, None, 2)
    half = (np.arange(size[1]) < size[1] // 2)[None, :, None] == (frame % 2 == 0)
    return np.where(half, sharp, blurred).round().astype(np.uint8)


def save(path: Path, frame: int = 0, seed: int = 0, dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture(seed, frame).astype(dtype) * (257 if dtype is np.uint16 else 1)
    cv2.imwrite(str(path), pixels.astype(dtype)[..., ::-1])
    return path


def save_stack(folder: Path, *, suffix: str = ".png", dtype: type = np.uint8) -> list[Path]:
    return [save(folder / f"{frame}{suffix}", frame, dtype=dtype) for frame in range(2)]


def taken(path: Path, when: datetime, frame: int = 0, seed: int = 0) -> Path:
    """A camera's JPEG, with the time to a hundredth of a second."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: f"{when:%Y:%m:%d %H:%M:%S}", 0x9291: f"{when:%f}"[:2]})
    Image.fromarray(picture(seed, frame)).save(path, exif=exif)
    return path


def names(batch: Batch) -> dict[str, list[str]]:
    return {stack.found.name: [file.name for file in stack.found.files] for stack in batch.stacks}


def reasons(batch: Batch) -> dict[str, str]:
    return {str(each.path.relative_to(batch.folder)): each.reason for each in batch.skipped}


# --- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "stacks"),
    [
        (["bee-1.jpg", "bee_02.jpg", "bee 3.jpg", "bee.4.jpg", "bee5.jpg"], {"bee": [0, 1, 2, 3, 4]}),
        (["bee (1).jpg", "bee (2).jpg", "bee (10).jpg"], {"bee": [0, 1, 2]}),
        (["moss_1.png", "moss_10.png", "moss_2.png"], {"moss": [0, 2, 1]}),
        (["leaf-A.png", "leaf-B.png", "12a.png", "12b.png"], {"leaf": [0, 1], "12": [2, 3]}),
        (["lytro-01-A.jpg", "lytro-01-B.jpg", "lytro-02-A.jpg"], {"lytro-01": [0, 1]}),
        (["near.jpg", "far.jpg", "nea.jpg"], {}),
        (["bee-1.jpg", "ant-1.jpg", "bee.jpg"], {}),
    ],
)
def test_a_number_or_a_letter_at_the_end_makes_a_stack(files, stacks):
    found = grouped(map(Path, files))
    assert {name: [path.name for path in paths] for name, paths in found.stacks.items()} == {
        name: [files[k] for k in order] for name, order in stacks.items()
    }
    assert not found.cameras


@pytest.mark.parametrize(
    "stem",
    ["IMG_0001", "_MG_1234", "DSC01234", "DSC_0001", "_DSC0001", "DSCF0001", "P1010001", "0001", "100_0001",
     "20260131_120000", "PXL_20260131_101112345", "IMG-20260131-0001", "img_e0001", "DJI_0001"],
)  # fmt: skip
def test_names_that_a_camera_gives_are_no_stack_by_name(stem):
    found = grouped([Path(f"{stem}.JPG")])
    assert len(found.cameras) == 1


@pytest.mark.parametrize("stem", ["P1", "R-2", "bee0001", "IMG", "imgs-1", "L1", "dscale-12"])
def test_other_names_are_not_taken_for_a_cameras(stem):
    assert not grouped([Path(f"{stem}.jpg")]).cameras


NAMES = st.text(string.ascii_letters + string.digits + "-_. ()é٣", min_size=1, max_size=8)


@given(st.sets(NAMES, max_size=12))
def test_every_file_lands_in_exactly_one_place(stems):
    paths = [Path("in") / f"{stem}.jpg" for stem in stems]
    found = grouped(paths)
    placed = [*found.cameras, *found.single, *(path for stack in found.stacks.values() for path in stack)]
    assert Counter(placed) == Counter(paths)
    assert all(len(stack) > 1 and name for name, stack in found.stacks.items())


@given(
    st.sets(st.integers(0, 10**6), min_size=2, max_size=9),
    st.sampled_from(["-", "_", " ", ".", ""]),
    st.integers(0, 7),
)
def test_frames_come_in_the_order_of_their_numbers(numbers, separator, width):
    paths = [Path(f"moth{separator}{number:0{width}d}.tif") for number in numbers]
    assert grouped(paths).stacks == {
        "moth": tuple(Path(f"moth{separator}{number:0{width}d}.tif") for number in sorted(numbers))
    }


# --- time and likeness --------------------------------------------------------------------------------

NOON = datetime(2026, 5, 1, 12)


def shot(number: int, seconds: float | None, seed: int = 0, size: tuple[int, int] = (640, 480)) -> Shot:
    small = cv2.GaussianBlur(np.random.default_rng(seed).random((32, 32), np.float32) * 255, None, 1.5)
    when = None if seconds is None else NOON + timedelta(seconds=seconds)
    return Shot(Path(f"IMG_{number:04d}.JPG"), when, None, size, small)


def numbers(cut: list[tuple[Shot, ...]]) -> list[list[int]]:
    return [[int(each.path.stem[-4:]) for each in scene] for scene in cut]


def test_a_long_pause_between_shots_cuts():
    run = [shot(k, 0.5 * k) for k in range(5)] + [shot(k, 60 + 0.5 * k) for k in range(5, 9)]
    assert numbers(scenes(run[::-1])) == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]


def test_slow_shots_are_one_scene_while_their_gaps_are_usual():
    """A focus ring turned by hand: 10 to 30 seconds each."""
    assert numbers(scenes([shot(k, t) for k, t in enumerate((0, 12, 40, 52, 70, 100))])) == [[*range(6)]]


def test_another_picture_cuts_however_soon_it_follows():
    run = [shot(k, 0.5 * k, seed=k // 2) for k in range(6)]
    assert numbers(scenes(run)) == [[0, 1], [2, 3], [4, 5]]
    assert numbers(scenes([shot(k, None, seed=k // 2) for k in range(6)])) == [[0, 1], [2, 3], [4, 5]]
    assert numbers(scenes([shot(0, 0), shot(1, 1), shot(2, 2, size=(480, 640))])) == [[0, 1], [2]]


@given(st.lists(st.tuples(st.none() | st.floats(0, 1e5), st.integers(0, 2)), max_size=10))
def test_every_shot_is_in_exactly_one_scene(drawn):
    shots = [shot(k, seconds, seed) for k, (seconds, seed) in enumerate(drawn)]
    assert sorted(each for scene in numbers(scenes(shots)) for each in scene) == [*range(len(shots))]


def test_a_jpeg_tells_its_time_and_looks_like_its_neighbor(tmp_path):
    when = datetime(2026, 1, 31, 23, 59, 59, 250_000)
    one, other = (shot_of(taken(tmp_path / f"{k}.jpg", when, k)) for k in range(2))
    assert one.taken == when
    assert one.size == (64, 48)
    assert len(scenes([one, other])) == 1
    deep = shot_of(save(tmp_path / "deep.png", dtype=np.uint16))
    assert deep.taken is None
    assert np.corrcoef(deep.small.ravel(), one.small.ravel())[0, 1] > 0.99


def test_auto_cuts_a_run_of_camera_files_and_by_name_it_is_refused(tmp_path):
    for k in range(6):
        seconds = 0.4 * k + (90 if k > 2 else 0)
        taken(tmp_path / f"IMG_{k:04d}.JPG", NOON + timedelta(seconds=seconds), k, seed=k // 3)
    save(tmp_path / "near.png", 0, seed=5), save(tmp_path / "far.png", 1, seed=5)
    save(tmp_path / "bee-1.png", 0, seed=6), save(tmp_path / "bee-2.png", 1, seed=6)
    found = plan_batch(tmp_path, tmp_path / "out", BatchOptions(group="auto"))
    assert names(found) == {
        "bee": ["bee-1.png", "bee-2.png"],
        "IMG_0000-IMG_0002": ["IMG_0000.JPG", "IMG_0001.JPG", "IMG_0002.JPG"],
        "IMG_0003-IMG_0005": ["IMG_0003.JPG", "IMG_0004.JPG", "IMG_0005.JPG"],
        "far-near": ["far.png", "near.png"],
    }
    with pytest.raises(OptionsError, match=r"IMG_0000.JPG to IMG_0005.JPG \(6 pictures\).*--group auto"):
        plan_batch(tmp_path, tmp_path / "out")


# --- what takes part ----------------------------------------------------------------------------------


def test_what_takes_no_part_is_named_with_its_reason(tmp_path):
    save_stack(tmp_path / "leaf")
    for path in (
        "leaf/.DS_Store",
        "leaf/Thumbs.db",
        "leaf/0.xmp",
        "leaf/notes.txt",
        "notes.txt",
        ".DS_Store",
    ):
        (tmp_path / path).write_bytes(b"")
    save_stack(tmp_path / "leaf" / "deeper")
    save(tmp_path / "leaf" / "._0.jpg")
    save(tmp_path / ".hidden_1.png")
    (tmp_path / "leaf" / "2.png").symlink_to("gone.png")
    save(tmp_path / "near.png")
    save(tmp_path / "alone" / "0.png")
    save(tmp_path / "old" / "leaf.jpg")
    (tmp_path / "old" / ".fused").write_bytes(b"")
    found = plan_batch(tmp_path, tmp_path / "out")
    assert names(found) == {"leaf": ["0.png", "1.png"]}
    told = reasons(found)
    assert told.keys() == {
        *("leaf/deeper", "leaf/._0.jpg", "leaf/2.png", ".hidden_1.png", "near.png", "alone/0.png", "old"),
    }
    assert "leads nowhere" in told["leaf/2.png"]
    assert told["leaf/._0.jpg"] == told[".hidden_1.png"] == "hidden"
    assert "too deep" in told["leaf/deeper"]
    assert "one frame" in told["near.png"]
    assert "earlier run" in told["old"]


def test_a_folder_that_cannot_be_read_is_an_error_and_no_stack_is_one_too(tmp_path):
    (tmp_path / "bee").mkdir()
    (tmp_path / "bee" / "1.psd").write_bytes(b"8BPS")
    with pytest.raises(FrameError, match=r"holds no stacks; bee: 1\.psd is a Photoshop file"):
        plan_batch(tmp_path, tmp_path / "out")
    save_stack(tmp_path / "leaf")
    (tmp_path / "leaf" / "2.psd").write_bytes(b"8BPS")
    found = plan_batch(tmp_path, tmp_path / "out")
    assert [*found.errors] == ["bee"]
    assert [*reasons(found)] == ["leaf/2.psd"]


@pytest.mark.parametrize("place", ["", "bee"])
def test_pictures_that_need_a_package_do_not_vanish(tmp_path, monkeypatch, place):
    (tmp_path / "in" / place).mkdir(parents=True)
    for frame in range(2):
        (tmp_path / "in" / place / f"bee_{frame}.heic").touch()
    assert len(plan_batch(tmp_path / "in", tmp_path / "out").stacks) == 1
    monkeypatch.setattr(kinds, "_is_installed", lambda _: False)
    with pytest.raises(FrameError, match=r"holds no stacks.* needs pillow-heif.*\[formats\]"):
        plan_batch(tmp_path / "in", tmp_path / "out")


def test_one_picture_in_two_kinds_is_no_stack(tmp_path):
    save_stack(tmp_path / "moth")
    save(tmp_path / "bee-1.png"), save(tmp_path / "bee-1.jpg"), save(tmp_path / "bee-2.jpg")
    found = plan_batch(tmp_path, tmp_path / "out")
    assert [*names(found)] == ["moth"]
    assert "one picture in two formats" in found.errors["bee"]


def test_a_stack_of_too_many_frames_is_told_before_anything_is_fused(tmp_path):
    save_stack(tmp_path / "moth")
    for number in range(256):
        (tmp_path / f"bee-{number}.jpg").touch()
    found = plan_batch(tmp_path, tmp_path / "out")
    assert [*names(found)] == ["moth"]
    assert found.errors == {"bee": "256 frames; a stack has at most 255"}


def test_a_file_of_several_pages_is_a_stack(tmp_path):
    for name in ("cells-1.tif", "cells-2.tif"):
        pages = [Image.fromarray(picture(0, frame)) for frame in range(3)]
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    (tmp_path / "moss-1.tif").write_bytes(b"II*\0")
    save(tmp_path / "moss-2.tif")
    found = plan_batch(tmp_path, tmp_path / "out")
    assert names(found) == {"cells-1": ["cells-1.tif"], "cells-2": ["cells-2.tif"]}
    assert [each.found.number for each in found.stacks] == [3, 3]
    assert "moss-1.tif" in found.errors["moss"]


def test_two_stacks_of_one_name_are_refused_and_both_named(tmp_path):
    save_stack(tmp_path / "Bee")
    save(tmp_path / "bee-1.jpg"), save(tmp_path / "bee-2.jpg")
    same = r"Bee/ and bee-1\.jpg to bee-2\.jpg are two stacks with the same name"
    with pytest.raises(OptionsError, match=same):
        plan_batch(tmp_path, tmp_path / "out")


# --- results ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "dtype", "asked", "made"),
    [
        (".JPG", np.uint8, None, ".jpg"),
        (".tif", np.uint16, None, ".tif"),
        (".png", np.uint16, None, ".png"),
        (".bmp", np.uint8, None, ".png"),
        (".jpg", np.uint8, ".tif", ".tif"),
    ],
)
def test_results_keep_the_frames_kind_and_depth(kind, dtype, asked, made, model, tmp_path):
    save_stack(tmp_path / "in" / "bee", suffix=kind, dtype=dtype)
    batch = plan_batch(tmp_path / "in", tmp_path / "out", BatchOptions(suffix=asked))
    done, errors = fuse_batch(model, batch, FuseOptions())
    assert not errors
    assert done[0].output == tmp_path / "out" / f"bee{made}"
    assert cv2.imread(str(done[0].output), cv2.IMREAD_UNCHANGED).dtype == dtype


def test_a_suffix_that_cannot_be_written_is_refused(tmp_path):
    save_stack(tmp_path / "bee")
    with pytest.raises(OptionsError, match=r"--suffix \.xyz cannot be written"):
        plan_batch(tmp_path, tmp_path / "out", BatchOptions(suffix=".xyz"))


@pytest.mark.parametrize("out", ["fused", "leaf/fused", "new/fused/today", "link"])
def test_results_inside_the_batch_are_never_fused(out, model, tmp_path):
    folder = tmp_path / "in"
    save_stack(folder / "leaf")
    save(folder / "bee-1.png", 0), save(folder / "bee-2.png", 1)
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    for suffix in (".png", ".tif", None, ".jpg"):
        batch = plan_batch(folder, folder / out, BatchOptions(suffix=suffix))
        assert names(batch) == {"leaf": ["0.png", "1.png"], "bee": ["bee-1.png", "bee-2.png"]}
        _, errors = fuse_batch(model, batch, FuseOptions())
        assert not errors
    assert {path.name for path in (folder / out).iterdir()} == {
        *(".fused", "bee.png", "leaf.png", "bee.tif", "leaf.tif", "bee.jpg", "leaf.jpg"),
    }
    assert names(plan_batch(folder, tmp_path / "other")).keys() == {"leaf", "bee"}


def test_results_beside_the_stacks_are_no_stack_of_the_folder_above(model, tmp_path):
    save_stack(tmp_path / "bee")
    save_stack(tmp_path / "more" / "leaf")
    fuse_batch(model, plan_batch(tmp_path / "more", tmp_path / "fused"), FuseOptions())
    assert names(plan_batch(tmp_path, tmp_path / "other")).keys() == {"bee"}


def test_results_do_not_go_among_frames(tmp_path):
    save_stack(tmp_path / "in" / "bee")
    (tmp_path / "link").symlink_to(tmp_path / "in" / "bee")
    for out in (tmp_path / "in" / "bee", tmp_path / "link", tmp_path / "in" / ".." / "in" / "bee"):
        with pytest.raises(OptionsError, match="holds frames, and results would go among them"):
            plan_batch(tmp_path / "in", out)


def test_a_result_that_is_a_frame_is_refused_before_anything_is_fused(tmp_path):
    save_stack(tmp_path / "in" / "ant")
    frame = save(tmp_path / "out" / "bee.png")
    (tmp_path / "in" / "bee").mkdir()
    for number in (1, 2):
        (tmp_path / "in" / "bee" / f"{number}.png").symlink_to(frame)
    with pytest.raises(OptionsError, match=r"bee\.png would overwrite the frame .*1\.png|2\.png"):
        plan_batch(tmp_path / "in", tmp_path / "out")


def test_outputs_are_tried_before_anything_is_fused(tmp_path):
    save_stack(tmp_path / "in" / "bee")
    (tmp_path / "out" / "bee.png").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"bee\.png: it is a folder"):
        plan_batch(tmp_path / "in", tmp_path / "out")
    with pytest.raises(OutputError, match="is not a folder"):
        plan_batch(tmp_path / "in", tmp_path / "in" / "bee" / "0.png" / "out")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "leaf.png").symlink_to("bee.png")
    save_stack(tmp_path / "in" / "leaf")
    with pytest.raises(OptionsError, match="one picture would overwrite another"):
        plan_batch(tmp_path / "in", tmp_path / "two")


def test_a_failure_does_not_stop_the_others_and_progress_is_told(model, tmp_path):
    for name in ("ant", "bee", "moth"):
        save_stack(tmp_path / "in" / name)
    (tmp_path / "in" / "bee" / "1.png").write_bytes(b"no picture")
    told: list[tuple[str, int, int]] = []
    batch = plan_batch(tmp_path / "in", tmp_path / "out")
    done, errors = fuse_batch(model, batch, FuseOptions(), progress=lambda *now: told.append(now))
    assert [each.output.name for each in done] == ["ant.png", "moth.png"]
    assert "1.png" in errors["bee"]
    assert [now for now in told if now[0] == "stacks"] == [("stacks", k, 3) for k in range(4)]
    assert ("reading", 2, 2) in told


def test_each_stack_is_told_when_it_is_done_and_at_last_how_many(model, tmp_path):
    for name in ("ant", "bee", "moth"):
        save_stack(tmp_path / "in" / name)
    out = tmp_path / "out"
    request = FuseRequest((), out, tmp_path / "in")
    told: list[tuple[str, list[str]]] = []

    def done(fused: FusedFile) -> None:
        told.append((fused.output.name, sorted(path.name for path in out.glob("*.png"))))

    assert fuse_as_asked(model, request, done=done).lines() == []
    assert told[0] == ("ant.png", ["ant.png"])
    assert told[1] == ("bee.png", ["ant.png", "bee.png"])
    (tmp_path / "in" / "bee" / "1.png").write_bytes(b"no picture")
    assert fuse_as_asked(model, request).lines() == ["2 of 3 stacks fused"]
    (tmp_path / "in" / "bee" / "1.png").unlink()
    assert fuse_as_asked(model, request).lines() == ["2 stacks fused"]


@pytest.mark.parametrize(("options", "lines"), [((), 3), (("--quiet",), 0)])
def test_a_batch_prints_a_line_for_each_stack_and_json_at_once(model, tmp_path, options, lines):
    save_folder(tmp_path / "network", model)
    for name in ("ant", "bee"):
        save_stack(tmp_path / "in" / name)
    save(tmp_path / "in" / "near.png")
    asked = ["fuse", "--batch", tmp_path / "in", "-o", tmp_path / "out", "--model", tmp_path / "network"]
    done = CliRunner().invoke(main, [*map(str, asked), *options])
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == lines
    done = CliRunner().invoke(main, [*map(str, asked), *options, "--json"])
    assert [Path(each["output"]).name for each in json.loads(done.stdout)["fused"]] == ["ant.png", "bee.png"]


def test_a_dry_run_lists_stacks_beside_pictures_that_it_cannot_group(tmp_path):
    for name in ("bee-1.png", "bee-2.png", "IMG_0001.png", "IMG_0002.png"):
        save(tmp_path / "in" / name)
    asked = ["fuse", "--batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--dry-run"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [f"{tmp_path / 'out' / 'bee.png'}  2 frames, bee-1.png to bee-2.png"]
    assert "IMG_0001.png to IMG_0002.png (2 pictures): " in done.stderr
    assert "--group auto" in done.stderr
    assert CliRunner().invoke(main, asked[:-1]).exit_code == 2
    for number in (1, 2):
        (tmp_path / "in" / f"bee-{number}.png").unlink()
    assert CliRunner().invoke(main, asked).exit_code == 2


def test_a_dry_run_lists_stacks_and_writes_nothing(tmp_path, cli):
    save_stack(tmp_path / "in" / "bee", suffix=".jpg")
    save(tmp_path / "in" / "near.png")
    asked = ("fuse", "--batch", tmp_path / "in", "-o", tmp_path / "out", "--dry-run", "--model", "no-network")
    done = cli(*asked)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{tmp_path / 'out' / 'bee.jpg'}  2 frames, 0.jpg to 1.jpg",
        "skipped near.png: one frame, and nothing to fuse it with",
    ]
    assert not (tmp_path / "out").exists()
    (tmp_path / "in" / "leaf").mkdir()
    (tmp_path / "in" / "leaf" / "0.psd").write_bytes(b"")
    done = cli(*asked, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert "leaf: 0.psd" in done.stderr
    assert [(each["name"], len(each["files"]), each["frames"]) for each in report["stacks"]] == [
        ("bee", 2, 2)
    ]
    assert [each["path"] for each in report["skipped"]] == [str(tmp_path / "in" / "near.png")]


def test_a_locked_folder_does_not_stop_the_others(tmp_path):
    save_stack(tmp_path / "bee")
    locked = tmp_path / "moth", tmp_path / "bee" / "deeper"
    for folder in locked:
        folder.mkdir()
    code = (
        "import sys, pathlib; from zoo.stacks.batches.finding import find;"
        "found = find(pathlib.Path(sys.argv[1]));"
        "print([each.name for each in found.stacks], found.errors)"
    )
    with mode(0, *locked):
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path],
            capture_output=True, text=True, check=False, preexec_fn=obey_permissions,
        )  # fmt: skip
    assert done.stdout.strip() == str(["bee"]) + f" {{'moth': 'cannot read {locked[0]}: Permission denied'}}"


def test_found_pictures_are_each_in_one_place(tmp_path):
    for name in ("a-1.png", "a-2.png", "b.png", "IMG_0001.png", "c/0.png", "c/1.png", "d/0.png", "near.png"):
        save(tmp_path / name)
    for group in ("name", "auto"):
        found = find(tmp_path, group)
        placed = [*(each.path for each in found.skipped), *found.cameras]
        placed += [file for each in found.stacks for file in each.files]
        assert sorted(placed) == sorted(tmp_path.rglob("*.png"))
