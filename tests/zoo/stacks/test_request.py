"""What is wrong with a request is told before any frame is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import pytest
from focus_stacks import stripes
from warm_python import WarmPython

from mfsynth.errors import OptionsError, OutputError
from zoo.errors import PictureError
from zoo.networks import Config, Network
from zoo.stacks.files import fuse_files
from zoo.stacks.options import Extras, FuseOptions
from zoo.stacks.request import FuseRequest

TWO = (Path("near.png"), Path("far.png"))


@pytest.fixture(scope="module")
def decides() -> Network:
    return Network(Config(task="seg", width=4, depth=2)).eval()


@pytest.fixture(scope="module")
def predicts() -> Network:
    return Network(Config(task="reg", width=4, depth=2)).eval()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_too_many_frames_are_refused_without_looking_at_one() -> None:
    frames = tuple(Path(f"nowhere-{number}.png") for number in range(300))
    with pytest.raises(OptionsError, match="300 frames are given; a stack has at most 255"):
        FuseRequest(frames, Path("fused.png"))
    FuseRequest(frames[:255], Path("fused.png"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"crop": "common"}, "--crop has no effect without --align"),
        ({"range": (900.0, 100.0)}, "--range is 900 100"),
        ({"range": (5.0, 5.0)}, "--range is 5 5"),
        ({"range": (0.0, float("nan"))}, "--range is 0 nan"),
        ({"quality": 101}, "--quality is 101"),
        ({"burst": "all"}, "burst is 'all'; it can be joint, fold or tournament"),
        ({"rule": "best"}, "rule is 'best'"),
        ({"exposure": "last"}, "exposure is 'last'"),
        ({"crop": "all"}, "crop is 'all'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionsError, match=text):
        FuseOptions(**options)  # type: ignore[arg-type]


def test_options_that_the_network_cannot_follow_are_refused(decides: Network, predicts: Network) -> None:
    with pytest.raises(OptionsError, match="no rule nearest; it has weighted, select and blend"):
        FuseOptions(rule="nearest").check_network(decides)
    with pytest.raises(OptionsError, match=r"--tile is 1; it must be \d+ or more"):
        FuseOptions(tile=1).check_network(decides)
    with pytest.raises(OptionsError, match="--raw-decision has no effect"):
        FuseOptions(raw_decision=True).check_network(predicts)
    FuseOptions(rule="nearest", raw_decision=True).check_network(predicts)
    request = FuseRequest(TWO, Path("fused.png"), extras=Extras(decision_map=Path("map.png")))
    request.check_network(decides)
    with pytest.raises(OptionsError, match="chooses no frames, so there are no maps and no page"):
        request.check_network(predicts)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"burst": "fold"}, "--burst fold has no effect on this network: it takes all frames in one pass"),
        ({"burst": "tournament"}, "--burst tournament has no effect"),
        (
            {"symmetric": False},
            "--single-pass has no effect on this network: its one pass does not depend on",
        ),
    ],
)
def test_what_has_an_effect_on_pairs_only_is_refused_with_a_network_for_sets(
    set_model: Network, decides: Network, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(OptionsError, match=text):
        FuseOptions(**options).check_network(set_model)
    FuseOptions(**options).check_network(decides)
    FuseOptions(burst="joint").check_network(set_model)


def test_an_output_that_cannot_be_written_is_told_before_a_frame_is_read(
    decides: Network, tmp_path: Path
) -> None:
    frames = [tmp_path / "in" / name for name in ("near.png", "far.png")]
    (tmp_path / "in").mkdir()
    for frame in frames:
        frame.write_bytes(b"not a picture")
    (tmp_path / "folder.png").mkdir()
    for output in (frames[0] / "fused.png", tmp_path / "folder.png"):
        with pytest.raises(OutputError, match="cannot write"):
            fuse_files(decides, frames, output, FuseOptions())
    with pytest.raises(OutputError, match="cannot write"):
        fuse_files(decides, frames, tmp_path / "a.png", FuseOptions(), extras=Extras(frames[0] / "map.png"))
    with pytest.raises(OutputError, match="File name too long"):
        fuse_files(decides, frames, tmp_path / f"{'a' * 300}.png", FuseOptions())
    with pytest.raises(PictureError, match=r"near\.png"):
        fuse_files(decides, frames, tmp_path / "new" / "folder" / "fused.png", FuseOptions())
    assert names(tmp_path) == ["folder.png", "in"]
    assert names(tmp_path / "in") == ["far.png", "near.png"]


def test_a_missing_frame_is_told_before_the_first_is_read(decides: Network, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"not a picture")
    frames = [tmp_path / f"{number}.png" for number in range(3)]
    with pytest.raises(PictureError, match=r"1\.png: No such file"):
        fuse_files(decides, frames, tmp_path / "fused.png", FuseOptions())


STAGES = {"reading": 1, "aligning": 1, "preparing": 2, "fusing": 0.01, "writing": 0, "preview": 1}
"""Stages, and how much of each is done when Ctrl-C comes."""


@pytest.mark.parametrize(
    "stage",
    [
        "preparing",
        "fusing",
        "half a file",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in STAGES
            if each not in ("preparing", "fusing")
        ),
    ],
)
def test_an_interrupt_leaves_what_was_there(
    warm: WarmPython, set_network: Path, tmp_path: Path, stage: str
) -> None:
    """The process gets the signal in the middle of each stage, and while the picture's bytes are written."""
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    work.mkdir()
    scratch.mkdir()
    frames = stripes(3, 96, 128)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(work / f"{number}.png"), frame)
    (work / "fused.png").write_bytes(b"of an earlier run")
    code = f"""
import contextlib, os, signal
import zoo.fusing.fuse_layers
from mfsynth.cli import main
from mfsynth.console import Output

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)

def progress(stage, done, total):
    if stage == {stage!r} and done >= {STAGES.get(stage)}:
        interrupt()

zoo.fusing.fuse_layers.MEMORY = 0  # so that prepared frames go to a file
if {stage!r} == "half a file":
    os.fsync = interrupt
Output.share_bars = lambda self: contextlib.nullcontext(progress)
main(["fuse", "0.png", "1.png", "2.png", "-o", "fused.png", "--model", {str(set_network)!r}, "--align",
      "--device", "cpu", "--tile", "32", "--preview", "page.html"])
"""
    done = warm.run(code=code, env=os.environ | {"TMPDIR": str(scratch)}, cwd=work)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "mfsynth: interrupted"
    assert "Traceback" not in done.stderr
    assert names(work) == ["0.png", "1.png", "2.png", "fused.png"]
    assert names(scratch) == []
    if stage == "preview":  # by then, the picture is written
        assert cv2.imread(str(work / "fused.png")).shape == frames[0].shape
    else:
        assert (work / "fused.png").read_bytes() == b"of an earlier run"


def test_a_folder_in_place_of_frames_is_refused_with_the_way_to_give_its_pictures(tmp_path: Path) -> None:
    with pytest.raises(
        OptionsError, match=r"is a folder; give its pictures, such as .*\*\.jpg, or .*--batch"
    ):
        FuseRequest((tmp_path,), tmp_path / "fused.png")
