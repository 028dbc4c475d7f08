"""How fast a pair is fused, compared with the roofline of its arithmetic, measured in the same run.

    python scripts/bench_fuse.py                 # all sizes, widths, precisions
    python scripts/bench_fuse.py --quick
    python scripts/bench_fuse.py --backends      # torch, onnxruntime, OpenVINO, gff and pyramid instead

The roofline is the network's operations over the rate of a large matrix multiplication in the same precision
with the same threads. Times are medians of warm calls of `zoo.fuse`, both orders evaluated, with
conversions; on a GPU each call ends synchronized, since its result is an array.
"""

from __future__ import annotations

import multiprocessing
import platform
import resource
import statistics
import time
from dataclasses import dataclass

import click
import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo.backends.session import FASTEST, installed
from zoo.evaluation.baselines import get
from zoo.fusing.fuse_frames import fuse
from zoo.loading import load
from zoo.networks import Config, Network
from zoo.publishing.example import known_pair

SIZES = {"520²": (520, 520), "260²": (260, 260), "130²": (130, 130), "12 MP": (3000, 4000)}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """One row: a network, a precision, a number of threads."""

    width: int
    precision: str
    threads: int
    architecture: str = "unet"

    def model(self, device: str) -> Network:
        """The network, its weights random."""
        torch.manual_seed(0)
        model = Network(Config(task="seg", width=self.width, architecture=self.architecture)).eval()
        return model.to(device, DTYPES[self.precision]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def main_device() -> str:
    """A GPU, if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def matrix_rate(precision: str, device: str) -> float:
    """Operations per second of a large matrix multiplication: the best of several."""
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(DTYPES[precision]) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        synchronize(device)
        started = time.perf_counter()
        a @ b
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def synchronize(device: str) -> None:
    """Wait until a GPU has finished."""
    if device == "cuda":
        torch.cuda.synchronize()


@torch.inference_mode()
def operations(model: Network, height: int, width: int) -> int:
    """Floating-point operations of one fusion, tiles' margins not counted: both orders' convolutions."""
    device = next(model.parameters()).device
    frames = [torch.zeros(1, 3, height, width, device=device) for _ in range(2)]
    with FlopCounterMode(display=False) as counter:
        model.symmetric(*frames)
    return counter.get_total_flops()


def milliseconds(model: Network, height: int, width: int) -> float:
    """Median of warm calls, within a few seconds; one that takes longer than ten is timed once."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(2)]
    for _ in range(2):
        fuse(model, [frame[:520, :520] for frame in frames])
    times: list[float] = []
    while sum(times) < 10 and (len(times) < 3 or (sum(times) < 4 and len(times) < 50)):
        started = time.perf_counter()
        fuse(model, frames)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def row(case: Case, device: str, sizes: dict[str, tuple[int, int]]) -> str:
    """A row of the table: milliseconds at each size, with the roofline's part of them."""
    torch.set_num_threads(case.threads)
    model = case.model(device)
    rate = matrix_rate(case.precision, device)
    cells = []
    for height, width in sizes.values():
        needed = milliseconds(model, height, width)
        ideal = operations(model, min(height, 1040), min(width, 1040)) / rate * 1e3
        ideal *= height * width / (min(height, 1040) * min(width, 1040))
        cells.append(f"{needed:.1f} ({ideal / needed:.2f})")
    name = f"{case.architecture}, {case.width}, {case.precision}, {case.threads}"
    return f"| {name} | {rate / 1e9:.0f} | {' | '.join(cells)} |"


def peak_memory(case: Case, shape: tuple[int, ...], dtype: str) -> str:
    """Peak resident memory of a process that fuses one pair, frames and result included."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_fuse_once, args=(case, shape, dtype, queue))
    process.start()
    megabytes = queue.get()
    process.join()
    return f"{megabytes:.0f} MB"


def _fuse_once(case: Case, shape: tuple[int, ...], dtype: str, queue: multiprocessing.Queue[float]) -> None:
    torch.set_num_threads(case.threads)
    limit = np.iinfo(dtype).max
    # rows that repeat, so that drawing them needs no memory of its own
    line = np.random.default_rng(0).integers(0, limit, shape[1:], dtype=dtype)
    frames = [np.empty(shape, dtype) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame[:] = np.roll(line, number, 0)
    fuse(case.model("cpu"), frames, symmetric=False)  # the second pass adds time, and some 70 MB
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def backend_times(threads: int, side: int = 520, rounds: int = 15) -> dict[str, float]:
    """Milliseconds of a fusion of the default network by each backend, and of two classic methods.

    Medians of warm calls; methods take turns, so that what else the machine does slows all alike.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)  # and so those of onnxruntime and OpenVINO
    networks = {name: load("focus-set", device="cpu", backend=name) for name in FASTEST if installed(name)}
    methods = {**networks, "gff": get("gff"), "pyramid": get("pyramid")}
    frames = [cv2.resize(frame, (side, side)) for frame in known_pair().frames]
    times: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(rounds + 2):
        for name, method in methods.items():
            started = time.perf_counter()
            method.fuse(frames)
            if number >= 2:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) * 1e3 for name, each in times.items()}


def print_backends() -> None:
    """A table of `backend_times`, with one and two threads."""
    columns = {threads: backend_times(threads) for threads in (1, 2)}
    print("| 520², ms | 1 thread | 2 threads |\n|---|---|---|")
    for name in columns[1]:
        print(f"| {name} | {columns[1][name]:.1f} | {columns[2][name]:.1f} |")


@click.command()
@click.option("--backends", is_flag=True, help="Compare backends with the default network, and stop.")
@click.option("--quick", is_flag=True, help="Only width 16 and small sizes, without memory.")
@click.option("--memory/--no-memory", default=True, help="Also measure peak memory at 12 and 100 megapixels.")
def main(backends: bool, quick: bool, memory: bool) -> None:
    """Print the tables of docs/benchmarks.md on fusion."""
    if backends:
        print_backends()
        return
    torch.backends.cudnn.allow_tf32 = False  # as for the matrix multiplication that they are compared with
    device = main_device()
    threads = torch.get_num_threads()
    sizes = {name: size for name, size in SIZES.items() if name != "12 MP" or not quick}
    cpu = f"{platform.machine()} CPU, {threads} cores"
    name = torch.cuda.get_device_name() if device == "cuda" else cpu
    print(
        f"{name}; torch {torch.__version__}. Milliseconds a pair; in brackets the roofline's part of them.\n"
    )
    print(f"| network, width, precision, threads | GFLOP/s | {' | '.join(sizes)} |")
    print("|---" * (2 + len(sizes)) + "|")
    counts = [threads] if quick or device == "cuda" else sorted({1, threads})
    cases = [
        Case(width, precision, count)
        for width in ((16,) if quick else (16, 32, 64))
        for precision in DTYPES
        for count in counts
    ]
    cases += [
        Case(width, precision, threads, "odd") for width in (16, 32) for precision in DTYPES if not quick
    ]
    for case in cases:
        slow = case.width == 64 or (case.threads == 1 and threads > 1 and device == "cpu")
        chosen = {name: size for name, size in sizes.items() if not (slow and name == "12 MP")}
        print(row(case, device, chosen) + " – |" * (len(sizes) - len(chosen)), flush=True)
    if quick or not memory or device == "cuda":
        return
    print("\n| peak memory, fp32, one pass, frames and result included | |\n|---|---|")
    for label, shape, dtype, width in (
        ("nothing but torch and the network, width 32", (64, 64, 3), "uint8", 32),
        ("12 MP pair, uint8, width 32", (3000, 4000, 3), "uint8", 32),
        ("100 MP pair, uint8, width 16", (10000, 10000, 3), "uint8", 16),
        ("100 MP pair, uint16, width 16", (10000, 10000, 3), "uint16", 16),
    ):
        print(f"| {label} | {peak_memory(Case(width, 'fp32', threads), shape, dtype)} |", flush=True)


if __name__ == "__main__":
    main()
