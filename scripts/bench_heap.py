"""What it saves a training step to keep the memory that the last one freed (`zoo.training.heap`).

    python scripts/bench_heap.py
    python scripts/bench_heap.py --network focus-set --steps 20

Steps of the network's preset on random crops, in processes that do nothing else: with freed memory kept, and
given back as glibc does by default, in turns. Processor seconds are those of all threads, the system's share
apart: it clears each page that is used anew. Faults are such pages. A preset's data does not matter here.
"""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

import click
import numpy as np
import torch
from bench_train import Step

from zoo.evaluation.tables import line
from zoo.training.data import Batch
from zoo.training.heap import keep_freed_memory
from zoo.training.presets import preset
from zoo.training.scattered import START

if TYPE_CHECKING:
    from zoo.training.options import Kind, TrainOptions

WARM = 3
"""Steps before those that count."""


@dataclass(frozen=True)
class Cost:
    """Of a step: seconds, processor seconds, the system's share of these, faults; and the peak, in MB."""

    seconds: float
    processor: float
    system: float
    faults: float
    peak: float

    def since(self, before: Cost, steps: int) -> Cost:
        """A step's share of what so many took; the peak is the process's."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return replace(Cost(*((late - early) / steps for late, early in pairs)), peak=self.peak)


def random_batch(options: TrainOptions) -> Batch:
    """A minibatch of noise, in the sizes of a preset; sets get the mean number of frames."""
    numbers = np.random.default_rng(0)
    frames, side = round(sum(options.frames) / 2), options.crop
    counts = (frames,) * options.pairs

    def drawn(*shape: int, below: int) -> torch.Tensor:
        return torch.from_numpy(numbers.integers(0, below, (*shape, side, side), np.uint8))

    pixels, truth = drawn(sum(counts), 3, below=256), drawn(options.pairs, 3, below=256)
    return Batch(pixels, counts, drawn(options.pairs, below=frames), truth, 0, START)


def cost(network: Kind, steps: int, kept: bool) -> Cost:
    """Of a step, in this process; to be called in a new one."""
    torch.set_num_threads(1)
    if kept and not keep_freed_memory():
        raise click.ClickException("this C library is not glibc, and only glibc can be told to keep memory")
    options = preset(network)
    step, batch = Step(options), random_batch(options)
    for _ in range(WARM):
        step(batch)
    before = spent()
    for _ in range(steps):
        step(batch)
    return spent().since(before, steps)


def spent() -> Cost:
    """What this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor = used.ru_utime + used.ru_stime
    return Cost(time.perf_counter(), processor, used.ru_stime, used.ru_minflt, used.ru_maxrss / 1000)


def least(network: Kind, steps: int, rounds: int) -> tuple[Cost, Cost]:
    """Given back and kept, each the least of several processes, which take turns."""
    found: dict[bool, list[Cost]] = {False: [], True: []}
    for _ in range(rounds):
        for kept, costs in found.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                costs.append(pool.submit(cost, network, steps, kept).result())
    back, kept_ = (min(costs, key=lambda each: each.processor) for costs in found.values())
    return back, kept_


@click.command()
@click.option(
    "--network",
    type=click.Choice(["focus-set", "hf-seg"]),
    multiple=True,
    default=["focus-set", "hf-seg"],
    show_default=True,
    help="Whose preset; may be given more than once.",
)
@click.option("--steps", default=10, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Processes of each kind.")
def main(network: tuple[Kind, ...], steps: int, rounds: int) -> None:
    """Print a Markdown table."""
    heads = ["a step of", "freed memory", "s", "CPU s", "of which system", "page faults", "peak, MB"]
    print(line(heads), line(["---"] * len(heads)), sep="\n")
    for name in network:
        for words, each in zip(("given back", "kept"), least(name, steps, rounds), strict=True):
            numbers = [f"{each.seconds:.2f}", f"{each.processor:.2f}", f"{each.system:.2f}"]
            print(line([name, words, *numbers, f"{each.faults:,.0f}", f"{each.peak:.0f}"]))


if __name__ == "__main__":
    main()
