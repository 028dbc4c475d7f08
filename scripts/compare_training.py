"""Training runs of equal time, side by side: architectures, losses of HF-Reg (the paper's Fig. 9), targets.

    python scripts/compare_training.py architectures --coco ../shared/coco --out runs/architectures
    python scripts/compare_training.py losses --coco ../shared/coco --out runs/losses
    python scripts/compare_training.py targets --coco ../shared/coco --steps 300 --out runs/targets

Each training is the command `mfsynth train` with the `fast` preset on train2017, extra and bsds, which for
targets are rendered as lenses and cameras do; a short trial measures how many steps the time allows, unless
--steps is given. Scores are of val2017 pairs of the same kind, which no run trains on: whole pictures, both
orders evaluated, decisions against the nearest frame. A run that is already in --out is not repeated.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Unpack

import click
import numpy as np

import mfsynth
import zoo
from mfsynth.options import ContentOptions, Preset
from mfsynth.plots import Panel, draw_curves
from mfsynth.storage import write
from zoo.metrics import gray, psnr, ssim

SPLITS = ("train2017", "extra", "bsds")
TRIAL = 60


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        runs: By name, a network and the settings that differ.
        preset: Of the data to train on.
        scored: Options of the pairs that scores are of, by what is added to a run's name.
        curves: Columns of the validation to draw, and their labels.
    """

    runs: dict[str, tuple[str, dict[str, str]]]
    preset: Preset = "paper"
    scored: dict[str, ContentOptions] = field(default_factory=lambda: {"": {}})
    curves: dict[str, str] = field(
        default_factory=lambda: {
            "psnr": "PSNR of held-out pairs, dB", "ssim": "SSIM", "accuracy": "decision",
        }
    )  # fmt: skip


COMPARISONS = {
    "architectures": Comparison(
        {name: ("hf-seg", {"model.architecture": name}) for name in ("unet", "odd")},
    ),
    "losses": Comparison({name: ("hf-reg", {"loss": name}) for name in ("nps6", "l1", "mse")}),
    "targets": Comparison(
        {name: ("hf-seg", {"target": name}) for name in ("nearest", "focus")},
        "realistic",
        {"": {"preset": "realistic"}, ", without noise": {"preset": "realistic", "capture": "clean"}},
        {"psnr": "PSNR of held-out pairs, dB", "ssim": "SSIM"},  # accuracy is against each run's own target
    ),
}


@dataclass(frozen=True)
class Score:
    """Means over the pairs of a split."""

    steps: int
    seconds: float
    weights: int
    psnr: float
    psnr_std: float
    ssim: float
    accuracy: float


def train(
    kind: str, settings: dict[str, str], coco: Path, out: Path, steps: int, preset: Preset = "paper"
) -> None:
    """One training by the command that users have."""
    data = [f"--data=coco:{coco}:{split}:{preset}" for split in SPLITS]
    named = [f"--set={name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "mfsynth.cli", "train", kind, *data, *named, f"--steps={steps}"]
    subprocess.run([*command, "--out", str(out), "--overwrite"], check=True)


def steps_in(
    minutes: float, kind: str, settings: dict[str, str], coco: Path, scratch: Path, preset: Preset
) -> int:
    """How many steps a time allows, by the rate of a short trial after its first steps."""
    train(kind, settings, coco, scratch, TRIAL, preset)
    rows = list(csv.DictReader((scratch / "log.csv").open()))
    pairs = json.loads((scratch / "training.json").read_text())["options"]["pairs"]
    rate = float(np.median([float(row["pairs_per_second"]) for row in rows[1:]])) / pairs
    return max(1, round(minutes * 60 * rate))


def score(folder: Path, coco: Path, split: str, **content: Unpack[ContentOptions]) -> Score:
    """A network's fused pictures against the truth, on a split's pairs."""
    model = zoo.load(folder)
    rule = "nearest" if model.config.task == "reg" else None
    values = []
    for sample in mfsynth.synthesize(coco, split, **content):
        fused = model.fuse(sample.frames)
        decided = model.fuse(sample.frames, rule=rule) if rule else fused
        values.append(
            (
                min(psnr(sample.gt, fused.image), 100.0),
                ssim(gray(sample.gt), gray(fused.image)),
                (decided.decision == sample.nearest).mean(),
            )
        )
    training = json.loads((folder / "training.json").read_text())
    table = np.array(values)
    return Score(
        training["steps"],
        training["seconds"],
        model.parameters_count,
        *map(float, (table[:, 0].mean(), table[:, 0].std(ddof=1), table[:, 1].mean(), table[:, 2].mean())),
    )


def curves(runs: dict[str, Path], columns: dict[str, str]) -> bytes:
    """Validation of several trainings over the time spent, as a PNG."""
    validations = {name: validation(folder) for name, folder in runs.items()}
    panels = [
        Panel(label, {name: (each["minutes"], each[column]) for name, each in validations.items()})
        for column, label in columns.items()
    ]
    return draw_curves("training runs side by side", panels, "minutes of training")


def validation(folder: Path) -> dict[str, list[float]]:
    """The columns of a training's validation of clean pairs, with the minutes spent before each."""
    seconds = {row["step"]: float(row["seconds"]) for row in csv.DictReader((folder / "log.csv").open())}
    rows = [row for row in csv.DictReader((folder / "validation.csv").open()) if row["kind"] == "clean"]
    columns = {name: [float(row[name]) for row in rows] for name in ("psnr", "ssim", "accuracy")}
    return columns | {"minutes": [seconds[row["step"]] / 60 for row in rows]}


@click.command()
@click.argument("what", type=click.Choice(list(COMPARISONS)))
@click.option("--coco", type=click.Path(path_type=Path), required=True)
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--steps", type=int, help="Equal steps instead of equal time.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--split", default="val2017", show_default=True, help="Pairs to score on.")
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="As for `mfsynth train`.")
def main(
    what: str, coco: Path, minutes: float, steps: int | None, out: Path, split: str, more: tuple[str, ...]
) -> None:
    """Train, score, and print a Markdown table; write it, the scores and a figure to OUT."""
    comparison = COMPARISONS[what]
    runs = {name: out / name for name in comparison.runs}
    shared = dict(text.split("=", 1) for text in more)
    for name, (kind, settings) in comparison.runs.items():
        if not (runs[name] / "model.safetensors").exists():
            settings = {"validate_every": "100", **settings, **shared}
            count = steps or steps_in(minutes, kind, settings, coco, out / "trial", comparison.preset)
            train(kind, settings, coco, runs[name], count, comparison.preset)
    scores = {
        f"{name}{added}": score(folder, coco, split, **content)
        for name, folder in runs.items()
        for added, content in comparison.scored.items()
    }
    lines = ["| | weights | steps | minutes | PSNR, dB | SSIM | decision |", "|---|---|---|---|---|---|---|"]
    for name, each in scores.items():
        lines.append(
            f"| {name} | {each.weights:,} | {each.steps} | {each.seconds / 60:.1f} | {each.psnr:.2f} ± "
            f"{each.psnr_std:.2f} | {each.ssim:.4f} | {each.accuracy:.2%} |"
        )
    table = "\n".join(lines)
    print(table)
    write(out / "table.md", (table + "\n").encode())
    write(
        out / "scores.json",
        json.dumps({name: asdict(each) for name, each in scores.items()}, indent=1).encode(),
    )
    write(out / "curves.png", curves(runs, comparison.curves))


if __name__ == "__main__":
    main()
