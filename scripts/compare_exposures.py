"""How far decisions depend on exposure: one frame of each pair 0.7 or 1.3 times as bright as the other.

    python scripts/compare_exposures.py --data shards:results/data/val2017
    python scripts/compare_exposures.py --data shards:DIR --methods ours=runs/set,dct+cv --limit 5

Pixel values of one frame are multiplied, rounded and clipped; each frame of a pair in turn, and the mean of
both counts. The table has the share of the decision map that names the right frame, and what the change of
exposure costs in points. It is the bare method: `mfsynth fuse` matches exposures before that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import numpy as np

from zoo.evaluation.data import Stack, open_data
from zoo.evaluation.methods import Method, parse_methods
from zoo.evaluation.tables import line

if TYPE_CHECKING:
    from mfsynth.sample import Picture

METHODS = "focus-set,hf-seg,dct,dct+cv,im,cnn"
"""Those that decide."""
GAINS = (0.7, 1.3)


def scaled(picture: Picture, gain: float) -> Picture:
    """A picture, H x W x 3 uint8, with all values multiplied, rounded and clipped.

    >>> scaled(np.array([[[100, 200, 255]]], np.uint8), 1.3).tolist()
    [[[130, 255, 255]]]
    """
    return np.clip(np.rint(picture * gain), 0, 255).astype(np.uint8)


def variants(frames: Sequence[Picture], gain: float) -> Iterator[list[Picture]]:
    """The frames with each of them in turn at another exposure; as they are, once, for a gain of 1."""
    for place in range(len(frames) if gain != 1 else 1):
        yield [scaled(frame, gain) if k == place else frame for k, frame in enumerate(frames)]


def right(method: Method, stack: Stack, gain: float) -> float:
    """The share of a method's decision that is right; NaN if it does not decide."""
    decisions = [method.fuse(frames).decision for frames in variants(stack.frames, gain)]
    shares = [np.nan if each is None else float((each == stack.target).mean()) for each in decisions]
    return float(np.mean(shares))


def table(shares: dict[str, list[float]], gains: Sequence[float]) -> str:
    """Shares by method, that of equal exposure first, as Markdown."""
    heads = ["right decisions", "equal exposure", *(f"{gain} times as bright" for gain in gains)]
    lines = [line(heads), line(["---", *["---:"] * (len(gains) + 1)])]
    for method, (equal, *others) in shares.items():
        cells = [f"{share:.2%} ({100 * (share - equal):+.2f})" for share in others]
        lines.append(line([method, f"{equal:.2%}", *cells]))
    return "\n".join(lines)


@click.command()
@click.option(
    "--data", required=True, metavar="KIND:DIR", help="Pairs or stacks, as `mfsynth evaluate` takes them."
)
@click.option("--methods", default=METHODS, show_default=True, help="As `mfsynth evaluate` takes them.")
@click.option(
    "--gains", default=GAINS, show_default=True, multiple=True, type=float, help="Of one frame's values."
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N pairs.")
def main(data: str, methods: str, gains: tuple[float, ...], limit: int | None) -> None:
    """Print the table."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    opened, chosen = open_data(data), parse_methods([methods])
    found: dict[str, list[list[float]]] = {method.name: [] for method in chosen}
    for name in opened.names[:limit]:
        stack = opened.load(name)
        if stack.target is None:
            raise click.UsageError(f"{name} in {data} has no focus map, so no decision of it can be right")
        for method in chosen:
            found[method.name].append([right(method, stack, gain) for gain in (1.0, *gains)])
    shares = {name: np.mean(rows, axis=0).tolist() for name, rows in found.items()}
    without = [name for name, means in shares.items() if np.isnan(means).any()]
    if without:
        print(f"no decisions: {', '.join(without)}", file=sys.stderr)
    stacks = len(opened.names[:limit])
    print(f"{opened.title}: {stacks} stacks; in parentheses, points of difference\n")
    print(table({name: means for name, means in shares.items() if name not in without}, gains))


if __name__ == "__main__":
    main()
