"""What a training run leaves beside its weights: training.json, evaluation.json, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch

from zoo.store.results import Result, Results, results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.training.crops import Crop
    from zoo.training.options import TrainOptions
    from zoo.training.run import TrainReport, TrainRun
    from zoo.training.sources import Source

TRAINING_FORMAT = 1
_PACKAGES = ("mfsynth", "torch", "numpy", "opencv-python-headless", "accelerate")


def described(sources: Sequence[tuple[Source, float]]) -> list[dict[str, Any]]:
    """What identifies the data of a training run: each source's fingerprint and weight."""
    return [{**source.fingerprint(), "weight": weight} for source, weight in sources]


def fingerprint(options: TrainOptions, sources: Sequence[tuple[Source, float]]) -> str:
    """A hash of everything that must stay the same when a training run is resumed: options and data."""
    data = [[source.fingerprint(), weight] for source, weight in sources]
    return hashlib.sha256(json.dumps([options.to_json(), data], sort_keys=True).encode()).hexdigest()


def training_document(
    options: TrainOptions,
    run: TrainRun,
    report: TrainReport,
    data: Sequence[Mapping[str, Any]],
    processes: int,
    device: torch.device,
    begun: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of training.json."""
    return {
        "format": TRAINING_FORMAT,
        "command": run.command,
        "options": options.to_json(),
        **({"begun": begun} if begun else {}),
        "data": data,
        "steps": report.steps,
        "seconds": round(report.seconds, 1),
        "processes": processes,
        "device": _device_name(device),
        "versions": _versions(),
        "validation": {kind: asdict(scores) for kind, scores in report.scores.items()},
    }


def evaluation_document(
    run: TrainRun,
    report: TrainReport,
    data: Sequence[Mapping[str, Any]],
    crops: Mapping[str, Sequence[Crop]],
) -> Results:
    """The last validation, in the form that cards quote."""
    names = ", ".join(each["source"] for each in data)
    held = f"crops of images held out of {names}" if run.holding else "crops of validation images"
    return results(
        *(
            Result(
                data=f"{held}, {kind}",
                identity="held-out",
                kind=kind,
                samples=len(crops[kind]),
                metrics=asdict(scores),
                command=run.command,
            )
            for kind, scores in report.scores.items()
        )
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # training does not need all of them
            continue
    return found


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
