"""Whether training waits for its data: crops per second of one loader worker, beside the seconds of a step.

    python scripts/bench_train.py --coco ../shared/coco --stacks runs/stacks

Pairs are the paper's, live from --split; stacks are those of --stacks, which `mfsynth build --preset
realistic --frames 6 --variants 4 --store recipe` makes. Network and training are as in a preset of focus-set,
but rows differ in how many crops are made of a scene, and in whether decoded images are kept. Crops and
steps take turns in one process; their times are those of one core, so that other programs on the machine
hardly matter. Waiting with no worker follows from them; waiting with one worker is measured with the loader,
which shares the machine with all that runs on it: with fewer than two free cores, it is a busy machine's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import click
import torch

from zoo.networks import Network
from zoo.training.data import MEMORY, Batch, Batches, Loader
from zoo.training.options import TrainOptions
from zoo.training.precision import suitable
from zoo.training.presets import Preset, preset
from zoo.training.sources import SourceSpec
from zoo.training.steps import loss_of, make_optimizer


@dataclass(frozen=True)
class Way:
    """A way to make crops: its name, crops of each scene, and bytes of decoded images that are kept."""

    name: str
    windows: int
    kept: int


WAYS = (
    Way("one crop of a scene, nothing kept", 1, 0),
    Way("one crop of a scene", 1, MEMORY),
    Way("eight crops of a scene, nothing kept", 8, 0),
    Way("eight crops of a scene", 8, MEMORY),
)


class Step:
    """An optimizer step of a network, as training makes it, on the CPU."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.model = Network(options.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(options, self.model)

    def __call__(self, batch: Batch) -> None:
        """Take it."""
        with torch.autocast("cpu", torch.bfloat16, enabled=suitable(cpu=True) == "bf16"):
            loss = loss_of(self.model, batch, self.options, torch.device("cpu"))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()


@dataclass(frozen=True)
class Row:
    """Seconds of one core for a batch and for a step, and the share of waiting with one worker."""

    way: Way
    data: float
    step: float
    waiting: float


def own_seconds(batches: Iterator[Batch], step: Step, count: int) -> tuple[float, float]:
    """Processor seconds of a batch and of a step, which take turns."""
    marks = [time.process_time()]
    for _ in range(count):
        batch = next(batches)
        marks.append(time.process_time())
        step(batch)
        marks.append(time.process_time())
    spent = [after - before for before, after in pairwise(marks)]
    return sum(spent[::2]) / count, sum(spent[1::2]) / count


def waiting(batches: Batches, step: Step, count: int) -> float:
    """The share of the steps' time in which they wait for one worker, after as many steps that fill it up."""
    with Loader(batches, 1) as loader:
        waited = started = 0.0
        for number in range(2 * count):
            if number == count:
                waited, started = 0.0, time.perf_counter()
            before = time.perf_counter()
            batch = loader.next()
            assert batch is not None
            waited += time.perf_counter() - before
            step(batch)
        return waited / (time.perf_counter() - started)


def measured(spec: SourceSpec, options: TrainOptions, way: Way, count: int) -> Row:
    """One way, once each image may have been kept."""
    options = replace(options, windows=way.windows)
    step, batches = Step(options), Batches([spec], options, memory=way.kept)
    made = batches.of(0)
    for _ in range(2 * count):
        next(made)
    data, stepping = own_seconds(made, step, count)
    return Row(way, data, stepping, waiting(batches, step, count))


def table(rows: list[tuple[str, Row]], pairs: int) -> str:
    """As Markdown; gains are over the first row of the same data."""
    head = "| data | crops | crops/s of a core | gain | data / step | waits, no worker | waits, one worker |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    first: dict[str, float] = {}
    for data, row in rows:
        before = first.setdefault(data, row.data)
        alone = row.data / (row.data + row.step)
        lines.append(
            f"| {data} | {row.way.name} | {pairs / row.data:.0f} | {before / row.data:.2f} | "
            f"{row.data / row.step:.2f} | {alone:.0%} | {row.waiting:.1%} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--coco", required=True, help="Folder with COCO's files.")
@click.option("--split", default="train2017", show_default=True)
@click.option("--stacks", type=click.Path(path_type=Path), help="A data set of realistic stacks.")
@click.option("--preset", "name", type=click.Choice(["small", "base"]), default="small", show_default=True)
@click.option("--batches", default=20, show_default=True, help="Batches that are timed.")
def main(coco: str, split: str, stacks: Path | None, name: Preset, batches: int) -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    options = preset("focus-set", name)
    sources = {"paper's pairs, live": f"coco:{coco}:{split}"}
    if stacks:
        sources["realistic stacks"] = str(stacks)
    rows = [
        (data, measured(SourceSpec.parse(location), options, way, batches))
        for data, location in sources.items()
        for way in WAYS
        if way.kept or location.startswith("coco:")  # of shards, nothing is kept
    ]
    print(table(rows, options.pairs))


if __name__ == "__main__":
    main()
