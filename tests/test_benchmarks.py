"""scripts/benchmarks.py and docs/benchmarks.md say the same."""

from __future__ import annotations

import csv
import io
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mfsynth.options import Selection

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import benchmarks

    return benchmarks


def test_the_page_shows_the_commands_that_the_script_runs(script: ModuleType) -> None:
    shown = re.findall(
        r"^\$ (mfsynth build .*)$", (ROOT / "docs" / "benchmarks.md").read_text(), re.MULTILINE
    )
    data = Path("results/benchmarks/data")
    run = [each.build_words("../shared/coco", str(data / each.name)) for each in script.BENCHMARKS]
    assert shown == [shlex.join(["mfsynth", *words]) for words in run]


def test_the_lists_name_the_images(script: ModuleType) -> None:
    hard, stacks = (Selection.read(script.LISTS / f"{name}.txt") for name in ("hard", "stacks"))
    assert len(stacks.take) == script.STACKS
    assert not hard.leave
    assert not stacks.leave
    assert len(hard.take) > 90


def test_values_are_shortened_and_names_are_not(script: ModuleType) -> None:
    text = "image,method,psnr,ssim\n000000000139-000,hf-seg,41.23456789,\n1e5,a,0.99999999,0.5\n"
    rows = list(csv.DictReader(io.StringIO(script.shortened(text))))
    assert rows[0] == {"image": "000000000139-000", "method": "hf-seg", "psnr": "41.2346", "ssim": ""}
    assert rows[1] == {"image": "1e5", "method": "a", "psnr": "1", "ssim": "0.5"}
