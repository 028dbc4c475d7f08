"""What fusing costs: milliseconds, operations and peak memory, by network, number of frames, and size.

    python scripts/bench_networks.py                        # all rows that the file does not have yet
    python scripts/bench_networks.py --rows '*/2/520/*'     # only some; * and ? as in a shell
    python scripts/bench_networks.py --again --docs         # measure anew, and fill docs/benchmarks.md

A row is METHOD/FRAMES/SIZE/THREADS/PRECISION; SIZE is 520 (pixels squared) or megapixels, as 12MP. Rows are
kept in a file, each as soon as it is measured. Those of one number of frames at 520 x 520 are timed in turns
by one process, so that their ratios hold on a busy machine, too. Otherwise each row has a process of its own,
and so has every measurement of memory.

Pairs, and everything at 520 x 520, are arrays in memory and fused by `zoo.fuse`; their times are the least of
several calls. Larger stacks are JPEG files and fused once by `zoo.fuse_stack`, whose time includes reading.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from bench_stack import PAGE, SIZES, alone, draw, machine
from reproduce_tables import fill
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.evaluation import baselines
from zoo.networks import Network

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
SQUARE = 520
"""Side of the small pictures."""
HEADS = ("network", "frames", "size", "threads", "precision", "GFLOP", "ms", "of gff's", "CPU ms", "MB")

Fuse = Callable[[], object]
Measured = dict[str, float]


@dataclass(frozen=True)
class Row:
    """What is measured: a network or gff, on so many frames of a size."""

    method: str
    frames: int
    size: str
    threads: int
    precision: str = "fp32"

    @property
    def key(self) -> str:
        """Its name, in the file and on the command line."""
        return f"{self.method}/{self.frames}/{self.size}/{self.threads}/{self.precision}"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return (SQUARE, SQUARE) if self.square else SIZES[int(self.size.removesuffix("MP"))]

    @property
    def square(self) -> bool:
        """Whether it is timed together with others."""
        return self.size == str(SQUARE)

    @property
    def files(self) -> bool:
        """Whether the frames are read from files."""
        return not self.square and self.frames > 2

    def model(self) -> Network | None:
        """The network; None is gff."""
        if self.method == "gff":
            return None
        model = zoo.load(self.method, device="cpu")
        layout = torch.channels_last
        return model.to(PRECISIONS[self.precision]).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]

    def fuse(self, frames: Sequence[np.ndarray] | Sequence[Path]) -> Fuse:
        """A call that fuses frames, which are arrays or files."""
        model = self.model()
        if model is None:
            gff = baselines.get("gff").fuse
            return lambda: gff(frames)
        if self.files:
            return lambda: zoo.fuse_stack(model, frames)
        return lambda: zoo.fuse(model, frames)


SETS = ("focus-set", "focus-set-small")
ROWS = [
    *(Row(name, frames, "520", 1) for frames in (2, 6, 30) for name in (*SETS, "gff")),
    *(Row("hf-seg", frames, "520", 1) for frames in (2, 6)),
    *(Row(name, 2, "520", 1, "bf16") for name in SETS),
    *(Row(name, 2, "12MP", 2) for name in (*SETS, "hf-seg", "gff")),
    *(Row(name, 2, "12MP", 2, "bf16") for name in SETS),
    *(Row(name, frames, "12MP", 2) for frames in (6, 30) for name in SETS),
    *(Row(name, frames, "24MP", 2) for frames in (2, 6, 30) for name in SETS),
    Row("focus-set", 100, "24MP", 2),
]


def drawn(row: Row) -> list[np.ndarray]:
    """Frames of a texture that blur more and more; the memory needed is theirs, and a frame's."""
    noise = np.random.default_rng(0).integers(0, 256, (*row.shape, 3), np.uint8)
    return [cv2.GaussianBlur(noise, None, 1 + number / row.frames) for number in range(row.frames)]


def prepare(row: Row) -> None:
    """Use as many threads as the row says."""
    torch.set_num_threads(row.threads)
    cv2.setNumThreads(row.threads)


def timed(calls: dict[str, Fuse], seconds: float) -> dict[str, Measured]:
    """Call all in turns until the seconds are over: the least that each took.

    What takes longer than all of them is called once.
    """
    least: dict[str, Measured] = {}
    started, turn = time.perf_counter(), 0
    while turn < 2 or time.perf_counter() - started < seconds:
        for key, call in calls.items():
            if turn and time.perf_counter() - started > seconds:
                break
            before, cpu = time.perf_counter(), time.process_time()
            call()
            took = {"ms": (time.perf_counter() - before) * 1e3, "cpu": (time.process_time() - cpu) * 1e3}
            old = least.get(key, took)
            least[key] = {name: min(old[name], took[name]) for name in took}
        turn += 1
    return least


def timed_squares(rows: Sequence[Row], seconds: float) -> dict[str, Measured]:
    """Times of rows with one number of frames, in turns."""
    prepare(rows[0])
    frames = drawn(rows[0])
    return timed({row.key: row.fuse(frames) for row in rows}, seconds * len(rows))


def timed_alone(row: Row, seconds: float) -> Measured:
    """Time of a row whose frames are drawn."""
    prepare(row)
    return timed({row.key: row.fuse(drawn(row))}, seconds)[row.key]


def memory(row: Row) -> Measured:
    """Peak resident memory of a process that fuses drawn frames once: frames, result, torch and all."""
    prepare(row)
    row.fuse(drawn(row))()
    return {"memory": peak()}


def from_files(row: Row, paths: list[Path]) -> Measured:
    """Time and peak memory of fusing files once."""
    prepare(row)
    call = row.fuse(paths)
    return timed({row.key: call}, seconds=0)[row.key] | {"memory": peak()}


def peak() -> float:
    """Resident memory of this process at its peak, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


@torch.inference_mode()
def gigaflop(row: Row) -> float:
    """The network's operations at 520 x 520, for the picture's size; tiles' margins are left out."""
    model = row.model()
    if model is None:
        return 0.0
    pairs = 1 if model.config.sets else row.frames * (row.frames - 1) // 2
    frames = [torch.zeros(1, 3, SQUARE, SQUARE, dtype=PRECISIONS[row.precision])] * row.frames
    with FlopCounterMode(display=False) as counter:
        _ = model.scores(frames) if model.config.sets else model.symmetric(*frames[:2])
    height, width = row.shape
    return counter.get_total_flops() * pairs * height * width / SQUARE**2 / 1e9


def measure(rows: Sequence[Row], seconds: float) -> dict[str, Measured]:
    """Everything about rows of one size and number of frames."""
    costs = of_files(rows) if rows[0].files else of_arrays(rows, seconds)
    return {row.key: costs[row.key] | {"gflop": alone(gigaflop, row)} for row in rows}


def of_files(rows: Sequence[Row]) -> dict[str, Measured]:
    """Time and memory of rows whose frames are read."""
    with tempfile.TemporaryDirectory() as folder:
        paths = alone(draw, Path(folder), rows[0].frames, *rows[0].shape)
        return {row.key: alone(from_files, row, paths) for row in rows}


def of_arrays(rows: Sequence[Row], seconds: float) -> dict[str, Measured]:
    """Time and memory of rows whose frames are drawn."""
    if rows[0].square:
        times = alone(timed_squares, rows, seconds)
    else:
        times = {row.key: alone(timed_alone, row, seconds) for row in rows}
    return {row.key: times[row.key] | alone(memory, row) for row in rows}


def together(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that are measured together: at 520 x 520 those of one number of frames, else each for itself."""
    keys = [(row.square, row.frames if row.square else number) for number, row in enumerate(rows)]
    ordered = sorted(range(len(rows)), key=lambda place: (not keys[place][0], keys[place][1]))
    return [[rows[place] for place in places] for _, places in groupby(ordered, key=keys.__getitem__)]


def line(row: Row, found: dict[str, Measured]) -> str:
    """A row of the table."""
    own = found[row.key]
    gff = found.get(Row("gff", row.frames, row.size, row.threads).key)
    ratio = f"{own['ms'] / gff['ms']:.2f}" if gff else ""
    operations = f"{own['gflop']:.1f}" if own["gflop"] else ""
    size = f"{SQUARE}²" if row.square else row.size.replace("MP", " MP")
    cells = (row.method, row.frames, size, row.threads, row.precision, operations)
    costs = (f"{own['ms']:.0f}", ratio, f"{own['cpu']:.0f}", f"{own['memory']:.0f}")
    return f"| {' | '.join(map(str, (*cells, *costs)))} |"


def table(found: dict[str, Measured]) -> str:
    """What was measured so far."""
    rows = [line(row, found) for row in ROWS if row.key in found]
    return "\n".join([f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|", *rows]) + "\n"


@click.command()
@click.option("--rows", "patterns", multiple=True, help="Only rows like this, as '*/2/520/*'. Repeatable.")
@click.option("--again", is_flag=True, help="Also measure rows that the file has.")
@click.option("--seconds", default=10.0, show_default=True, help="How long each row is called.")
@click.option("--out", type=Path, default=Path("results/bench_networks.json"), show_default=True)
@click.option("--docs", is_flag=True, help="Put the table into docs/benchmarks.md.")
def main(patterns: tuple[str, ...], again: bool, seconds: float, out: Path, docs: bool) -> None:
    """Measure rows, keep them in a file, and print all that it has."""
    found: dict[str, Measured] = json.loads(out.read_text("utf-8")) if out.exists() else {}
    asked = [row for row in ROWS if not patterns or any(fnmatch(row.key, each) for each in patterns)]
    if not asked:
        raise click.UsageError(
            f"no row is like {' or '.join(patterns)}; there are {', '.join(row.key for row in ROWS)}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    for rows in together([row for row in asked if again or row.key not in found]):
        found |= measure(rows, seconds)
        part = out.with_suffix(".part")
        part.write_text(json.dumps(found, indent=1), "utf-8")
        part.replace(out)
        click.echo("\n".join(line(row, found) for row in rows))
    click.echo(f"\n{machine()}\n\n{table(found)}")
    if docs:
        fill({"benchmarks/networks.md": f"{machine()}.\n\n{table(found)}"}, PAGE)


if __name__ == "__main__":
    main()
