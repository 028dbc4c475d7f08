"""The log of a training run: CSV, TensorBoard events, pictures, curves."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from mfsynth.codecs import encode_png
from mfsynth.plots import Panel, draw_curves
from mfsynth.preview.kit.sheet import Block, Cell, draw_sheet
from mfsynth.storage import write
from zoo.errors import TrainingError
from zoo.training.validation import ValidationScores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

STEPS = "log.csv"
VALIDATION = "validation.csv"
CURVE = "curve.png"
EVENTS = "events"
SAMPLES = "samples"
HEADS = ("first frame", "last frame", "fused", "error ×8", "decision", "focus map")
"""What is shown of a held-out sample."""

_STEP_COLUMNS = ("step", "loss", "lr", "seconds", "waiting", "pairs_per_second")
_VALIDATION_COLUMNS = ("step", "kind", *(each.name for each in fields(ValidationScores)))


class TrainingLog:
    """The log of one training run; a resumed one keeps the rows up to the step that it resumes from.

    A row that a kill cut short is dropped.

    Args:
        folder: The training's folder.
        step: Steps done so far.

    Raises:
        TrainingError: If a log of the run to resume holds anything else.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self.steps = _Table(folder / STEPS, _STEP_COLUMNS, step)
        self.validation = _Table(folder / VALIDATION, _VALIDATION_COLUMNS, step)
        self.events = SummaryWriter(str(folder / EVENTS), purge_step=step + 1)

    def step(self, step: int, **values: float) -> None:
        """Log the results of some steps of training."""
        self.steps.add(step=step, **values)
        for name, value in values.items():
            self.events.add_scalar(f"training/{name}", value, step)

    def scores(
        self, step: int, kind: str, scores: ValidationScores, rows: Sequence[NDArray[np.uint8]]
    ) -> None:
        """Log the results of a validation.

        Args:
            step: Steps done.
            kind: Kind of the held-out samples: `clean`, `captured` or `stacks`.
            scores: Means over the samples.
            rows: For each of the first samples its pictures side by side, in the order of `HEADS`, uint8 RGB.
        """
        self.validation.add(step=step, kind=kind, **asdict(scores))
        for name, value in asdict(scores).items():
            self.events.add_scalar(f"{kind}/{name}", value, step)
        sheet = draw_samples(rows, f"{kind}, step {step:,}", f"PSNR {scores.psnr:.2f} dB")
        self.events.add_image(f"{kind}/samples", sheet, step, dataformats="HWC")
        write(self.folder / SAMPLES / f"{kind}-{step:08d}.png", encode_png(sheet))

    def curve(self) -> None:
        """Draw the losses, and the PSNR of validation, over the steps."""
        write(self.folder / CURVE, draw_curve(self.steps.rows, self.validation.rows, self.folder.name))

    def close(self) -> None:
        """End the event file."""
        self.events.close()


class _Table:
    """Rows that are appended to a CSV file as they come."""

    def __init__(self, path: Path, columns: Sequence[str], step: int) -> None:
        self.path, self.columns = path, columns
        self.rows: list[dict[str, Any]] = []
        if step and path.exists():
            self.rows = [row for row in _rows(path, columns) if int(row["step"]) <= step]
        write(path, self._text([dict(zip(columns, columns, strict=True)), *self.rows]))

    def add(self, **values: Any) -> None:
        row = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
        self.rows.append(row)
        with self.path.open("ab") as file:
            file.write(self._text([row]))

    def _text(self, rows: Sequence[dict[str, Any]]) -> bytes:
        return "".join(",".join(str(row[name]) for name in self.columns) + "\n" for row in rows).encode()


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a log as the training wrote them; without the last, if a kill cut it short.

    Raises:
        TrainingError: If the file holds anything else.
    """
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    lines = whole.decode(errors="replace").split("\n") if whole else []
    if lines and lines[0] != ",".join(columns):
        raise _malformed(path, 1)
    rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines[1:]]
    for number, (line, row) in enumerate(zip(lines[1:], rows, strict=True), 2):
        if line.count(",") != len(columns) - 1 or not all(map(_is_value, row, row.values())):
            raise _malformed(path, number)
    return rows


def _is_value(column: str, text: str) -> bool:
    if column == "kind":
        return text.isidentifier()
    try:
        float(text)
    except ValueError:
        return False
    return column != "step" or text.isdecimal()


def scores_at(folder: Path, step: int) -> dict[str, dict[str, float]]:
    """The last validation of a training up to a step: for each kind of held-out pairs, its values by name.

    Raises:
        TrainingError: If the log is not what a training writes.
    """
    path = folder / VALIDATION
    rows = _rows(path, _VALIDATION_COLUMNS) if path.is_file() else []
    rows = [row for row in rows if int(row["step"]) <= step]
    names = _VALIDATION_COLUMNS[2:]
    return {
        row["kind"]: {name: float(row[name]) for name in names}
        for row in rows
        if row["step"] == rows[-1]["step"]
    }


def _malformed(path: Path, line: int) -> TrainingError:
    return TrainingError(
        f"{path}, line {line}, is not what the training wrote",
        "remove the line, or the file: it is only a log",
    )


def draw_samples(rows: Sequence[NDArray[np.uint8]], title: str, note: str) -> NDArray[np.uint8]:
    """Labeled pictures of held-out pairs: rows as `TrainingLog.scores` takes them, H x W x 3 uint8 RGB."""
    pictures = [np.split(row, len(HEADS), axis=1) for row in rows]
    cells = [
        [Cell(picture, head if number == 0 else "") for head, picture in zip(HEADS, row, strict=True)]
        for number, row in enumerate(pictures)
    ]
    return draw_sheet([Block(cells, title, note)], pictures[0][0].shape[1])


def draw_curve(
    steps: Sequence[dict[str, Any]], validation: Sequence[dict[str, Any]], title: str = "training"
) -> bytes:
    """The curves of a training run as a PNG, from the rows of its two CSV files."""
    kinds = dict.fromkeys(row["kind"] for row in validation)
    by_kind = {f"held out, {kind}": [row for row in validation if row["kind"] == kind] for kind in kinds}
    losses = ({"training": steps} if steps else {}) | by_kind
    panels = [
        Panel("loss", {name: _line(rows, "loss") for name, rows in losses.items()}, log=True),
        Panel("PSNR of the fused picture, dB", {name: _line(rows, "psnr") for name, rows in by_kind.items()}),
    ]
    return draw_curves(title, panels, "step")


def _line(rows: Sequence[dict[str, Any]], column: str) -> tuple[list[float], list[float]]:
    return [float(row["step"]) for row in rows], [float(row[column]) for row in rows]
