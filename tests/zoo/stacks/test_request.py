"""What is wrong with a request is told before any frame is read."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
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
    with pytest.raises(OptionsError, match="no rule nearest; it has weighted and select"):
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


def test_an_interrupt_leaves_what_was_there(warm: WarmPython, tmp_path: Path) -> None:
    """Fusing these frames takes several seconds; Ctrl-C comes after half a second."""
    for name in ("near.jpg", "far.jpg"):
        cv2.imwrite(
            str(tmp_path / name), np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
        )
    (tmp_path / "fused.png").write_bytes(b"of an earlier run")
    code = """
import os, signal, threading
from mfsynth.cli import main
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
main(["fuse", "near.jpg", "far.jpg", "-o", "fused.png", "--device", "cpu", "--tile", "256"])
"""
    done = warm.run(code=code, env=dict(os.environ), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "mfsynth: interrupted"
    assert "Traceback" not in done.stderr
    assert (tmp_path / "fused.png").read_bytes() == b"of an earlier run"
    assert names(tmp_path) == ["far.jpg", "fused.png", "near.jpg"]


def test_a_folder_in_place_of_frames_is_refused_with_the_way_to_give_its_pictures(tmp_path: Path) -> None:
    with pytest.raises(
        OptionsError, match=r"is a folder; give its pictures, such as .*\*\.jpg, or .*--batch"
    ):
        FuseRequest((tmp_path,), tmp_path / "fused.png")
