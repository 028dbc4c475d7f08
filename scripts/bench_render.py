"""What rendering a training's crops costs: by the CPU's code, and with torch, on one thread of this CPU.

    python scripts/bench_render.py
    python scripts/bench_render.py --coco ../shared/coco --split val2017

Crops are those of focus-set's preset, augmentation included; reading and decoding are not. With torch, a
crop's cost has two parts: what loader workers still do (a draft), and what they leave to the device, which is
this CPU here. The first part is what a machine with a fast device waits for. Processor seconds of the ways,
which take turns, are the medians of several rounds. MB are what a worker sends of a batch.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import torch

import mfsynth
from mfsynth.coco.demo import draw_demo
from mfsynth.sample import Scene
from zoo.evaluation.tables import line
from zoo.training.crops import draws, make_crop
from zoo.training.data import Drafts, batch_of
from zoo.training.options import TrainOptions
from zoo.training.presets import preset
from zoo.training.rendering.drafts import make_draft
from zoo.training.scattered import START

ROWS: dict[str, dict[str, Any]] = {
    "paper's pairs": {},
    "paper's pairs, no augmentation": {},
    "realistic pairs": {"preset": "realistic"},
    "realistic stacks of 6": {"preset": "realistic", "frames": 6},
    "the same, breathing, as taken": {"preset": "realistic", "frames": 6, "breathing": 2.0},
}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Cost:
    """Of a batch: processor seconds by the CPU's code, for drafts, and to develop these; and MB sent."""

    cpu: float
    drafts: float
    developed: float
    sent: float
    sent_drafts: float


def options_for(row: str) -> TrainOptions:
    """The settings of a row's training."""
    options = replace(preset("focus-set", "base"), aligned="as taken" not in row)
    if "no augmentation" not in row:
        return options
    return replace(
        options, mirror=False, rotate=False, exposure=0.0, unequal=0.0, unbalanced=0.0, capture=False
    )


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what was made."""
    before = time.process_time()
    made = call()
    return time.process_time() - before, made


def cost(scenes: list[Scene], options: TrainOptions, rounds: int) -> Cost:
    """The median cost of a batch, over batches of scenes in turn, after one that does not count."""
    rows = []
    for number in range(rounds + 1):
        chosen = [scenes[(number * options.pairs + k) % len(scenes)] for k in range(options.pairs)]

        def made(make: Callable[..., Any], number: int = number, chosen: list[Scene] = chosen) -> list[Any]:
            return [make(scene, options, draws("bench", number, k)) for k, scene in enumerate(chosen)]

        cpu, batch = timed(lambda: batch_of(made(make_crop)))
        drafting, drafts = timed(lambda: Drafts(tuple(made(make_draft)), 0, START))
        developing, _ = timed(partial(drafts.developed, CPU))
        sizes = (len(pickle.dumps(each)) / 1e6 for each in (batch, drafts))
        rows.append((cpu, drafting, developing, *sizes))
    return Cost(*(median(column) for column in zip(*rows[1:], strict=True)))


def table(costs: dict[str, Cost]) -> str:
    """As Markdown; ratios are to the CPU's code."""
    head = ("crops", "CPU's code, ms", "drafts", "torch on this CPU", "both", "MB sent", "MB of drafts")
    lines = [line(head), line("---" for _ in head)]
    for name, each in costs.items():
        shares = (each.drafts, each.developed, each.drafts + each.developed)
        ratios = (f"{share / each.cpu:.2f}" for share in shares)
        sizes = f"{each.sent:.1f}", f"{each.sent_drafts:.1f}"
        lines.append(line((name, f"{1000 * each.cpu:.0f}", *ratios, *sizes)))
    return "\n".join(lines)


@click.command()
@click.option("--coco", type=click.Path(path_type=Path), help="COCO folder; the demo split needs none.")
@click.option("--split", default="demo", show_default=True)
@click.option("--rounds", default=7, show_default=True, help="Batches that count.")
def main(coco: Path | None, split: str, rounds: int) -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        if coco is None:
            coco = Path(folder)
            draw_demo(coco)
        costs = {
            row: cost(
                [*mfsynth.synthesize(coco, split, limit=32, **content).scenes()], options_for(row), rounds
            )
            for row, content in ROWS.items()
        }
    print(table(costs))


if __name__ == "__main__":
    main()
