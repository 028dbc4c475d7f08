"""Checkpoints: a folder each, written under a temporary name and renamed; tensors as safetensors."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from zoo.errors import TrainingError
from zoo.training.data import Position

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

KEPT = 2
"""Checkpoints that stay: the last, and the one before."""


@dataclass(frozen=True, slots=True)
class State:
    """What a training needs to go on, beside tensors.

    Args:
        step: Optimizer steps done.
        begun: Batches that each process has taken.
        positions: Of each process, where each of its loader workers stands.
        seconds: Time spent.
        options: Fingerprint of the training's options and data.
        scaler: State of the loss scaler of fp16, else empty.
    """

    step: int
    begun: int
    positions: list[list[Position]]
    seconds: float
    options: str
    scaler: dict[str, float | int]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Weights, the optimizer's tensors, averaged weights (none without EMA), and the state."""

    state: State
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    ema: dict[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into a folder of checkpoints, and remove those that are too old."""
    final = folder / f"step-{checkpoint.state.step:08d}"
    scratch = folder / f"tmp-{checkpoint.state.step:08d}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in ("model", "optimizer", "ema"):
        save_file(getattr(checkpoint, name), scratch / f"{name}.safetensors")
    (scratch / "state.json").write_text(json.dumps(asdict(checkpoint.state)))
    if final.exists():
        shutil.rmtree(final)
    scratch.rename(final)
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; what a kill left half-written is none."""
    return sorted(folder.glob("step-*"))


def load(folder: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        TrainingError: If it is damaged.
    """
    try:
        state = msgspec.json.decode((folder / "state.json").read_bytes(), type=State)
        tensors = [load_file(folder / f"{name}.safetensors") for name in ("model", "optimizer", "ema")]
    except (OSError, SafetensorError, msgspec.DecodeError) as error:
        raise TrainingError(f"the checkpoint {folder} is damaged: {error}", "remove it") from error
    return Checkpoint(state, *tensors)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's state as named tensors."""
    return {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer the state that `optimizer_tensors` took."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
