"""How fast a pair is fused, compared with the roofline of its arithmetic, measured in the same run.

    python scripts/bench_fuse.py                 # all sizes, widths, precisions
    python scripts/bench_fuse.py --quick
    python scripts/bench_fuse.py --backends      # torch, onnxruntime, OpenVINO, gff and pyramid instead
    python scripts/bench_fuse.py --backends --docs   # and docs/results/backend-times.csv, docs/benchmarks.md
    python scripts/bench_fuse.py --render        # that table, from the CSV

The roofline is the network's operations over the rate of a large matrix multiplication in the same precision
with the same threads. Times are medians of warm calls of `zoo.fuse`, both orders evaluated, with
conversions; on a GPU each call ends synchronized, since its result is an array.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import platform
import resource
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from reproduce_tables import fill
from torch.utils.flop_counter import FlopCounterMode

from mfsynth.errors import OptionsError
from mfsynth.storage import write
from zoo.backends.session import FASTEST, PRECISIONS, installed
from zoo.benching.bench import processor
from zoo.benching.timing import drawn, timed
from zoo.evaluation.baselines import get
from zoo.fusing.fuse_frames import fuse
from zoo.loading import load
from zoo.networks import Config, Network

SIZES = {"520²": (520, 520), "260²": (260, 260), "130²": (130, 130), "12 MP": (3000, 4000)}
SIDE = 520
"""Of the pictures on which backends are compared."""
DOCS = Path(__file__).parents[1] / "docs"
CSV, PAGE = DOCS / "results" / "backend-times.csv", DOCS / "benchmarks.md"
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


def backend_times(threads: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a fusion of the default network by each backend, and of two classic methods.

    Medians of warm calls; methods take turns, so that what else the machine does slows all alike.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)  # and so those of onnxruntime and OpenVINO
    methods: dict[str, Any] = {}
    cases = [(name, each) for name in FASTEST if installed(name) for each in PRECISIONS[name]]
    for name, precision in cases:
        if precision == "fp16":  # CPUs do not compute in it
            continue
        try:
            method = load("focus-set", device="cpu", dtype=precision, backend=name)
        except OptionsError as error:
            click.echo(f"{name}, {precision}: {error}", err=True)
        else:
            methods[f"{name}, {precision}"] = method
    methods |= {"gff": get("gff"), "pyramid": get("pyramid")}
    frames = drawn(2, SIDE, SIDE)
    calls = {name: partial(method.fuse, frames) for name, method in methods.items()}
    return {name: statistics.median(each) * 1e3 for name, each in timed(calls, repeats).items()}


def measure_backends(repeats: int) -> str:
    """`backend_times` with one and two threads, as a CSV."""
    machine = f"{processor()}, torch {torch.__version__}"
    lines = ["method,threads,milliseconds,machine"]
    for threads in (1, 2):
        for name, needed in backend_times(threads, repeats).items():
            lines.append(f'"{name}",{threads},{needed:.1f},"{machine}"')
            click.echo(lines[-1])
    return "\n".join(lines) + "\n"


def backends_table(text: str) -> str:
    """A CSV of `measure_backends` as a table, with what each takes of torch's time in fp32."""
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {(row["method"], row["threads"]): float(row["milliseconds"]) for row in rows}
    counts = list(dict.fromkeys(row["threads"] for row in rows))
    heads = "| | 1 thread, ms | of torch's | 2 threads, ms | of torch's |"
    lines = [f"{rows[0]['machine']}.", "", heads, "|---" * 5 + "|"]
    for name in dict.fromkeys(row["method"] for row in rows):
        cells = [
            f"{found[name, each]:.1f} | {found[name, each] / found['torch, fp32', each]:.2f}"
            for each in counts
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--backends", is_flag=True, help="Compare backends with the default network, and stop.")
@click.option("--repeats", default=15, show_default=True, help="With --backends: calls of each that count.")
@click.option("--docs", is_flag=True, help="With --backends: also write the CSV and the table in the docs.")
@click.option("--render", is_flag=True, help="Measure nothing: only render the table of backends.")
@click.option("--quick", is_flag=True, help="Only width 16 and small sizes, without memory.")
@click.option("--memory/--no-memory", default=True, help="Also measure peak memory at 12 and 100 megapixels.")
def main(backends: bool, repeats: int, docs: bool, render: bool, quick: bool, memory: bool) -> None:
    """Print the tables of docs/benchmarks.md on fusion."""
    if backends:
        text = measure_backends(repeats)
        click.echo(f"\n{backends_table(text)}")
        if docs:
            write(CSV, text.encode())
    if render or (backends and docs):
        fill({"backends/times.md": backends_table(CSV.read_text("utf-8"))}, PAGE)
    if backends or render:
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
