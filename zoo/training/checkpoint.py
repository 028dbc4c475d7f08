"""Checkpoints: one folder each, written under a temporary name and renamed; safetensors, and their hashes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from mfsynth import schema
from mfsynth.storage import digest, sync
from zoo.errors import TrainingError
from zoo.training.scattered import Position

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim.swa_utils import AveragedModel

    from zoo.networks import Network

ORDER = 2
"""How shards are ordered. 1: shuffled by a buffer; 2: each shard's samples in their own order."""
KEPT = 2
"""How many checkpoints are kept: the last two."""
STATE = "state.json"
TENSORS = ("model", "optimizer", "ema")


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
        sha256: Of each file of the checkpoint, as hex text; of this one, without its own hash. Empty in
            checkpoints of 0.1.0.
    """

    step: int
    begun: int
    positions: list[list[Position]]
    seconds: float
    options: str
    scaler: dict[str, float | int]
    order: int = field(default=1, metadata=schema.since("0.2.0"))
    sha256: dict[str, str] = field(default_factory=dict, metadata=schema.since("0.2.0"))

    @property
    def name(self) -> str:
        """The checkpoint's folder."""
        return f"step-{self.step:08d}"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """State, weights, the optimizer's tensors, and averaged weights (empty without EMA)."""

    state: State
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    ema: dict[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into the folder of checkpoints, and remove the oldest."""
    final = folder / checkpoint.state.name
    scratch = folder / f"tmp-{checkpoint.state.step:08d}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    hashes = {}
    for name in TENSORS:
        file = scratch / f"{name}.safetensors"
        save_file(getattr(checkpoint, name), file)
        sync(file)
        hashes[file.name] = digest(file)
    values = schema.to_json(replace(checkpoint.state, sha256=hashes))
    values["sha256"][STATE] = _hash_of(values)
    (scratch / STATE).write_text(json.dumps(values))
    sync(scratch / STATE)
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
    """Read one checkpoint; if it has hashes, each file is checked against its own.

    Raises:
        TrainingError: If it is damaged, or was written by a newer release.
    """
    hint = _remedy(folder)
    files, text = _read(folder, hint)
    what = f"the checkpoint {folder} is damaged: its {STATE}"
    values = schema.decode(text, dict[str, Any], what, error=TrainingError, hint=hint)
    if "sha256" in values:
        found = {STATE: _hash_of(values)} | {name: digest(data) for name, data in files.items()}
        if changed := _differing(values["sha256"], found):
            raise _damaged(folder, f"the SHA-256 of {', '.join(changed)} differs", hint)
    try:
        tensors = [load_tensors(data) for data in files.values()]
    except SafetensorError as error:
        raise _damaged(folder, str(error), hint) from error
    state = schema.from_json(values, State, f"the entries of {folder / STATE}", error=TrainingError)
    if not _makes_sense(state):
        raise _damaged(folder, f"{STATE} has impossible positions", hint)
    return Checkpoint(state, *tensors)


def _read(folder: Path, hint: str) -> tuple[dict[str, bytes], bytes]:
    """The files of tensors, by name, and the state."""
    try:
        names = [f"{name}.safetensors" for name in TENSORS]
        return {name: (folder / name).read_bytes() for name in names}, (folder / STATE).read_bytes()
    except OSError as error:
        name = Path(error.filename or "a file").name
        raise _damaged(folder, f"{name} cannot be read: {error.strerror or error}", hint) from error


def _hash_of(values: dict[str, Any]) -> str:
    """SHA-256 of what a state.json holds, except this hash."""
    others = values["sha256"]
    if isinstance(others, dict):
        others = {name: sha256 for name, sha256 in others.items() if name != STATE}
    return digest(json.dumps({**values, "sha256": others}, sort_keys=True).encode())


def _differing(expected: object, found: dict[str, str]) -> list[str]:
    """The files whose hashes are not the expected ones."""
    known = expected if isinstance(expected, dict) else {}
    return [name for name, sha256 in found.items() if known.get(name) != sha256]


def _makes_sense(state: State) -> bool:
    """Whether a state's numbers can be those of a training run; checkpoints of 0.1.0 have no hash."""
    readers = [each for process in state.positions for each in process]
    places = [place for each in readers for place in each.places or ()]
    numbers = [
        state.step,
        state.begun,
        *(each.drawn for each in readers),
        *(n for each in places for n in each),
    ]
    even = len({len(process) for process in state.positions}) <= 1
    return even and all(len(each) == 2 for each in places) and all(0 <= n < 1 << 63 for n in numbers)


def _damaged(folder: Path, reason: str, hint: str) -> TrainingError:
    return TrainingError(f"the checkpoint {folder} is damaged: {reason}", hint)


def _remedy(folder: Path) -> str:
    """What to do about a damaged checkpoint: never go on from another one without being asked."""
    before = [each.name for each in found(folder.parent) if each.name < folder.name]
    if before:
        return f"remove this folder, and --resume continues from {before[-1]}"
    return "no earlier one is left: train again with --overwrite"


def restore(
    checkpoint: Checkpoint,
    folder: Path,
    total: int,
    model: Network,
    optimizer: torch.optim.Optimizer,
    ema: AveragedModel | None,
) -> None:
    """Give a training the tensors of a checkpoint, which is in `folder`, and of at most `total` steps.

    Raises:
        TrainingError: If they are another training's.
    """
    step = checkpoint.state.step
    try:
        if step > total:
            raise ValueError(f"it has more than the {total:,} steps of this training")
        model.load_state_dict(checkpoint.model)
        restore_optimizer(optimizer, checkpoint.optimizer)
        if ema:
            ema.module.load_state_dict(checkpoint.ema)
            ema.n_averaged.fill_(step)
    except (RuntimeError, ValueError) as error:  # torch's, for other names or shapes
        reason = " ".join(str(error).split())
        raise TrainingError(f"the checkpoint {folder} does not fit: {reason}", _remedy(folder)) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer, as named tensors."""
    return {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer the state that `optimizer_tensors` returned.

    Raises:
        ValueError: If the tensors are those of another network's optimizer.
    """
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    shapes = [each.shape for group in optimizer.param_groups for each in group["params"]]
    if not state.keys() <= {*range(len(shapes))}:
        raise ValueError(f"parameter {max(state)} has a state, the network has {len(shapes)}")
    for place, values in state.items():
        if any(value.ndim and value.shape != shapes[place] for value in values.values()):
            raise ValueError(f"the state of parameter {place} has another shape than the parameter")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
