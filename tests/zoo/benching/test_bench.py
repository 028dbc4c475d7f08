"""`mfsynth zoo bench`: what networks cost, each backend and precision in a process of its own."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from mfsynth.errors import MissingExtraError
from zoo.benching import timing
from zoo.benching.bench import BenchReport, Cost, Row, Setup, bench
from zoo.benching.timing import drawn, peak_memory

pytest.importorskip("onnxruntime")


def test_the_report_says_what_was_measured_and_how_fast_and_large_it_is(tiny_set, cli) -> None:
    words = ["--size", "48x32", "--frames", 3, "--threads", 1, "--repeats", 2, "--backend", "onnxruntime"]
    done = cli("zoo", "bench", tiny_set, *words, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    setup = {name: told[name] for name in ("height", "width", "frames", "threads", "repeats")}
    assert setup == {"height": 32, "width": 48, "frames": 3, "threads": 1, "repeats": 2}
    (row,) = told["rows"]
    which = {"network": str(tiny_set), "backend": "onnxruntime", "precision": "fp32", "calls": 2}
    assert row.items() >= which.items()
    pixels = row["milliseconds"] / 1e3 * row["megapixels_per_second"] * 1e6
    assert pixels == pytest.approx(32 * 48)
    assert 20 < row["peak_megabytes"] < 2000
    assert told["missing"] == {}


@pytest.mark.slow
def test_torch_has_every_precision_and_its_memory_weighs_on_no_other_backend(tiny_set) -> None:
    report = bench([str(tiny_set)], Setup(32, 32, repeats=1))
    costs = {(row.backend, row.precision): row.cost for row in report.rows}
    assert costs.keys() >= {("torch", "fp32"), ("torch", "bf16"), ("torch", "fp16"), ("onnxruntime", "fp32")}
    peaks = {key: cost.peak_megabytes for key, cost in costs.items() if cost}
    assert peaks["onnxruntime", "fp32"] < peaks["torch", "fp32"] - 50  # torch takes more than that


def test_a_backend_that_is_missing_gets_a_line_that_says_what_brings_it(tiny_set, monkeypatch) -> None:
    for name in ("openvino", "torch"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    report = bench([str(tiny_set)], Setup(16, 16, repeats=1))
    assert [row.backend for row in report.rows] == ["onnxruntime"]
    for name, extra in (("openvino", "[openvino]"), ("torch", "[fuse]")):
        (line,) = [line for line in report.lines() if line.startswith(name)]
        assert line.startswith(f"{name} is not installed: ")
        assert extra in line
    with pytest.raises(MissingExtraError, match=r"openvino is not installed; .*\[openvino\]"):
        bench([str(tiny_set)], Setup(16, 16, repeats=1), ("openvino",))


def test_what_cannot_be_measured_is_refused_before_anything_is(cli) -> None:
    done = cli("zoo", "bench", "focus-set", "focus-sett")
    assert done.returncode == 1
    assert "did you mean focus-set" in done.stderr
    done = cli("zoo", "bench", "focus-set", "--size", "8x8")
    assert done.returncode == 2
    assert "16 pixels or more" in done.stderr


def test_a_network_that_does_not_work_gets_a_row_that_says_why(tiny_set, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_set / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    report = bench([str(tmp_path)], Setup(16, 16, repeats=1), ("onnxruntime",))
    (row,) = report.rows
    assert row.cost is None
    assert "model.safetensors" in row.reason
    assert report.errors == {f"{tmp_path} by onnxruntime in fp32": row.reason}


def test_a_command_that_measures_nothing_fails_and_says_why(tiny_set, cli) -> None:
    vast = ["--size", 10_000_000, "--backend", "onnxruntime"]
    done = cli("zoo", "bench", tiny_set, *vast)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if "onnxruntime" in line]
    assert "there is not enough memory" in line
    assert "--size" in line
    assert "Traceback" not in done.stderr


def test_what_is_not_measured_is_told_once_for_all_precisions() -> None:
    cost, reason = Cost(10.0, 0.1, 200.0, 3), "there is no device"
    rows = [Row("net", "torch", each, None, reason) for each in ("fp32", "bf16")]
    report = BenchReport(Setup(), (Row("net", "openvino", "fp32", cost), *rows), {})
    assert report.lines()[-1] == "net by torch in fp32, bf16: there is no device"
    assert report.errors == {}


def test_calls_take_turns_each_after_one_that_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REST", 0)
    order: list[str] = []
    seconds = timing.timed({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3)
    assert order == ["a", "a", "b", "b"] * 5
    assert [len(each) for each in seconds.values()] == [3, 3]


def test_one_thing_needs_no_rest() -> None:
    order: list[str] = []
    assert len(timing.timed({"a": lambda: order.append("a")}, repeats=3)["a"]) == 3
    assert order == ["a"] * 5


def test_each_drawn_frame_is_sharp_where_the_others_are_not() -> None:
    frames = drawn(3, 40, 60)
    spread = [[np.std(stripe.astype(float)) for stripe in np.split(each, 3, axis=1)] for each in frames]
    assert np.argmax(spread, axis=0).tolist() == [0, 1, 2]


def test_memory_that_was_given_back_counts() -> None:
    before = peak_memory()
    np.ones(64 << 20, np.uint8)
    assert peak_memory() >= max(before, 64 << 20)
