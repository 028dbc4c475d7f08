"""A graph in the formats that are exported: bytes of files, by how their names end."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import cv2

from zoo.backends.session import by_openvino, opened, openvino_core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

    from zoo.backends.session import Runtime, Session
    from zoo.graphs.builder import Precision

Format = Literal["onnx", "openvino"]

SUFFIXES: dict[Format, tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin")}
"""How the names of a format's files end; the first is the one that is named."""

READERS: dict[Format, tuple[Runtime, ...]] = {"onnx": ("onnxruntime", "openvino"), "openvino": ("openvino",)}
"""What reads each format; first what it is for."""


def written(graph: ModelProto, form: Format, precision: Precision) -> dict[str, bytes]:
    """The files of a graph that keeps its weights in a precision, by their suffixes."""
    if form == "onnx":
        return {".onnx": graph.SerializeToString()}
    import openvino

    model = openvino_core().read_model(graph.SerializeToString())
    for each in graph.metadata_props:
        model.set_rt_info(each.value, ["mfsynth", each.key])
    with TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder, "model.xml"), compress_to_fp16=precision == "fp16")
        return {suffix: Path(folder, f"model{suffix}").read_bytes() for suffix in SUFFIXES[form]}


def session(files: Mapping[str, bytes], form: Format, runtime: Runtime) -> Session:
    """What the files say, run by a runtime that reads them."""
    if form == "onnx":
        return opened(runtime, files[".onnx"])
    with TemporaryDirectory() as folder:
        for suffix, data in files.items():
            Path(folder, f"model{suffix}").write_bytes(data)
        return by_openvino(str(Path(folder, "model.xml")), max(cv2.getNumThreads(), 1))
