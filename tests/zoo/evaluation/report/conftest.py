"""A small evaluation with all that can happen: no truth, no maps, undefined values, hostile names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from zoo.evaluation.scores import Exhibit, Row, Scores

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@dataclass(frozen=True)
class Evaluation:
    scores: Scores
    exhibits: tuple[Exhibit, ...]


def picture(rng, height, width):
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def exhibit(name, methods, truth, size=(40, 56)):
    """The second method has a decision map; the last returns frame 0."""
    rng = np.random.default_rng(len(name))
    frames = picture(rng, *size), picture(rng, *size)
    focus = np.zeros(size, np.uint8)
    focus[:, size[1] // 2 :] = 1
    fused = {method: picture(rng, *size) for method in methods[:-1]} | {methods[-1]: frames[0].copy()}
    gt = np.where(focus[..., None] == 1, frames[1], frames[0])
    return Exhibit(name, frames, gt if truth else None, focus if truth else None, fused, {methods[1]: focus})


@pytest.fixture(scope="session")
def evaluation():
    methods = ("gff", HOSTILE, "copy")
    images = ("one", "two", HOSTILE)
    rows = tuple(
        Row(
            image,
            method,
            {"q_mi": 1 + m + k / 8, "accuracy": np.nan if m == 0 else 0.5, "swap_mean": 1e-4 * (m + 1)},
        )
        for k, image in enumerate(images)
        for m, method in enumerate(methods)
    )
    exhibits = tuple(exhibit(image, methods, truth=k == 0) for k, image in enumerate(images))
    return Evaluation(Scores(f"Lytro {HOSTILE}", images, methods, rows), exhibits)
