"""How stacks are best fused by twos: each frame with each, one after the other, or in a tournament.

    python scripts/compare_bursts.py ../shared/coco --split train2017

Stacks are rendered from COCO, by default with real optics, noise and JPEG, and their middle is fused; a
network for sets sees all at once in a joint burst. The table has the mean PSNR against the truth (equal
pictures count 100), and the shares of pixels whose frame is the nearest to the truth, and at most one away.
`shuffled` is the same for frames in any order.
"""

from __future__ import annotations

from itertools import islice
from typing import get_args

import click
import numpy as np
import torch

import mfsynth
import zoo
from mfsynth.options import Preset
from mfsynth.sample import Sample, Window
from zoo.fusing.interface import Burst, Rule
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


def scores(model: zoo.FusionModel, sample: Sample, case: tuple[Burst, Rule, bool]) -> tuple[float, ...]:
    """PSNR, and the shares of decisions that are right, and at most one frame off."""
    burst, rule, shuffled = case
    count = len(sample.frames)
    order = np.random.default_rng(sample.recipe.seed).permutation(count) if shuffled else np.arange(count)
    fused = zoo.fuse(model, [sample.frames[place] for place in order], burst=burst, rule=rule)
    assert fused.decision is not None
    off = np.abs(order[fused.decision] - sample.nearest.astype(int))
    return min(psnr(sample.gt, fused.image), 100.0), float((off == 0).mean()), float((off <= 1).mean())


@click.command()
@click.argument("coco")
@click.option("--split", default="train2017", show_default=True)
@click.option("--preset", type=click.Choice(get_args(Preset)), default="realistic", show_default=True)
@click.option("--frames", default=12, show_default=True, help="Of each stack, up to 32.")
@click.option("--limit", default=8, show_default=True, help="Number of stacks.")
@click.option("--model", default="hf-seg", show_default=True, help="The network.")
def main(coco: str, split: str, preset: Preset, frames: int, limit: int, model: str) -> None:
    """Print a table of the ways to fuse many frames."""
    torch.set_num_threads(1)
    network = zoo.load(model, device="cpu")
    stream = mfsynth.synthesize(coco, split, 3, preset=preset, frames=frames, window=middle)
    rows: dict[tuple[Burst, Rule, bool], list[tuple[float, ...]]] = {case: [] for case in CASES}
    for sample in islice(stream, limit):
        for case, row in rows.items():
            row.append(scores(network, sample, case))
    print(f"{limit} stacks of {frames} frames\n\n| burst | rule | order | PSNR, dB | right | within one |")
    print("|---|---|---|---|---|---|")
    for (burst, rule, shuffled), row in rows.items():
        quality, right, near = np.mean(row, 0)
        cells = (
            burst,
            rule,
            "shuffled" if shuffled else "given",
            f"{quality:.2f}",
            f"{right:.1%}",
            f"{near:.1%}",
        )
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
