"""Training runs of equal time, side by side: two architectures, or the losses of HF-Reg (the paper's Fig. 9).

    python scripts/compare_training.py architectures --coco ../shared/coco --out runs/architectures
    python scripts/compare_training.py losses --coco ../shared/coco --out runs/losses

Each training is the command `mfsynth train` with the `fast` preset on train2017, extra and bsds; a short
trial measures how many steps the time allows, unless --steps is given. Scores are of val2017 pairs, which no
run trains on: whole pictures, both orders evaluated. A run that is already in --out is not repeated.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

import mfsynth
import zoo
from mfsynth.plots import Panel, draw_curves
from mfsynth.storage import write
from zoo.metrics import gray, psnr, ssim

SPLITS = ("train2017", "extra", "bsds")
COMPARISONS = {
    "architectures": {
        "unet": ("hf-seg", {"model.architecture": "unet"}),
        "odd": ("hf-seg", {"model.architecture": "odd"}),
    },
    "losses": {name: ("hf-reg", {"loss": name}) for name in ("nps6", "l1", "mse")},
}
TRIAL = 60


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


def train(kind: str, settings: dict[str, str], coco: Path, out: Path, steps: int) -> None:
    """One training by the command that users have."""
    data = [f"--data=coco:{coco}:{split}" for split in SPLITS]
    named = [f"--set={name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "mfsynth.cli", "train", kind, *data, *named, f"--steps={steps}"]
    subprocess.run([*command, "--out", str(out), "--overwrite"], check=True)


def steps_in(minutes: float, kind: str, settings: dict[str, str], coco: Path, scratch: Path) -> int:
    """How many steps a time allows, by the rate of a short trial after its first steps."""
    train(kind, settings, coco, scratch, TRIAL)
    rows = list(csv.DictReader((scratch / "log.csv").open()))
    pairs = json.loads((scratch / "training.json").read_text())["options"]["pairs"]
    rate = float(np.median([float(row["pairs_per_second"]) for row in rows[1:]])) / pairs
    return max(1, round(minutes * 60 * rate))


def score(folder: Path, coco: Path, split: str) -> Score:
    """A network's fused pictures against the truth, on a split's pairs."""
    model = zoo.load(folder)
    rule = "nearest" if model.config.task == "reg" else None
    values = []
    for sample in mfsynth.synthesize(coco, split):
        fused = model.fuse(sample.frames)
        decided = model.fuse(sample.frames, rule=rule) if rule else fused
        values.append(
            (
                min(psnr(sample.gt, fused.image), 100.0),
                ssim(gray(sample.gt), gray(fused.image)),
                (decided.decision == sample.focus).mean(),
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


def curves(runs: dict[str, Path]) -> bytes:
    """Validation of several trainings over the time spent, as a PNG."""
    columns = {"psnr": "PSNR of held-out pairs, dB", "ssim": "SSIM", "accuracy": "decision"}
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
    runs = {name: out / name for name in COMPARISONS[what]}
    shared = dict(text.split("=", 1) for text in more)
    for name, (kind, settings) in COMPARISONS[what].items():
        if not (runs[name] / "model.safetensors").exists():
            settings = {"validate_every": "100", **settings, **shared}
            count = steps or steps_in(minutes, kind, settings, coco, out / "trial")
            train(kind, settings, coco, runs[name], count)
    scores = {name: score(folder, coco, split) for name, folder in runs.items()}
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
    write(out / "curves.png", curves(runs))


if __name__ == "__main__":
    main()
