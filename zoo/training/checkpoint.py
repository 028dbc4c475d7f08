"""Checkpoints: one folder each, written under a temporary name and renamed; tensors as safetensors."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mfsynth import schema
from zoo.errors import TrainingError
from zoo.training.data import Position

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

ORDER = 2
"""How shards are ordered. 1: shuffled by a buffer; 2: each shard's samples in their own order."""
KEPT = 2
"""How many checkpoints are kept: the last two."""


@dataclass(frozen=True, slots=True)
class State:
    """What a training run needs to resume, besides tensors.

    Args:
        step: Number of optimizer steps done.
        begun: Number of batches that each process has taken.
        positions: For each process, the position of each of its loader workers.
        seconds: Time spent so far.
        options: Fingerprint of the training's options and data.
        scaler: State of the loss scaler in fp16, otherwise empty.
        order: The order in which shards are read; now `ORDER`.
    """

    step: int
    begun: int
    positions: list[list[Position]]
    seconds: float
    options: str
    scaler: dict[str, float | int]
    order: int = field(default=1, metadata=schema.since("0.2.0"))


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """State, weights, the optimizer's tensors, and averaged weights (empty without EMA)."""

    state: State
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    ema: dict[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into the folder of checkpoints, and remove the oldest."""
    final = folder / f"step-{checkpoint.state.step:08d}"
    scratch = folder / f"tmp-{checkpoint.state.step:08d}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in ("model", "optimizer", "ema"):
        save_file(getattr(checkpoint, name), scratch / f"{name}.safetensors")
    (scratch / "state.json").write_text(json.dumps(schema.to_json(checkpoint.state)))
    if final.exists():
        shutil.rmtree(final)
    scratch.rename(final)
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first, without what a kill left half-written."""
    return sorted(folder.glob("step-*"))


def load(folder: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        TrainingError: If it is damaged, or was written by a newer release.
    """
    try:
        values = msgspec.json.decode((folder / "state.json").read_bytes(), type=dict[str, Any])
        tensors = [load_file(folder / f"{name}.safetensors") for name in ("model", "optimizer", "ema")]
    except (OSError, SafetensorError, msgspec.DecodeError) as error:
        raise TrainingError(f"the checkpoint {folder} is damaged: {error}", "remove it") from error
    where = f"the entries of {folder / 'state.json'}"
    return Checkpoint(schema.from_json(values, State, where, error=TrainingError), *tensors)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer, as named tensors."""
    return {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
