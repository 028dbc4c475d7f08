"""scripts/export_parity.py: what is compared anew replaces its own rows, and the page shows the CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnx")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import export_parity

    return export_parity


def row(network: str, form: str, precision: str, share: float) -> dict[str, str]:
    return {
        "network": network, "format": form, "precision": precision, "backend": "openvino",
        "picture": "known pair", "share": f"{share}", "difference": "0.1",
    }  # fmt: skip


def test_what_is_not_compared_anew_is_kept_and_all_is_in_order(script: ModuleType) -> None:
    kept = [row("b", "onnx", "fp32", 1), row("b", "openvino", "fp32", 1), row("c", "onnx", "fp16", 0.9)]
    new = [row("c", "onnx", "fp16", 0.99995), row("a", "onnx", "int8", 1), row("b", "onnx", "int8", 0.9998)]
    assert script.merged(kept, new) == [new[1], kept[0], new[2], kept[1], new[0]]


def test_the_page_shows_the_table_in_which_what_is_refused_is_bold(script: ModuleType) -> None:
    rows = script.recorded()
    table = script.markdown_of(rows)
    assert table in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    refused = {(each["network"], each["precision"]) for each in rows if float(each["share"]) < script.EQUAL}
    assert refused
    for line in table.splitlines()[2:]:
        network, _, precision = line.strip("| ").split(" | ")[:3]
        assert ("**" in line) == ((network, precision) in refused)
