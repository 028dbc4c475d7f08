"""The zoo's commands at a user's mistakes: one exit code, one clear line, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Cli

TRAIN = ["train", "hf-seg", "--out", "x", "--data"]
EVALUATE = ["evaluate", "--methods", "average", "--out", "x", "--data"]
PUSH = ["zoo", "push", "hf-seg", "--repo", "ann/net"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["fuse", "-o", "x/a.png"], 2, "no frames are given"),
        (["fuse", "a.png", "b.png", "-o", "x/a.xyz"], 2, "the suffix '.xyz' is unknown"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png", "--tile", "1"], 2, "--tile"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png", "--device", "abacus"], 2, "there is no device 'abacus'"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png", "--rule", "nearest"], 2, "has no rule nearest"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png", "--burst", "fold"], 2, "--burst fold has no effect on"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png", "--single-pass"], 2, "such as hf-seg"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png", "--model", "nowhere/x"], 1, "nowhere/x"),
        (["fuse", "a.png", "b.png", "-o", "x/a.png"], 1, "a.png"),
        ([*TRAIN, "coco:DIR"], 2, "coco:DIR does not name a folder and a split; write coco:DIR:SPLIT"),
        ([*TRAIN, "shards@0"], 2, "the weight of shards is 0.0"),
        ([*TRAIN, "coco:nowhere:val2017"], 1, "nowhere"),
        ([*TRAIN, "shards", "--steps", "0"], 2, "--steps"),
        ([*TRAIN, "shards", "--set", "lr"], 2, "--set lr has no value"),
        ([*TRAIN, "shards", "--set", "lr=fast"], 2, "--set: lr is 'fast'"),
        ([*TRAIN, "shards", "--set", "lr=2"], 2, "--set: lr is 2.0"),
        ([*TRAIN, "shards", "--set", "model.width=0"], 2, "--set: width is 0"),
        ([*TRAIN, "shards", "--set", "learning_rate=1"], 2, "--set: there is no setting 'learning_rate'"),
        ([*TRAIN, "shards", "--set", "frames=6"], 2, "--set: frames is '6', it must be two numbers"),
        (["train", "hf-seg"], 2, "--data and --out are needed"),
        (["evaluate", "--methods", "average", "--data", "lytro", "--out", "x"], 2, "lytro"),
        (["evaluate", "--methods", "average", "--data", "pairs:nowhere", "--out", "x"], 2, "nowhere"),
        (
            ["evaluate", "--methods", "average", "--data", "pairs:.", "--out", "x", "--limit", "0"],
            2,
            "--limit",
        ),
        (["zoo", "pull", "nowhere/x", "-o", "x", "--origin", "shipped"], 2, "nowhere/x is not a short name"),
        (["zoo", "pull", "hf-sg", "-o", "x"], 1, "did you mean hf-seg"),
        (["zoo", "info", "hf-seg", "--origin", "shop"], 2, "--origin"),
        (PUSH, 2, "Missing option '--license'"),
        ([*PUSH, "--license", "my own"], 2, "license is 'my own'; give the Hub's name for it"),
        (
            [*PUSH, "--license", "mit", "--tag", "v1", "--create-pr"],
            2,
            "a pull request cannot be tagged",
        ),
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


def test_a_file_to_rank_among_is_read_before_anything_is_made(cli: Cli, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    (tmp_path / "pairs").mkdir()
    for name in ("p_A.png", "p_B.png"):
        cv2.imwrite(str(tmp_path / "pairs" / name), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "theirs.json").write_text("[]")
    words = ["--methods", "average", "--data", "pairs:pairs", "--against", "theirs.json", "--out", "x"]
    run = cli("evaluate", *words, cwd=tmp_path)
    assert run.returncode == 1
    assert "theirs.json holds no published values" in run.stderr
    assert not (tmp_path / "x").exists()


def test_list_info_and_pull_report_alike(cli: Cli, tmp_path: Path) -> None:
    names = [each["name"] for each in json.loads(cli("zoo", "list", "hf-*", "--json").stdout)]
    assert names == sorted(names)
    assert "hf-seg" in names
    assert cli("zoo", "list", "hf-seg").stdout.startswith("hf-seg  ")
    assert "apache-2.0" in cli("zoo", "info", "hf-seg").stdout
    pulled = json.loads(cli("zoo", "pull", "hf-seg", "-o", tmp_path / "net", "--json").stdout)
    assert pulled == {"folder": str(tmp_path / "net"), "origin": "shipped with the package"}
