"""Which rule makes the best picture of a network's scores, on held-out training pictures.

    python scripts/compare_rules.py coco:../shared/coco:train2017:realistic coco:../shared/coco:bsds:realistic
    python scripts/compare_rules.py runs/data/train2017-stacks --frames 6

Sources are those of `mfsynth train`; only the one image in twenty that training holds out is used. The table
has the mean PSNR against the truth of whole crops, of the rims (up to six pixels from a change of the nearest
frame) and of the rest. `feather` blurs the decision; `best` is the best choice for each pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import zoo
from zoo.fusing.rules import blended, softmax
from zoo.training.crops import Crop, choose_window, draws, rendered
from zoo.training.scenes import some_frames
from zoo.training.sources import SourceSpec, open_source

SIDE = 224

Scores = NDArray[np.float32]
Weigh = Callable[[Scores], Scores]


def hard(scores: Scores) -> Scores:
    """All weight to the largest score."""
    return np.stack([scores.argmax(0) == number for number in range(len(scores))]).astype(np.float32)


def feather(sigma: float) -> Weigh:
    """The decision, blurred."""
    return lambda scores: np.stack([cv2.GaussianBlur(each, None, sigma) for each in hard(scores)])


def blend(odds: float) -> Weigh:
    """The rule `blend`, with other odds."""
    return lambda scores: blended(softmax(scores), odds)


def weighted(gain: float) -> Weigh:
    """The softmax at another temperature."""
    return lambda scores: softmax(gain * scores)


RULES: dict[str, Weigh] = {
    "select": hard,
    "weighted": softmax,
    **{f"blend, odds {odds}": blend(odds) for odds in (0.03, 0.1, 0.3)},
    **{f"weighted, scores x {gain}": weighted(gain) for gain in (0.5, 0.7, 1.4)},
    **{f"feather, sigma {sigma}": feather(sigma) for sigma in (0.7, 1, 2)},
}


def held_out_crops(name: str, frames: int, count: int) -> Iterator[Crop]:
    """Crops of a source's held-out pictures that have a rim."""
    for scene in islice(open_source(SourceSpec.parse(name), 0).validation(), count):
        rng = draws("rules", scene.key)
        some = some_frames(scene, (frames, frames), rng)
        crop = rendered(some, choose_window(some.focus(), SIDE, rng), SIDE, "nearest")
        if rim(crop.target).any():
            yield crop


def rim(target: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What is near a change of the nearest frame."""
    changes = np.zeros(target.shape, np.uint8)
    changes[:, 1:] |= target[:, 1:] != target[:, :-1]
    changes[1:] |= target[1:] != target[:-1]
    return cv2.dilate(changes, np.ones((13, 13), np.uint8)) > 0


def quality(picture: NDArray[np.float32], crop: Crop) -> tuple[float, ...]:
    """PSNR of the whole, the rims, and the rest."""
    errors, near = np.square(np.rint(picture) - crop.gt).mean(2), rim(crop.target)
    return tuple(10 * np.log10(255**2 / max(errors[where].mean(), 1e-3)) for where in (..., near, ~near))


def pictures(model: zoo.FusionModel, crop: Crop) -> dict[str, NDArray[np.float32]]:
    """What each rule makes of a crop."""
    frames = np.stack(crop.frames).astype(np.float32)
    with torch.inference_mode():
        tensors = torch.from_numpy(frames / 255).permute(0, 3, 1, 2).split(1)
        scores = torch.cat(model.scores(tensors))[:, 0].numpy()
    made = {name: (weigh(scores)[..., None] * frames).sum(0) for name, weigh in RULES.items()}
    best = np.abs(frames - crop.gt).sum(3).argmin(0)
    return {**made, "best": np.take_along_axis(frames, best[None, ..., None], 0)[0]}


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--model", default="focus-set", show_default=True, help="A network for sets.")
@click.option("--frames", default=2, show_default=True, help="Of each crop.")
@click.option("--limit", default=6, show_default=True, help="Number of crops of each source.")
def main(sources: tuple[str, ...], model: str, frames: int, limit: int) -> None:
    """Print a table of rules."""
    torch.set_num_threads(1)
    network = zoo.load(model, device="cpu")
    rows: dict[str, list[tuple[float, ...]]] = {}
    for crop in chain.from_iterable(held_out_crops(each, frames, limit) for each in sources):
        for name, picture in pictures(network, crop).items():
            rows.setdefault(name, []).append(quality(picture, crop))
    print(
        f"{len(rows['best'])} crops of {frames} frames\n\n| rule | whole | rims | rest |\n|---|---|---|---|"
    )
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in np.mean(row, 0))} |")


if __name__ == "__main__":
    main()
