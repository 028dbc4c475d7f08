"""Noisy pairs of three levels: a network that fuses and denoises, against fusing first and denoising then.

    python scripts/compare_denoisers.py --coco ../shared/coco --out results/denoisers
    python scripts/compare_denoisers.py --coco ../shared/coco --out results/denoisers --limit 5

The pairs are val2017's, as `mfsynth build` draws them with seed 0, with Gaussian noise of exactly that
standard deviation, in units of full range. The denoiser is OpenCV's non-local means on HF-Seg's picture, at
the strength that gives the highest mean PSNR here: a bound for that denoiser, as nobody can choose it without
the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np
from reproduce_tables import mfsynth_command

from zoo.evaluation.data import open_data
from zoo.evaluation.methods import Method, denoised, parse_methods
from zoo.evaluation.tables import line
from zoo.metrics import psnr

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.evaluation.data import Data, Stack

LEVELS = (0.02, 0.05, 0.1)
OURS, FUSED = "noisy-hf-reg", "hf-seg"
RIVALS = ("average", "hf-reg", FUSED)
FACTORS = (0.7, 0.85, 1.0, 1.25, 1.5)
"""Strengths of the denoiser, in standard deviations of the frames' noise."""
DENOISED = f"{FUSED}, denoised"


def pairs(coco: Path, out: Path, level: float) -> Data:
    """The pairs with noise of a level, built if they are not there."""
    folder = out / f"noise-{level}"
    data = ["--coco", str(coco), "--split", "val2017", "--store", "recipe", "--shards", "1", "--quiet"]
    mfsynth_command("build", *data, "--noise", str(level), str(level), "--out", str(folder))
    return open_data(f"shards:{folder}")


def pictures(stack: Stack, methods: Sequence[Method], level: float) -> Iterator[tuple[str, Picture]]:
    """What each method makes of a pair, by its name."""
    fused = {each.name: each.fuse(stack.frames).image for each in methods}
    yield from fused.items()
    for factor in FACTORS:
        yield strength(factor), denoised(fused[FUSED], 255 * factor * level)


def strength(factor: float) -> str:
    """The name of a strength."""
    return f"{DENOISED} with {factor:g} σ"


def scored(data: Data, level: float, limit: int | None) -> dict[str, float]:
    """Mean PSNR in dB by method."""
    found: dict[str, list[float]] = {}
    methods = parse_methods([*RIVALS, OURS])
    for name in data.names[:limit]:
        stack = data.load(name)
        if stack.truth is None:
            raise click.UsageError(f"{name} has no ground truth")
        for method, picture in pictures(stack, methods, level):
            found.setdefault(method, []).append(psnr(picture, stack.truth))
    return {method: float(np.mean(each)) for method, each in found.items()}


def best_strength(means: dict[str, float]) -> str:
    """The denoiser's best setting."""
    return max(map(strength, FACTORS), key=means.__getitem__)


def table(scores: dict[float, dict[str, float]]) -> str:
    """A row for each method, a column for each level, and our lead over the best of the others."""
    lines = [line(["PSNR, dB", *(f"noise {level}" for level in scores)]), line(["---"] * (len(scores) + 1))]
    lines += [line([name, *(f"{means[name]:.2f}" for means in scores.values())]) for name in RIVALS]
    settings = {level: best_strength(means) for level, means in scores.items()}
    cells = [
        f"{means[settings[level]]:.2f} ({settings[level].removeprefix(f'{DENOISED} with ')})"
        for level, means in scores.items()
    ]
    lines.append(line([f"{DENOISED}, best strength", *cells]))
    lines.append(line([OURS, *(f"{means[OURS]:.2f}" for means in scores.values())]))
    leads = [
        means[OURS] - max(means[each] for each in (*RIVALS, settings[level]))
        for level, means in scores.items()
    ]
    return "\n".join([*lines, line(["its lead over the best of these", *(f"{lead:+.2f}" for lead in leads)])])


@click.command()
@click.option("--coco", type=click.Path(exists=True, path_type=Path), required=True, help="COCO folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the pairs.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N pairs.")
def main(coco: Path, out: Path, limit: int | None) -> None:
    """Print the table."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    opened = {level: pairs(coco, out, level) for level in LEVELS}
    print(table({level: scored(data, level, limit) for level, data in opened.items()}))


if __name__ == "__main__":
    main()
