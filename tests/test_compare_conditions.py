"""scripts/compare_conditions.py: that it fuses by every method, bare and prepared."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import compare_conditions

    return compare_conditions


@pytest.mark.parametrize("method", ["focus-set", "hf-seg", "gff"])
def test_another_exposure_costs_a_method_nothing_when_frames_are_prepared(
    script: ModuleType, method: str
) -> None:
    assert method in script.METHODS
    bare, prepared = script.compared(method, script.brighter(0.7)(script.drawn(0)))
    assert 10 < bare < prepared - 5
    assert script.psnr(*[script.nothing(script.drawn(0)).truth] * 2, 255) == 100


def test_the_page_has_the_marks_that_a_table_goes_between(script: ModuleType) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    table = script.markdown([["nothing", *"12345678"]], "no scenes")
    assert "| focus-set, bare | focus-set, with mfsynth | hf-seg, bare |" in table
    assert table in script.updated(page, table)
