"""How deep stacks are best fused in linear time: one after the other, or in a tournament.

    python scripts/compare_bursts.py ../shared/coco --split train2017

Stacks are rendered from COCO with real optics, noise and JPEG (`--preset realistic`), and their middle is
fused. The table has the mean PSNR against the truth, and the share of pixels whose frame is at most one away
from the nearest to the truth. `shuffled` is the same for frames in any order.
"""

from __future__ import annotations

from itertools import islice

import click
import numpy as np
import torch

import mfsynth
import zoo
from mfsynth.sample import Sample, Window
from zoo.fusing.fused import Burst, Rule
from zoo.metrics import psnr

SIDE = 224
CASES: tuple[tuple[Burst, Rule, bool], ...] = tuple(
    (burst, rule, shuffled)
    for burst in ("joint", "fold", "tournament")
    for rule in ("weighted", "select")
    for shuffled in (False, True)
    if not (burst == "joint" and shuffled)  # any order gives the same picture
)


def middle(scene: mfsynth.Scene) -> Window:
    """The middle of a scene."""
    height, width = scene.size
    return Window((height - SIDE) // 2, (width - SIDE) // 2, SIDE, SIDE)


def scores(model: zoo.FusionModel, sample: Sample, case: tuple[Burst, Rule, bool]) -> tuple[float, float]:
    """PSNR, and the share of decisions that are right or one frame off."""
    burst, rule, shuffled = case
    count = len(sample.frames)
    order = np.random.default_rng(sample.recipe.seed).permutation(count) if shuffled else np.arange(count)
    fused = zoo.fuse(model, [sample.frames[place] for place in order], burst=burst, rule=rule)
    assert fused.decision is not None
    off = np.abs(order[fused.decision] - sample.nearest.astype(int))
    return psnr(sample.gt, fused.image), float((off <= 1).mean())


@click.command()
@click.argument("coco")
@click.option("--split", default="train2017", show_default=True)
@click.option("--frames", default=12, show_default=True, help="Of each stack, up to 32.")
@click.option("--limit", default=8, show_default=True, help="Number of stacks.")
@click.option("--model", default="hf-seg", show_default=True, help="The network.")
def main(coco: str, split: str, frames: int, limit: int, model: str) -> None:
    """Print a table of the ways to fuse many frames."""
    torch.set_num_threads(1)
    network = zoo.load(model, device="cpu")
    stream = mfsynth.synthesize(coco, split, 3, preset="realistic", frames=frames, window=middle)
    rows: dict[tuple[Burst, Rule, bool], list[tuple[float, float]]] = {case: [] for case in CASES}
    for sample in islice(stream, limit):
        for case, row in rows.items():
            row.append(scores(network, sample, case))
    print(f"{limit} stacks of {frames} frames\n\n| burst | rule | order | PSNR, dB | frames within one |")
    print("|---|---|---|---|---|")
    for (burst, rule, shuffled), row in rows.items():
        quality, right = np.mean(row, 0)
        print(f"| {burst} | {rule} | {'shuffled' if shuffled else 'given'} | {quality:.2f} | {right:.1%} |")


if __name__ == "__main__":
    main()
