"""What tests of training share: small data and settings, and trainings that are interrupted."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from warm_python import Started

from zoo.training.presets import preset
from zoo.training.run import TrainRun
from zoo.training.sources import SourceSpec

PLAIN = replace(
    preset("hf-seg", "fast"), crop=32, mirror=False, rotate=False, exposure=0.0, capture=False, unequal=0.0,
    unbalanced=0.0,
)  # fmt: skip
"""Crops without augmentation."""
TINY = {
    "model.width": "4", "model.depth": "2", "crop": "32", "pairs": "2", "warmup": "5", "precision": "fp32",
    "validate_every": "1000", "checkpoint_every": "1000", "channels_last": "false",
}  # fmt: skip
"""Settings of a training that takes less than a second."""
DATA = SourceSpec(f"coco:{Path(__file__).parents[2] / 'formats' / '1' / 'coco'}:tiny")
"""Six images of some 50 x 50 pixels; some of them are held out."""


@pytest.fixture(scope="session")
def demo(demo_coco: Path) -> SourceSpec:
    """The demo split: 32 images of 480 x 640 pixels."""
    return SourceSpec(f"coco:{demo_coco}:demo")


def run(out: Path, data: SourceSpec = DATA, **more: Any) -> TrainRun:
    """A training in this process."""
    return TrainRun((data,), out, **{"workers": 0, "cpu": True} | more)


def command(data: SourceSpec, out: Path, *more: str, **settings: str) -> tuple[str, ...]:
    """The words of `mfsynth train` with tiny settings."""
    named = [f"--set={name}={value}" for name, value in (TINY | settings).items()]
    return ("train", "hf-seg", "--data", data.location, "--out", str(out), "--cpu", *named, *more)


def interrupted_at(step: int) -> Callable[[int, int, float], None]:
    """A progress that behaves like a Ctrl-C after a step."""
    return lambda done, _total, _loss: signal.raise_signal(signal.SIGINT) if done == step else None


def digest(out: Path) -> str:
    """SHA-256 of a network's weights."""
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def wait_for(path: Path, training: Started, seconds: float = 120) -> None:
    """Wait until a training has written a file or folder."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert training.is_at_work(), training.finished()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)
