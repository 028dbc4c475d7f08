"""Scores of a network on whole pictures that training holds out, for scripts/experiments.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import mfsynth
from mfsynth.sample import Scene
from zoo.metrics import psnr
from zoo.networks import Network
from zoo.training.losses import fused
from zoo.training.sources import SourceSpec, open_source

BEST = 100.0
"""PSNR in dB that equal pictures count with in a mean."""
SIDE = 520
"""Side of the pair that times and operations are of."""
Scores = dict[str, float]


@dataclass(frozen=True)
class Case:
    """A sample: frames, truth, for each pixel the nearest frame, and where none holds the truth."""

    frames: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    nearest: NDArray[np.uint8]
    rim: NDArray[np.bool_]

    def brighter(self, factor: float) -> Case:
        """With the second frame that many times as bright."""
        frames = self.frames.copy()
        frames[1] = np.rint(frames[1] * factor).clip(0, 255)
        return replace(self, frames=frames)


def cases(location: str, folder: Path) -> Iterator[Case]:
    """The samples that a source holds out, one of each image, rendered into a folder the first time."""
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for scene in one_of_each(open_source(SourceSpec(location), 0).validation()):
            sample = mfsynth.render(scene)
            np.savez(
                folder / scene.key,
                frames=np.stack(sample.frames),
                truth=sample.gt,
                nearest=sample.nearest,
                rim=sample.certain < 255,
            )
        (folder / "done").touch()
    for file in sorted(folder.glob("*.npz")):
        yield Case(**np.load(file))


def one_of_each(scenes: Iterator[Scene]) -> Iterator[Scene]:
    """The first scene of each image."""
    seen: set[int] = set()
    for scene in scenes:
        if scene.recipe.image.id not in seen:
            seen.add(scene.recipe.image.id)
            yield scene


@torch.no_grad()
def judged(
    model: Network, case: Case, restored: Callable[[Tensor, Tensor, Sequence[int]], Tensor] | None = None
) -> Scores:
    """The scores of one sample; `restored` makes a further picture of the network's scores and frames."""
    frames = torch.from_numpy(case.frames).permute(0, 3, 1, 2).float() / 255
    counts = (len(frames),)
    scores = model.set_scores(frames, counts)
    decision = scores[:, 0].argmax(0).numpy()
    pictures = {"selected": _select(case, decision), "blend": _picture(fused(scores, frames, counts))}
    if restored:
        pictures["restored"] = _picture(restored(scores, frames, counts))
    return _measured(case, decision, pictures)


def best_choice(case: Case) -> Scores:
    """The same of the best choice of a frame for each pixel."""
    return _measured(case, case.nearest, {"selected": _select(case, case.nearest)})


def mean(values: list[Scores], name: str) -> float:
    """The mean over the samples that have this score; 0 if none has."""
    return float(np.mean([each[name] for each in values if name in each] or [0.0]))


def gflop(model: Network) -> float:
    """Operations of one pass over a pair."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*_pair())
    return counter.get_total_flops() / 1e9


@torch.no_grad()
def milliseconds(model: Network, repeats: int = 9) -> float:
    """The least time of several passes over a pair, of the processor: other programs do not count."""
    frames, times = _pair(), []
    for _ in range(repeats):
        started = time.process_time()
        model(*frames)
        times.append(time.process_time() - started)
    return min(times) * 1e3


def _measured(case: Case, decision: NDArray[np.integer], pictures: dict[str, NDArray[np.uint8]]) -> Scores:
    """The share of right decisions; of each picture the PSNR, and that in the rim if there is one."""
    values = {"right": float((decision == case.nearest).mean())}
    for name, picture in pictures.items():
        values[name] = min(psnr(case.truth, picture), BEST)
        if case.rim.any():
            values[f"rim_{name}"] = min(psnr(case.truth[case.rim], picture[case.rim]), BEST)
    return values


def _select(case: Case, decision: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Each pixel of the frame that the decision names."""
    return np.take_along_axis(case.frames, decision[None, ..., None].astype(np.intp), 0)[0]


def _picture(values: Tensor) -> NDArray[np.uint8]:
    """1 x 3 x H x W in [0, 1], rounded."""
    rounded: NDArray[np.uint8] = (values[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return rounded


def _pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    a, b = (torch.rand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last) for _ in range(2))
    return a, b
