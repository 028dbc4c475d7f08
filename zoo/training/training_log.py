"""What a training leaves for people to look at: CSV, TensorBoard events, pictures, the curve."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from torch.utils.tensorboard import SummaryWriter

from mfsynth.plots import figure, png
from mfsynth.storage import write
from zoo.training.validation import Scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

STEPS = "log.csv"
VALIDATION = "validation.csv"
CURVE = "curve.png"
EVENTS = "events"
SAMPLES = "samples"

_STEP_COLUMNS = ("step", "loss", "lr", "seconds", "waiting", "pairs_per_second")
_VALIDATION_COLUMNS = ("step", "kind", *(each.name for each in fields(Scores)))


class Record:
    """The log of one training; one that goes on keeps the rows up to the step it goes on from.

    Args:
        folder: The training's folder.
        step: Steps done before.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self.steps = _Table(folder / STEPS, _STEP_COLUMNS, step)
        self.validation = _Table(folder / VALIDATION, _VALIDATION_COLUMNS, step)
        self.events = SummaryWriter(str(folder / EVENTS), purge_step=step + 1)

    def step(self, step: int, **values: float) -> None:
        """Note what some steps of training gave."""
        self.steps.add(step=step, **values)
        for name, value in values.items():
            self.events.add_scalar(f"training/{name}", value, step)

    def scores(self, step: int, kind: str, scores: Scores, rows: Sequence[NDArray[np.uint8]]) -> None:
        """Note what a validation gave."""
        self.validation.add(step=step, kind=kind, **asdict(scores))
        for name, value in asdict(scores).items():
            self.events.add_scalar(f"{kind}/{name}", value, step)
        picture = np.vstack(rows)
        self.events.add_image(f"{kind}/samples", picture, step, dataformats="HWC")
        _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        write(self.folder / SAMPLES / f"{kind}-{step:08d}.png", data.tobytes())

    def curve(self) -> None:
        """Draw the losses, and PSNR and accuracy of validation, over the steps."""
        write(self.folder / CURVE, draw_curve(self.steps.rows, self.validation.rows))

    def close(self) -> None:
        """End the event file."""
        self.events.close()


class _Table:
    """Rows that are appended to a CSV file as they come."""

    def __init__(self, path: Path, columns: Sequence[str], step: int) -> None:
        self.path, self.columns = path, columns
        self.rows: list[dict[str, Any]] = []
        if step and path.exists():
            with path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self._write("w", self.rows, header=True)

    def add(self, **values: Any) -> None:
        row = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
        self.rows.append(row)
        self._write("a", [row], header=False)

    def _write(self, mode: str, rows: Sequence[dict[str, Any]], header: bool) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        with self.path.open(mode, newline="") as file:
            file.write(text.getvalue())


def draw_curve(steps: Sequence[dict[str, Any]], validation: Sequence[dict[str, Any]]) -> bytes:
    """The curves of a training as a PNG."""
    with figure(10, 6, 110) as drawn:
        axes = drawn.subplots(2, 1, sharex=True)
        _line(axes[0], steps, "loss", "training")
        for kind in dict.fromkeys(row["kind"] for row in validation):
            rows = [row for row in validation if row["kind"] == kind]
            _line(axes[0], rows, "loss", f"validation, {kind}")
            _line(axes[1], rows, "psnr", f"validation, {kind}")
        axes[0].set_ylabel("loss")
        axes[0].set_yscale("log")
        axes[1].set_ylabel("PSNR of the fused picture, dB")
        axes[1].set_xlabel("step")
        for axis in axes:
            axis.grid(alpha=0.3)
            if axis.lines:
                axis.legend()
        drawn.tight_layout()
        return png(drawn)


def _line(axis: Any, rows: Sequence[dict[str, Any]], column: str, label: str) -> None:
    if rows:
        places = [int(row["step"]) for row in rows]
        values = [float(row[column]) for row in rows]
        axis.plot(places, values, label=label, marker="o" if len(rows) < 40 else None, markersize=3)
