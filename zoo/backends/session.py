"""Graphs, opened by a runtime."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from mfsynth.errors import MissingExtraError, OptionsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from openvino import Core

Runtime = Literal["onnxruntime", "openvino"]
Backend = Literal["torch", "onnxruntime", "openvino"]

Session = Callable[["dict[str, NDArray[Any]]"], "NDArray[np.float32]"]
"""A graph that runs: from its inputs, by name, to its output. It has as many threads as OpenCV.

Several threads may call it. It raises a MemoryError when it gets no memory.
"""

EXTRAS: dict[Backend, str] = {"torch": "fuse", "onnxruntime": "fuse-lite", "openvino": "openvino"}
"""The extra that installs each backend."""

FASTEST: tuple[Backend, ...] = ("onnxruntime", "openvino", "torch")
"""The order in which backends are taken on a CPU; `scripts/bench_fuse.py --backends` measures them."""

PRECISIONS: dict[Backend, tuple[str, ...]] = {
    "torch": ("fp32", "bf16", "fp16"),
    "onnxruntime": ("fp32",),
    "openvino": ("fp32", "bf16"),
}
"""What each backend can compute in."""

_CAPABILITIES = "OPTIMIZATION_CAPABILITIES"
_HINTS = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's names of precisions."""

_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Unless this is set when onnxruntime is imported, it reports to its maker, and leaves a file in TMPDIR."""

_NO_MEMORY = "bad_alloc", "Failed to allocate"
"""How runtimes say that they get no memory."""


def installed(backend: Backend) -> bool:
    """Whether a backend can be used here."""
    packages = ["torch"] if backend == "torch" else ["onnx", backend]
    return all(find_spec(each) is not None for each in packages)


def check_installed(backend: Backend) -> None:
    """Check that a backend can be used here.

    Raises:
        MissingExtraError: If it is not installed.
    """
    if not installed(backend):
        raise MissingExtraError(backend, EXTRAS[backend])


def check_precision(runtime: Runtime, precision: str) -> None:
    """Check that a runtime, which is installed, computes in a precision on this machine.

    Raises:
        OptionsError: If not.
    """
    if precision not in PRECISIONS[runtime]:
        raise OptionsError(
            f"{runtime} does not compute in {precision}",
            f"it computes in {' or '.join(PRECISIONS[runtime])}; torch has others (--backend torch)",
        )
    if precision == "bf16" and "BF16" not in openvino_core().get_property("CPU", _CAPABILITIES):
        # OpenVINO itself would compute in float32, and not say so
        raise OptionsError("this CPU has no arithmetic in bf16", "compute in fp32")


def opened(runtime: Runtime, graph: bytes, precision: str = "fp32") -> Session:
    """A graph in ONNX's format, opened by a runtime, on the CPU."""
    threads = max(cv2.getNumThreads(), 1)
    if runtime == "onnxruntime":
        return _by_onnxruntime(graph, threads)
    return by_openvino(graph, threads, precision)


def _by_onnxruntime(graph: bytes, threads: int) -> Session:
    os.environ.setdefault(_TELEMETRY, "1")
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised as well
    errors = Fail, RuntimeException
    with _memory_of("onnxruntime", *errors):
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        with _memory_of("onnxruntime", *errors):
            return np.asarray(session.run(None, given)[0], np.float32)

    return run


@contextmanager
def _memory_of(runtime: Runtime, *errors: type[Exception]) -> Iterator[None]:
    """Where a runtime says only in words that it gets no memory, raise a MemoryError."""
    try:
        yield
    except errors as error:
        if not any(each in str(error) for each in _NO_MEMORY):
            raise
        raise MemoryError(f"{runtime} gets no more") from error


@cache
def openvino_core() -> Core:
    """OpenVINO, for as long as this process lives.

    It gives the thread that opens it a stack for signals. If another thread lets go of it, that stack is gone
    but still in use, and the next Ctrl-C ends the process with a segmentation fault (seen with 2026.4.1).
    """
    import openvino

    return openvino.Core()


def by_openvino(graph: bytes | str, threads: int, precision: str = "fp32") -> Session:
    """The same for OpenVINO; a name is that of a file in its own format."""
    core = openvino_core()
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],  # without it, some CPUs would compute in bfloat16
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    with _memory_of("openvino", RuntimeError):
        request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
    one_by_one = Lock()  # what it gives is overwritten by the next call

    def run(given: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        # `infer` would raise nothing when it gets no memory, and give what the last call gave (seen with
        # 2026.4.1)
        with one_by_one, _memory_of("openvino", RuntimeError):
            request.start_async(given, share_inputs=True)
            request.wait()
            return np.array(request.get_output_tensor(0).data, np.float32)

    return run
