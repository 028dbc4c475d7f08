"""`mfsynth zoo export`: files that other programs run, and that decide as torch does."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mfsynth.errors import OptionsError
from zoo.errors import ExportError
from zoo.pretrained import FusionModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from zoo.exporting.export import export  # noqa: E402 - needs onnx
from zoo.exporting.parity import Parity, check, parity  # noqa: E402


def test_a_file_runs_without_mfsynth_and_says_what_it_is(tiny_set, cli, tmp_path) -> None:
    path = tmp_path / "net.onnx"
    done = cli("zoo", "export", tiny_set, "-o", path, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["files"] == [str(path), f"{path}.json"]
    assert set(told["parity"]) == {"known pair", "203 x 317", "61 x 97"}
    assert min(told["parity"].values()) >= 0.9999

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((2, 3, 33, 47), (5, 3, 20, 64)):
        (scores,) = session.run(None, {"frames": np.zeros(shape, np.float32)})
        assert scores.shape == (shape[0], *shape[2:])
    kept = session.get_modelmeta().custom_metadata_map
    beside = json.loads((tmp_path / "net.onnx.json").read_text())
    assert (
        json.loads(kept["config"]) == beside["config"] == json.loads((tiny_set / "config.json").read_text())
    )
    assert json.loads(kept["preprocessing"])["channels"] == "RGB"
    assert beside["files"]["net.onnx"] == sha256(path.read_bytes()).hexdigest()
    weights = (tiny_set / "model.safetensors").read_bytes()
    assert json.loads(kept["sha256"])["model.safetensors"] == sha256(weights).hexdigest()


def test_openvino_reads_what_is_exported_for_it(tiny_set, tmp_path) -> None:
    openvino = pytest.importorskip("openvino")
    told = export(str(tiny_set), tmp_path / "net.xml", form="openvino", precision="fp16")
    assert [Path(each).name for each in told.files] == ["net.xml", "net.bin", "net.xml.json"]
    model = openvino.Core().read_model(tmp_path / "net.xml")
    assert json.loads(model.get_rt_info(["mfsynth", "config"]).astype(str))["width"] == 2


def test_a_name_that_does_not_fit_the_format_is_refused(tiny_set, tmp_path) -> None:
    with pytest.raises(OptionsError, match=r"does not end in \.xml"):
        export(str(tiny_set), tmp_path / "net.onnx", form="openvino")


def test_other_decisions_are_found_and_said(tiny_set, tmp_path) -> None:
    model = FusionModel.from_pretrained(tiny_set)
    weights = load_file(tiny_set / "model.safetensors")
    weights["body.head.weight"] = -weights["body.head.weight"]
    (tmp_path / "config.json").write_bytes((tiny_set / "config.json").read_bytes())
    save_file(weights, tmp_path / "model.safetensors")
    found = parity(model, FusionModel.from_pretrained(tmp_path))
    assert max(each.share for each in found) < 0.99
    with pytest.raises(ExportError, match=r"known pair: .* of the pixels as by torch.*; give up"):
        check(found, "net as onnx in fp16", "give up")
    check([Parity("known pair", 0.99995, 0.001)], "net as onnx in fp16", "give up")


def test_what_decides_otherwise_is_not_written_and_the_remedy_fits(tiny_set, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("zoo.exporting.parity.EQUAL", 1.1)  # no network is that alike
    for precision, remedy in (("fp16", "export it as fp32"), ("fp32", "run it by torch")):
        with pytest.raises(ExportError, match=remedy):
            export(str(tiny_set), tmp_path / "net.onnx", precision=precision)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_int8_is_refused_where_the_decision_does_not_hold(tmp_path) -> None:
    told = r"focus-set-small as onnx in int8 decides otherwise than torch: .*; export it as fp32"
    with pytest.raises(ExportError, match=told):
        export("focus-set-small", tmp_path / "net.onnx", precision="int8")
    assert not any(tmp_path.iterdir())
