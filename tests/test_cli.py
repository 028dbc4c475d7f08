from __future__ import annotations

import errno
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from coco_folder import edit_annotations, save_annotations
from conftest import Cli

import mfsynth
from mfsynth.building.make import DataSetOptions
from mfsynth.cli import CONTENT, main
from mfsynth.options import BuildOptions, ContentOptions
from mfsynth.synthesis.draw import DrawOptions


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").stdout == f"mfsynth {mfsynth.__version__}\n"
    for command in ("", "build", "download", "verify", "info", "preview", "stats", "publish"):
        run = cli(*filter(None, [command, "--help"]))
        assert run.returncode == 0
        assert "Example" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["build"], 2, "give --split, such as --split val2017, or --split demo"),
        (
            ["build", "--split", "s", "--sigma", "5", "1"],
            2,
            "--sigma is (5.0, 1.0), it must be two ascending numbers",
        ),
        (["build", "--split", "s", "--licenses", "4;5"], 2, "'4;5' is not a list of numbers such as 4,5,7"),
        (
            ["build", "--split", "s", "--from", "x"],
            2,
            "--from sets everything that decides content; omit --split",
        ),
        (["build", "--from", "x", "--show"], 2, "--from leaves no options to show; mfsynth info shows"),
        (["build", "--split", "s", "--images", "/nowhere"], 2, "cannot read /nowhere"),
        (["build", "--split", "s", "--coco", "/nowhere"], 1, "/nowhere; give COCO's folder"),
        (["build", "--split", "nosuch"], 1, "'nosuch' is not an official split"),
        (["build", "--from", "/nowhere/manifest.json"], 1, "/nowhere/manifest.json is not there"),
        (["download", "--split", "val2018"], 2, "did you mean val2017?"),
        (["build", "--split", "s", "--limit", "0"], 2, "Invalid value for '--limit': 0 is not in the range"),
        (["build", "--split", "s", "--shards", "-1"], 2, "--shards is -1, it must be 0"),
        (["build", "--split", "s", "--min-area", "0.5"], 2, "--min-area is 0.5, it must be from 0 to 1/3"),
        (["build", "--split", "s", "--frames", "33"], 2, "33 is not in the range 2<=x<=32"),
        (
            ["build", "--split", "s", "--frames", "6", "--planes", "5"],
            2,
            "--planes is 5, it must be from the number of frames, 6, to 255, or 0",
        ),
        (["build", "--split", "s", "--radius", "2", "4"], 2, "--radius has no effect on a Gaussian; give"),
        (["build", "--split", "s", "--kernel", "disk", "--radius", "0.1", "4"], 2, "numbers from 0.2"),
        (
            ["build", "--split", "s", "--preset", "realistic", "--sigma", "2", "4"],
            2,
            "--sigma has no effect on a disk or a polygon; give --radius, or --kernel gaussian",
        ),
        (["build", "--split", "s", "--preset", "real"], 2, "'real' is not one of 'paper', 'realistic'"),
        (["build", "--splt", "s"], 2, "No such option"),
        (["bild"], 2, "No such command 'bild'"),
        (["info", "/nowhere"], 1, "/nowhere/manifest.json is not there"),
        (["preview", "/nowhere", "-o", "x/x.gif"], 2, "name it .png (contact sheet) or .html (page)"),
        (["stats", "/nowhere", "-o", "x/x.gif"], 2, "name the output .png"),
        (["publish", "/nowhere", "--repo", "name"], 2, "--repo is 'name', it must be user/name"),
        (
            ["build", "--split", "demo", "--out", "https://example.com/set"],
            1,
            "cannot write to https://example.com/set: it is not an object store",
        ),
        (["verify", "v" * 5000], 1, "File name too long"),
        (["verify", "/nowhere"], 1, "/nowhere/manifest.json is not there"),
        (["preview", "/nowhere", "-o", "x.png"], 1, "/nowhere/manifest.json is not there"),
        (["stats", "/nowhere"], 1, "/nowhere/manifest.json is not there"),
    ],
)
def test_mistakes_get_one_clear_line_and_an_exit_code(
    cli: Cli, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    run = cli(*arguments, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (code, "")
    assert text in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_out_defaults_to_a_folder_of_the_splits_name_and_coco_to_the_environment(
    cli: Cli, small_coco: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"MFSYNTH_COCO": str(small_coco)}
    run = cli("build", "--split", "small", "--shards", "2", cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("made 9 samples in 2 shards, ")
    assert "samples/s" in run.stdout
    assert len(mfsynth.open(tmp_path / "out" / "small")) == 9
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_it_runs_as_a_module(cli: Cli) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mfsynth", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"mfsynth {mfsynth.__version__}\n"
    usage = subprocess.run(
        [sys.executable, "-m", "mfsynth", "--help"], capture_output=True, text=True, check=True
    )
    assert usage.stdout.startswith("Usage: mfsynth [OPTIONS]")


def test_other_platforms_are_refused_in_one_line_by_commands_alone() -> None:
    code = "import mfsynth.cli, sys; sys.platform = 'win32'; mfsynth.cli.main(['stats', 'x'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr == "mfsynth: mfsynth runs on Linux and macOS, not on win32; on Windows, use WSL\n"


def opened_by(process: subprocess.Popen[str], pipe: Path) -> int:
    """A named pipe's writing end, once a process reads from the other; a process that ends is a failure."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no reader yet
                raise
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("command", ["info", "stats"])
def test_an_interrupt_while_a_server_is_waited_for(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-m", "mfsynth", command, f"http://127.0.0.1:{silent.getsockname()[1]}/set"],
            stderr=subprocess.PIPE, text=True, process_group=0,
        )  # fmt: skip
        with silent.accept()[0] as asked:
            assert asked.recv(4) == b"GET "
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "mfsynth: interrupted"


def test_an_interrupt_is_one_line_and_130(tmp_path: Path) -> None:
    """A pipe that nobody writes to keeps the command waiting, until Ctrl-C."""
    waiting = tmp_path / "images"
    os.mkfifo(waiting)
    process = subprocess.Popen(
        [sys.executable, "-m", "mfsynth", "build", "--split", "demo", "--images", waiting],
        stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip
    writer = opened_by(process, waiting)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130
    assert errors.strip().startswith("mfsynth: interrupted")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("answer", "code", "text"), [(b"n\n", 1, "which was not confirmed"), (None, 130, "")]
)
def test_a_large_download_is_asked_for(tmp_path: Path, answer: bytes | None, code: int, text: str) -> None:
    keyboard, terminal = pty.openpty()
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    snippet = (
        "import mfsynth.coco.official.download as server, mfsynth.cli; "  # which is not asked for sizes here
    )
    snippet += "server.missing_bytes = lambda *_, **__: 19_000_000_000; "
    snippet += "mfsynth.cli.main(['build', '--split', 'train2017'])"
    process = subprocess.Popen(
        [sys.executable, "-c", snippet],
        stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    question = process.stderr.read(len("train2017 is a download of 19.0 GB. Continue?"))
    assert question == b"train2017 is a download of 19.0 GB. Continue?"
    if answer is None:
        time.sleep(0.5)  # Python's input() loses a signal that comes while it flushes the question
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.write(keyboard, answer)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert text in errors.decode()
    assert b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_one_is_singular(cli: Cli, small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = cli("build", "--split", "small", "--coco", small_coco, "--out", out, "--limit", 1)
    assert made.stdout.startswith("made 1 sample in 1 shard, ")
    assert f"{out} is intact: 1 sample in 1 shard, " in cli("verify", out).stdout
    assert "  size        1 sample in 1 shard, " in cli("info", out).stdout
    dry = cli("build", "--split", "small", "--coco", small_coco, "--out", out, "--limit", 1, "--dry-run")
    assert dry.stdout.startswith("would make 1 sample in 1 shard, ")


def test_a_path_that_is_not_utf8_is_printed_as_it_is(small_coco: Path, tmp_path: Path) -> None:
    out = os.fsencode(tmp_path) + b"/b\xff"
    words = ["build", "--split", "small", "--coco", small_coco, "--limit", "1", "--out", out]
    for more, where in (([], out), (["--json"], b"/b\\udcff")):
        run = subprocess.run(
            [sys.executable, "-m", "mfsynth", *words, *more], capture_output=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert where in run.stdout


def test_info_says_what_a_data_set_is(cli: Cli, small_pairs: Path, small_recipes: Path) -> None:
    lines = cli("info", small_pairs).stdout.splitlines()
    assert lines[0] == f"{small_pairs}: small"
    assert lines[1].startswith("  size        18 samples in 3 shards, ")
    assert lines[2:4] == [
        "  store       pairs: 2 frames per sample, stored as png",
        "  options     variants 2, noise 0 0.1",
    ]
    assert lines[-1] == "  left out    none"
    told = json.loads(cli("info", small_pairs / "manifest.json", "--json").stdout)
    manifest = mfsynth.Manifest.read(small_pairs)
    assert told["bytes"] == sum(path.stat().st_size for path in small_pairs.glob("*.tar"))
    assert told["options"] == {"variants": 2, "noise": [0.0, 0.1]}
    assert told["packages"] == manifest.packages
    assert sum(each["samples"] for each in told["licenses"]) == told["samples"] == 18
    assert "rendered on reading" in cli("info", f"file://{small_recipes}").stdout


def test_info_counts_the_images_left_out_by_reason(cli: Cli, small_coco: Path, tmp_path: Path) -> None:
    shutil.copytree(small_coco, tmp_path / "coco")
    content = edit_annotations(tmp_path / "coco", "small")
    for image in content["images"][:2]:
        image["license"] = 3
    content["images"].append({"id": -1})
    save_annotations(tmp_path / "coco", "small", content)
    out = tmp_path / "out"
    given = ["build", "--split", "small", "--coco", tmp_path / "coco", "--out", out, "--licenses", "4"]
    assert cli(*given, "--seed", 7).returncode == 0
    told = json.loads(cli("info", out, "--json").stdout)
    assert (told["left_out"], told["skipped"]) == ({"license": 2}, {"stray-record": 1})
    text = cli("info", out).stdout
    assert "  options     seed 7, licenses 4\n" in text
    assert "  left out          2  license (" in text
    assert "  skipped           1  stray-record (" in text


def test_every_content_option_reaches_the_manifest(cli: Cli, small_coco: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("3\n13  # the second\n23\n33\n!13\n")
    run = cli(
        "build", "--split", "small", "--coco", small_coco, "--out", tmp_path / "out", "--shards", 2,
        "--seed", 9,
        "--variants", 2, "--sigma", 2, 3, "--noise", 0.01, 0.02, "--store", "recipe", "--format", "jpeg",
        "--min-area", 0.1, "--licenses", "5,4", "--images", ids, "--limit", 2,
        "--orientation", "upright", "--frames", 3, "--planes", 4, "--order", "layout", "--boundary", "spread",
        "--fill", "inpaint", "--light", "linear", "--noise-model", "poisson-gaussian", "--capture", "camera",
        "--breathing", 1.5, "--min-sharpness", 0.5, "--quiet",
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    data = mfsynth.open(tmp_path / "out").scenes()
    assert data.manifest.options == {
        "split": "small",
        "masks": "panoptic",
        "seed": 9,
        "variants": 2,
        "sigma": [2.0, 3.0],
        "noise": [0.01, 0.02],
        "store": "recipe",
        "format": "jpeg",
        "min_area": 0.1,
        "licenses": [4, 5],
        "images": {"take": [3, 13, 23, 33], "leave": [13]},
        "limit": 2,
        "shards": 2,
        "orientation": "upright",
        "frames": 3,
        "planes": 4,
        "order": "layout",
        "boundary": "spread",
        "fill": "inpaint",
        "light": "linear",
        "noise_model": "poisson-gaussian",
        "capture": "camera",
        "breathing": 1.5,
        "min_sharpness": 0.5,
    }
    recipes = [scene.recipe for scene in data]
    assert [recipe.key for recipe in recipes] == [f"{id:012d}-{v:03d}" for id in (3, 23) for v in (0, 1)]
    assert all(2 <= recipe.blur.sigma <= 3 and recipe.seed == 9 for recipe in recipes)
    assert all(0.01 <= frame.noise_sigma <= 0.02 for recipe in recipes for frame in recipe.frames)


def test_a_preset_and_what_overrides_it_reach_the_manifest(
    cli: Cli, small_coco: Path, tmp_path: Path
) -> None:
    run = cli(
        "build", "--split", "small", "--coco", small_coco, "--out", tmp_path / "out", "--store", "recipe",
        "--preset", "realistic", "--kernel", "polygon", "--radius", 2, 3, "--min-sharpness", 0,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    data = mfsynth.open(tmp_path / "out").scenes()
    assert data.manifest.options["kernel"] == "polygon"
    assert data.manifest.options["radius"] == [2.0, 3.0]
    assert "min_sharpness" not in data.manifest.options
    assert "preset" not in data.manifest.options
    assert all(5 <= scene.recipe.optics.blades <= 9 for scene in data if scene.recipe.optics)


def test_a_preset_is_shown_with_what_overrides_it_and_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    given = ["build", "--preset", "realistic", "--frames", "6", "--capture", "clean", "--show"]
    lines = cli(*given, cwd=tmp_path).stdout.splitlines()
    assert lines[0].startswith("preset realistic: --order layout --kernel disk --radius ")
    told = [line.split() for line in lines[2:]]
    assert ["--frames", "6", "given"] in told
    assert ["--capture", "clean", "given"] in told
    assert ["--kernel", "disk", "preset"] in told
    assert ["--fill", "nearest", "default"] in told
    assert not any(line[0] in ("--sigma", "--noise-model") for line in told)  # they would have no effect
    shown = json.loads(cli(*given, "--json", cwd=tmp_path).stdout)
    assert shown["sets"]["capture"] == "camera"
    assert shown["options"]["capture"] == "clean"
    assert shown["options"]["noise_model"] == "gaussian"
    assert shown["options"]["frames"] == 6
    paper = cli("build", "--split", "val2017", "--show", cwd=tmp_path)
    assert paper.stdout.startswith("preset paper: every option at its default\n")
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_which_licenses_allow_derivatives(cli: Cli) -> None:
    text = " ".join(cli("build", "--help").stdout.split())
    assert "All but 3 and 6 allow derivatives" in text


def test_an_option_of_a_build_is_everywhere() -> None:
    """What decides content has a flag, is refused beside --from, and is a keyword of `mfsynth.build`."""
    names = {each.name for each in fields(BuildOptions)}
    assert set(CONTENT) == {*names - {"depth"}, "depth_far_is_large", "preset"}  # --depth names a folder
    assert names <= {parameter.name for parameter in main.commands["build"].params}
    assert {"split", "shards", *DataSetOptions.__annotations__} == {*names, "preset"}
    assert set(ContentOptions.__annotations__) < set(DataSetOptions.__annotations__)
    assert {each.name for each in fields(DrawOptions)} <= names
