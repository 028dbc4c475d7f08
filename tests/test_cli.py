from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Cli

import mfsynth


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").stdout == f"mfsynth {mfsynth.__version__}\n"
    for command in ("", "build", "download", "verify", "preview", "stats"):
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
            "--sigma is (5.0, 1.0), it must be two rising numbers",
        ),
        (["build", "--split", "s", "--licenses", "4;5"], 2, "'4;5' is not a list of numbers such as 4,5,7"),
        (
            ["build", "--split", "s", "--from", "x"],
            2,
            "--from sets all that decides content; leave --split away",
        ),
        (["build", "--split", "s", "--images", "/nowhere"], 2, "cannot read /nowhere"),
        (["build", "--split", "s", "--coco", "/nowhere"], 1, "/nowhere has no pictures of split 's'"),
        (["build", "--split", "nosuch"], 1, "'nosuch' is no official split"),
        (["build", "--from", "/nowhere/manifest.json"], 1, "/nowhere/manifest.json is not there"),
        (["download", "--split", "val2018"], 2, "did you mean val2017?"),
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


def test_out_defaults_to_the_splits_name_and_coco_to_the_environment(
    cli: Cli, small_coco: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"MFSYNTH_COCO": str(small_coco)}
    run = cli("build", "--split", "small", "--shards", "2", cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("made 9 samples in 2 shards, ")
    assert "samples/s" in run.stdout
    assert len(mfsynth.open(tmp_path / "small")) == 9


def test_every_content_option_reaches_the_manifest(cli: Cli, small_coco: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("3\n13  # the second\n23\n33\n!13\n")
    run = cli(
        "build", "--split", "small", "--coco", small_coco, "--out", tmp_path / "out", "--shards", 2,
        "--seed", 9,
        "--variants", 2, "--sigma", 2, 3, "--noise", 0.01, 0.02, "--store", "recipe", "--format", "jpeg",
        "--min-area", 0.1, "--licenses", "5,4", "--images", ids, "--limit", 2, "--quiet",
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
    }
    recipes = [scene.recipe for scene in data]
    assert [recipe.key for recipe in recipes] == [f"{id:012d}-{v:03d}" for id in (3, 23) for v in (0, 1)]
    assert all(2 <= recipe.blur.sigma <= 3 and recipe.seed == 9 for recipe in recipes)
    assert all(0.01 <= frame.noise_sigma <= 0.02 for recipe in recipes for frame in recipe.frames)


def test_the_help_says_which_licences_allow_derivatives(cli: Cli) -> None:
    text = " ".join(cli("build", "--help").stdout.split())
    assert "All but 3 and 6 allow derivatives" in text
