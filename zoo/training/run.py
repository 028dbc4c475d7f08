"""How a training is carried out, and what it did."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfsynth.errors import OutputError
from zoo.errors import TrainingError
from zoo.store.folder import EVALUATION, TRAINING, WEIGHTS
from zoo.training import checkpoint as checkpoints
from zoo.training.training_log import EVENTS, SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.training.checkpoint import Checkpoint
    from zoo.training.sources import SourceSpec
    from zoo.training.validation import Scores

CHECKPOINTS = "checkpoints"
KEPT = "weights"


@dataclass(frozen=True, slots=True)
class TrainRun:
    """How a training is carried out.

    Args:
        data: Sources to train on.
        out: Folder to make.
        validation: Sources to validate on, whole, and not part of `data`; none given, one image in twenty of
            `data` is held out for it.
        workers: Loader workers of each process; 0 makes batches in the process itself.
        resume: Go on from the last checkpoint.
        overwrite: Remove what another training left in `out`.
        cpu: Train on the CPU even where there is an accelerator.
        command: What began it, without folders of this machine: kept with the network.
        say: Told what takes a while.
        progress: Told of steps done and to do, and of the loss.
    """

    data: tuple[SourceSpec, ...]
    out: Path
    validation: tuple[SourceSpec, ...] = ()
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    cpu: bool = False
    command: str = ""
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int, float], None] = lambda _done, _total, _loss: None

    @property
    def holding(self) -> bool:
        """Whether part of the data is held out for validation."""
        return not self.validation


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training did.

    Attributes:
        steps: Steps done in all, of `total`.
        seconds: Time spent in all.
        waiting: Part of this run's time that steps waited for data.
        scores: The last validation, by kind.
        stopped: Whether it was asked to stop before the end.
    """

    steps: int
    total: int
    seconds: float
    waiting: float
    scores: dict[str, Scores]
    stopped: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self)

    def lines(self, out: Path) -> list[str]:
        """As lines for people."""
        minutes = f"{self.seconds / 60:.1f} minutes, {self.waiting:.0%} of them waiting for data"
        if self.stopped and not self.steps:
            return ["stopped before the first step"]
        if self.stopped:
            return [f"stopped after {self.steps} of {self.total} steps; --resume goes on"]
        told = [
            f"validation, {kind}: PSNR {scores.psnr:.2f} dB, SSIM {scores.ssim:.4f}, decision "
            f"{scores.accuracy:.2%}, commutativity {scores.commutativity:.1e}"
            for kind, scores in self.scores.items()
        ]
        return [f"trained {self.steps} steps in {minutes}; the network is in {out}", *told]


def last_checkpoint(run: TrainRun) -> Checkpoint | None:
    """The checkpoint to go on from, None to begin.

    Raises:
        TrainingError: If there is none to go on from, or it is damaged.
        OutputError: If the folder holds a training already.
    """
    saved = checkpoints.found(run.out / CHECKPOINTS)
    finished = (run.out / WEIGHTS).exists()
    if run.resume:
        if finished:
            raise TrainingError(f"the training in {run.out} is finished", "train into another folder")
        if not saved:
            raise TrainingError(f"there is no checkpoint in {run.out}", "start without --resume")
        return checkpoints.load(saved[-1])
    used = run.out.exists() and (not run.out.is_dir() or any(run.out.iterdir()))
    if used and not run.overwrite:
        raise OutputError(
            f"{run.out} is not empty",
            "give another --out, --resume an interrupted training, or --overwrite what it left",
        )
    return None


def clear(out: Path) -> None:
    """Make the folder, and remove what another training left there, by name.

    Raises:
        OSError: If it cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    for folder in (CHECKPOINTS, KEPT, SAMPLES, EVENTS):
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in (WEIGHTS, TRAINING, EVALUATION):
        (out / name).unlink(missing_ok=True)
