"""Graphs, opened by an engine."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Engine = Literal["onnxruntime", "openvino"]
Backend = Literal["torch", "onnxruntime", "openvino"]

Session = Callable[["dict[str, NDArray[Any]]"], "NDArray[np.float32]"]
"""A graph that runs: from its inputs, by name, to its output. It has as many threads as OpenCV."""

EXTRAS: dict[Engine, str] = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The extra that installs each engine."""

FASTEST: tuple[Backend, ...] = ("openvino", "onnxruntime", "torch")
"""Backends, the fastest on a CPU first; measured by scripts/bench_fuse.py."""


def installed(backend: Backend) -> bool:
    """Whether a backend can be used here."""
    packages = ["torch"] if backend == "torch" else ["onnx", backend]
    return all(find_spec(each) is not None for each in packages)


def opened(engine: Engine, graph: bytes) -> Session:
    """A graph in ONNX's format, opened by an engine, on the CPU and in float32."""
    threads = max(cv2.getNumThreads(), 1)
    return _by_onnxruntime(graph, threads) if engine == "onnxruntime" else by_openvino(graph, threads)


def _by_onnxruntime(graph: bytes, threads: int) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda given: np.asarray(session.run(None, given)[0], np.float32)


def by_openvino(graph: bytes | str, threads: int) -> Session:
    """The same for OpenVINO; a name is that of a file in its own format."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # on some CPUs, it would compute in bfloat16
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(graph), "CPU", settings)
    return lambda given: np.array(compiled(given)[0], np.float32)
