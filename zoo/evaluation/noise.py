"""How methods do on noisy frames (the paper's Fig. 16, as a curve)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.evaluation.scores import Scores
from zoo.evaluation.tables import mean_and_deviation

_MOST_LEVELS = 8
_BINS = 5


@dataclass(frozen=True, slots=True)
class NoiseCurve:
    """Means of one measure over images of similar noise.

    Attributes:
        levels: Mean standard deviation of the noise of each group of images, in units of full range.
        counts: Number of images in each.
        means: By method, one for each level.
    """

    levels: tuple[float, ...]
    counts: tuple[int, ...]
    means: dict[str, tuple[float, ...]]


def noise_curve(scores: Scores, measure: str) -> NoiseCurve | None:
    """A measure against the noise; None if all images have the same.

    Up to eight levels are kept apart; more are merged into five groups of equal width.
    """
    noise = np.array(scores.noise)
    if len(set(scores.noise)) < 2:
        return None
    groups = _groups(noise)
    table = scores.table(measure)
    return NoiseCurve(
        tuple(float(noise[group].mean()) for group in groups),
        tuple(int(group.sum()) for group in groups),
        {
            method: tuple(mean_and_deviation(table[group, place])[0] for group in groups)
            for place, method in enumerate(scores.methods)
        },
    )


def noise_curves(scores: Scores) -> dict[str, NoiseCurve]:
    """PSNR and SSIM against the noise, by name; none if all images have the same."""
    curves = {name: noise_curve(scores, name) for name in ("psnr", "ssim") if name in scores.measures}
    return {name: curve for name, curve in curves.items() if curve is not None}


def csv_of(curves: dict[str, NoiseCurve]) -> str:
    """A line for each measure, method and level."""
    lines = [
        f"{measure},{method},{level!r},{count},{mean!r}"
        for measure, curve in curves.items()
        for method, means in curve.means.items()
        for level, count, mean in zip(curve.levels, curve.counts, means, strict=True)
    ]
    return "\n".join(["measure,method,noise,images,mean", *lines]) + "\n"


def _groups(noise: np.ndarray) -> list[np.ndarray]:
    """Which images are in each group, as masks; none is empty."""
    levels = np.unique(noise)
    if len(levels) <= _MOST_LEVELS:
        return [noise == level for level in levels]
    edges = np.linspace(noise.min(), noise.max(), _BINS + 1)
    places = np.digitize(noise, edges[1:-1])
    return [places == place for place in np.unique(places)]
