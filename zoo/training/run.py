"""How a network is trained, and what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfsynth.console import count, duration
from mfsynth.errors import OutputError
from zoo.errors import TrainingError
from zoo.store.files import EVALUATION, TRAINING, WEIGHTS
from zoo.training import checkpoint as checkpoints
from zoo.training.training_log import EVENTS, SAMPLES, STEPS

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.training.checkpoint import Checkpoint
    from zoo.training.options import Render
    from zoo.training.sources import SourceSpec
    from zoo.training.validation import ValidationScores

CHECKPOINTS = "checkpoints"
KEPT = "weights"


@dataclass(frozen=True, slots=True)
class TrainRun:
    """How a network is trained.

    Args:
        data: Sources to train on.
        out: The folder to create.
        validation: Sources to validate on, all of their images; without any, one image in twenty of `data`
            is held out for validation.
        workers: Loader workers of each process; 0 makes batches in the process itself.
        resume: Continue from the last checkpoint.
        overwrite: Remove what another training run left in `out`.
        cpu: Train on the CPU even if there is an accelerator.
        render: Where crops are rendered: `cpu`, by the loader workers; `device`, where the network is. They
            differ by a gray level at most, before a lighter exposure or a JPEG, so this is not a setting: a
            training may be continued with the other.
        command: The command that started it, without this machine's folders; kept with the network.
        say: Called with a line about what takes a while, or which weights training begins with.
        progress: Called with the number of steps done, the number in all, and the loss.
    """

    data: tuple[SourceSpec, ...]
    out: Path
    validation: tuple[SourceSpec, ...] = ()
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    cpu: bool = False
    render: Render = "cpu"
    command: str = ""
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int, float], None] = lambda _done, _total, _loss: None

    @property
    def holding(self) -> bool:
        """Whether part of the data is held out for validation."""
        return not self.validation


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training run did.

    Attributes:
        steps: Number of steps done.
        total: Number of steps in all.
        seconds: Time spent, including earlier runs.
        waiting: The share of the time of this run's steps in which they waited for data; validations and
            checkpoints do not count.
        scores: The last validation, by kind.
        stopped: Whether it was asked to stop before the end.
        out: The folder with the network.
    """

    steps: int
    total: int
    seconds: float
    waiting: float
    scores: dict[str, ValidationScores]
    stopped: bool
    out: Path

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self) | {"out": str(self.out)}

    def lines(self) -> list[str]:
        """As lines for people."""
        spent = f"{duration(self.seconds)}, waiting for data in {self.waiting:.0%} of the steps' time"
        if self.stopped and not self.steps:
            return ["stopped before the first step"]
        if self.stopped:
            return [f"stopped after {self.steps:,} of {count(self.total, 'step')}; continue with --resume"]
        validation = [
            f"validation, {kind}: PSNR {scores.psnr:.2f} dB, SSIM {scores.ssim:.4f}, decision "
            f"{scores.accuracy:.2%}, commutativity {scores.commutativity:.1e}"
            for kind, scores in self.scores.items()
        ]
        trained = f"trained {count(self.steps, 'step')} in {spent}; the network is in {self.out}"
        return [trained, *validation]


def last_checkpoint(run: TrainRun) -> Checkpoint | None:
    """The checkpoint to continue from; None to start from the beginning.

    Raises:
        TrainingError: If there is no checkpoint to continue from, or it is damaged.
        OutputError: If the folder is already in use, is not that of a training, or holds the data.
    """
    _check_apart(run)
    saved = checkpoints.found(run.out / CHECKPOINTS)
    finished = (run.out / WEIGHTS).exists()
    if run.resume:
        if finished:
            raise TrainingError(f"the training in {run.out} is finished", "train into another folder")
        if not saved:
            raise TrainingError(f"there is no checkpoint in {run.out}", "start without --resume")
        return checkpoints.load(saved[-1])
    used = run.out.exists() and (not run.out.is_dir() or any(run.out.iterdir()))
    if used and not (run.out / STEPS).is_file():
        raise OutputError(f"{run.out} holds something other than a training run", "give another --out")
    if used and not run.overwrite:
        resume = "" if finished else "continue with --resume, "
        raise OutputError(
            f"{run.out} holds a training run", f"give another --out, {resume}or replace it with --overwrite"
        )
    return None


def _check_apart(run: TrainRun) -> None:
    """Outputs are never inputs: --overwrite removes whole folders."""
    out = run.out.resolve()
    for spec in (*run.data, *run.validation):
        folder = spec.folder
        if folder is not None and folder.resolve().is_relative_to(out):
            raise OutputError(f"the data {folder} is in {run.out}", "give another --out")


def clear(out: Path) -> None:
    """Create the folder, and remove what another training run left there, by name.

    Raises:
        OSError: If it cannot be created.
    """
    out.mkdir(parents=True, exist_ok=True)
    for folder in (CHECKPOINTS, KEPT, SAMPLES, EVENTS):
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in (WEIGHTS, TRAINING, EVALUATION):
        (out / name).unlink(missing_ok=True)
