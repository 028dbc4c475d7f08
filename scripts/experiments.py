"""Short trainings that decide how `focus-set` is built and trained, one difference at a time.

    python scripts/experiments.py --coco ../shared/coco --out runs/experiments
    python scripts/experiments.py mix loss --coco ../shared/coco --out runs/experiments   # some groups
    python scripts/experiments.py --coco ../shared/coco --out runs/experiments --table    # only the table
    python scripts/experiments.py --coco ../shared/coco --out runs/experiments --docs     # into the docs, too

Every row is one training with equal budget on train2017, extra and bsds: half of the samples are the paper's
pairs, half have realistic optics. Scores are of whole pictures of the images that training holds out, one in
twenty: never of val2017. A stopped training goes on where it was; what is done is not repeated.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import click
import focus_set_variants as variants
import torch
from focus_set_variants import normalized
from held_out import Case, best_choice, cases, gflop, judged, mean, milliseconds
from torch import nn

from mfsynth.storage import write
from zoo.errors import TrainingError
from zoo.networks.architecture import Shape
from zoo.networks.table import ARCHITECTURES
from zoo.store.folder import load_folder
from zoo.training import checkpoint as checkpoints
from zoo.training.loop import train
from zoo.training.losses import DECISION
from zoo.training.presets import preset
from zoo.training.run import CHECKPOINTS, TrainRun
from zoo.training.sources import SourceSpec

SPLITS = ("train2017", "extra", "bsds")
BUILDS = {
    "optics": ("--frames", "2", "--capture", "clean"),
    "camera": ("--frames", "2"),
    "stacks": ("--frames", "6"),
}
"""Data sets of `--preset realistic`, and how each is built."""
VARIANTS = 4
"""Of each image; an epoch of the paper's pairs is one variant, so that their weight is this."""
BASE = {
    "model.architecture": "focus-set", "model.width": "8", "model.depth": "3", "frames": "2,6",
    "pairs": "8", "crop": "96", "windows": "4", "ema": "0.99", "unequal": "0", "unbalanced": "0",
    "checkpoint_every": "100", "precision": "fp32",
}  # fmt: skip
"""What all experiments share, unless they say otherwise."""
KINDS = ("paper", "camera", "stacks")
"""What scores are of: the paper's pairs, and realistic pairs and stacks with noise."""
RESULT = "result.json"
PAGE = Path(__file__).parents[1] / "docs" / "training.md"
MARKS = ("<!-- experiments -->", "<!-- end of experiments -->")
"""What the table stands between."""


@dataclass(frozen=True)
class Experiment:
    """One row of the table.

    Attributes:
        group: What it is compared with.
        says: What differs from the base.
        settings: Of the training, beyond `BASE`.
        data: The data sets beside the paper's pairs.
        build: Makes the network, if not as usual.
    """

    group: str
    says: str
    settings: dict[str, str] = field(default_factory=dict)
    data: str = "stacks"
    build: Callable[[Shape], nn.Module] | None = None


PAIRS = {"frames": "2,2", "capture": "false"}
UNEQUAL = {"unequal": "1.2", "unbalanced": "0.15"}
CROPS = {
    64: {"crop": "64", "pairs": "18", "windows": "8"},
    48: {"crop": "48", "pairs": "32", "windows": "16"},
}
WIDTH = {width: {"model.width": str(width)} for width in (12, 16, 20)}
EXPERIMENTS = {
    "base": Experiment("mix", "+ stacks of 2 to 6 frames: the base"),
    "paper": Experiment("mix", "only the paper's pairs", PAIRS, ""),
    "optics": Experiment("mix", "+ pairs with realistic optics", PAIRS, "optics"),
    "camera": Experiment("mix", "+ a camera's noise and JPEG", {"frames": "2,2"}, "camera"),
    "seed-1": Experiment("chance", "another seed", {"seed": "1"}),
    "l1": Experiment("loss", "+ L1 of the picture", {"loss": "cross-entropy+l1"}),
    "stakes": Experiment("loss", "by stakes", {"loss": "cross-entropy-by-stakes"}),
    "unequal": Experiment("exposure", "unequal in half of the samples", UNEQUAL),
    "log-mean": Experiment("exposure", "log without its local mean", build=normalized(variants.by_log_mean)),
    "restoring": Experiment("residual head", "gated", {"loss": "restoring"}, build=variants.Restoring),
    "log": Experiment("exposure", "log", build=normalized(variants.logarithm)),
    "contrast": Experiment("exposure", "local mean and contrast", build=normalized(variants.by_contrast)),
    "mean": Experiment("exposure", "over each frame's mean", build=normalized(variants.by_mean)),
    "log-unequal": Experiment("exposure", "log, unequal", UNEQUAL, build=normalized(variants.logarithm)),
    "focus": Experiment("target", "`focus` for `nearest`", {"target": "focus"}),
    "twice": Experiment("network", "finest level twice", build=variants.Twice),
    "first": Experiment(
        "network",
        "widths 12, 16, 24, 32; decoder 8, 12, 16, 24",
        build=variants.with_widths((12, 16, 24, 32), (8, 12, 16, 24)),
    ),
    "kernel-5": Experiment("network", "5 x 5 at first", build=variants.with_kernel_5),
    "depthwise": Experiment("network", "depthwise below the first level", build=variants.depthwise),
    "depthwise-12": Experiment("network", "the same, width 12", WIDTH[12], build=variants.depthwise),
    "narrow": Experiment(
        "network", "decoder half as wide", build=variants.with_widths((8, 16, 24, 32), (4, 8, 8, 16))
    ),
    "wide": Experiment(
        "network", "decoder as the encoder", build=variants.with_widths((8, 16, 24, 32), (8, 16, 24, 32))
    ),
    "depth-2": Experiment("network", "depth 2", {"model.depth": "2"}),
    "depth-4": Experiment("network", "depth 4", {"model.depth": "4"}),
    "width-12": Experiment("network", "width 12", WIDTH[12]),
    "width-16": Experiment("network", "width 16", WIDTH[16]),
    "width-20": Experiment("network", "width 20", WIDTH[20]),
    "crop-64": Experiment("crops", "18 of 64, 8 of a scene", CROPS[64]),
    "crop-48": Experiment("crops", "32 of 48, 16 of a scene", CROPS[48]),
    "combined": Experiment(
        "together", "crops of 64; by stakes", CROPS[64] | {"loss": "cross-entropy-by-stakes"}
    ),
    "no-ema": Experiment("average", "none", {"ema": "0"}),
    "ema-0.999": Experiment("average", "decay 0.999", {"ema": "0.999"}),
    "lr-1e-3": Experiment("learning rate", "1e-3", {"lr": "1e-3"}),
    "lr-4e-3": Experiment("learning rate", "4e-3", {"lr": "4e-3"}),
}
"""By name, in the order in which they run."""


@dataclass(frozen=True)
class Result:
    """Means over the held-out pictures; decisions are shares of pixels, against the nearest frame.

    Attributes:
        weights, gflop, ms: Of a 520 x 520 pair in one pass, one core, fp32.
        steps, minutes: Of the training.
        paper, paper_right: The paper's pairs: dB of the picture selected, and decisions.
        pairs, stacks, stacks_right: The same of realistic pairs, and of stacks of six.
        blend: dB of realistic pairs weighted by the softmax of the scores.
        rim, rim_blend: dB where no frame holds the truth, in realistic pairs, selected and weighted.
        dim, bright: Decisions on the paper's pairs, the second frame 0.7 and 1.3 times as bright.
        rim_restored, restored: As rim_blend and blend, with the residual.
    """

    weights: int
    gflop: float
    ms: float
    steps: int
    minutes: float
    paper: float
    paper_right: float
    pairs: float
    blend: float
    stacks: float
    stacks_right: float
    rim: float
    rim_blend: float
    dim: float
    bright: float
    restored: float = 0.0
    rim_restored: float = 0.0


# --- data


def sources(experiment: Experiment, coco: Path, out: Path) -> tuple[SourceSpec, ...]:
    """What an experiment trains on."""
    paper = [SourceSpec(f"coco:{coco}:{split}", float(VARIANTS)) for split in SPLITS]
    shards = [
        SourceSpec(str(built(experiment.data, split, coco, out))) for split in SPLITS if experiment.data
    ]
    return (*paper, *shards)


def built(kind: str, split: str, coco: Path, out: Path) -> Path:
    """A data set of recipes, built if it is not there."""
    folder = out / "data" / f"{kind}-{split}"
    if not (folder / "manifest.json").exists():
        command = ["build", "--coco", coco, "--split", split, "--preset", "realistic", *BUILDS[kind]]
        rest = ["--variants", VARIANTS, "--store", "recipe", "--shards", "4", "--quiet", "--out", folder]
        subprocess.run([sys.executable, "-m", "mfsynth.cli", *map(str, [*command, *rest])], check=True)
    return folder


# --- training


def run(name: str, coco: Path, out: Path, steps: int) -> None:
    """Train and score one experiment, or go on with it."""
    experiment, folder = EXPERIMENTS[name], out / f"{steps}-steps" / name
    settings = BASE | {"validate_every": str(steps), "steps": str(steps)} | experiment.settings
    begun = bool(checkpoints.found(folder / CHECKPOINTS))
    with architecture(experiment.build):
        options = preset("hf-seg", "fast").override(settings)
        if not (folder / "model.safetensors").exists():
            specs = sources(experiment, coco, out)
            try:
                report = train(options, TrainRun(specs, folder, resume=begun, overwrite=not begun, cpu=True))
            except TrainingError as error:
                if not error.message.startswith("the loss of step"):
                    raise
                write(folder / RESULT, json.dumps({"failed": error.message}).encode())
                return
            if report.stopped:
                raise click.Abort
        result = score(folder, coco, out)
    write(folder / RESULT, json.dumps(asdict(result), indent=1).encode())


@contextmanager
def architecture(build: Callable[[Shape], nn.Module] | None) -> Iterator[None]:
    """`focus-set` built another way; meanwhile there is the loss `restoring`, which fits no other network."""
    row = ARCHITECTURES["focus-set"]
    ARCHITECTURES["focus-set"] = replace(row, build=build or row.build)
    DECISION["restoring"] = variants.restoring
    try:
        yield
    finally:
        ARCHITECTURES["focus-set"] = row
        del DECISION["restoring"]


# --- scores


def held_out(kind: str, coco: Path, out: Path) -> Iterator[Case]:
    """The held-out samples of a kind."""
    for split in SPLITS:
        location = f"coco:{coco}:{split}" if kind == "paper" else str(built(kind, split, coco, out))
        yield from cases(location, out / "held-out" / f"{kind}-{split}")


def score(folder: Path, coco: Path, out: Path) -> Result:
    """What a trained network does on held-out pictures."""
    model = load_folder(folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = json.loads((folder / "training.json").read_text())
    restored = variants.restored if isinstance(model.body, variants.Restoring) else None
    paper, pairs, stacks = (
        [judged(model, case, restored) for case in held_out(kind, coco, out)] for kind in KINDS
    )
    dim, bright = (
        [judged(model, case.brighter(factor)) for case in held_out("paper", coco, out)]
        for factor in (0.7, 1.3)
    )
    return Result(
        weights=model.parameters_count,
        gflop=gflop(model),
        ms=milliseconds(model),
        steps=training["steps"],
        minutes=training["seconds"] / 60,
        paper=mean(paper, "selected"),
        paper_right=mean(paper, "right"),
        pairs=mean(pairs, "selected"),
        blend=mean(pairs, "blend"),
        stacks=mean(stacks, "selected"),
        stacks_right=mean(stacks, "right"),
        rim=mean(pairs, "rim_selected"),
        rim_blend=mean(pairs, "rim_blend"),
        dim=mean(dim, "right"),
        bright=mean(bright, "right"),
        restored=mean(pairs, "restored"),
        rim_restored=mean(pairs, "rim_restored"),
    )


# --- the table


def table(coco: Path, out: Path, steps: int) -> str:
    """Every experiment that is done, in Markdown, after the best choice of a frame for each pixel."""
    heads = [
        "differs in", "", "weights", "GFLOP", "ms", "pairs, dB", "right, %", "realistic, dB", "stacks, dB",
        "right, %", "rim, dB", "rim blended, dB", "0.7, %", "1.3, %",
    ]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    pairs, stacks = ([best_choice(case) for case in held_out(kind, coco, out)] for kind in KINDS[1:])
    best = [f"{mean(each, 'selected'):.2f}" for each in (pairs, stacks)]
    rim = f"{mean(pairs, 'rim_selected'):.2f}"
    lines.append(f"| | the best choice | | | | {' | '.join(['exact', '100', *best, '100', rim])} | | | |")
    return "\n".join([*lines, *rows(out / f"{steps}-steps")])


def rows(folder: Path) -> list[str]:
    """The rows of the experiments that are done."""
    files = {name: folder / name / RESULT for name in EXPERIMENTS}
    return [
        f"| {each.group} | {each.says} | {row(json.loads(files[name].read_text()))} |"
        for name, each in EXPERIMENTS.items()
        if files[name].exists()
    ]


def row(values: dict[str, float | str]) -> str:
    """What a row says after the experiment's name."""
    if "failed" in values:
        return f"{values['failed']}" + " |" * 11
    result = Result(**values)  # type: ignore[arg-type]
    rim = f"{result.rim_blend:.2f}" + (
        f" (restored: {result.rim_restored:.2f})" if result.rim_restored else ""
    )
    cells = [
        f"{result.weights:,}", f"{result.gflop:.2f}", f"{result.ms:.0f}", f"{result.paper:.2f}",
        f"{result.paper_right:.2%}", f"{result.pairs:.2f}", f"{result.stacks:.2f}",
        f"{result.stacks_right:.2%}", f"{result.rim:.2f}", rim, f"{result.dim:.2%}", f"{result.bright:.2%}",
    ]  # fmt: skip
    return " | ".join(cell.rstrip("%") for cell in cells)


def into(page: str, text: str) -> str:
    """A page with another table between its marks."""
    head, rest = page.split(MARKS[0])
    return f"{head}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


def chosen(names: tuple[str, ...]) -> list[str]:
    """The experiments that names or groups stand for; all without any."""
    unknown = set(names) - EXPERIMENTS.keys() - {each.group for each in EXPERIMENTS.values()}
    if unknown:
        known = ", ".join(dict.fromkeys([*EXPERIMENTS, *(each.group for each in EXPERIMENTS.values())]))
        raise click.UsageError(f"there is no experiment {', '.join(sorted(unknown))}; known: {known}")
    return [name for name, each in EXPERIMENTS.items() if not names or name in names or each.group in names]


@click.command()
@click.argument("names", nargs=-1)
@click.option("--coco", type=click.Path(exists=True, path_type=Path), required=True, help="COCO folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=600, show_default=True, help="Of each training.")
@click.option("--table", "only_table", is_flag=True, help="Only print the table of what is done.")
@click.option("--docs", is_flag=True, help="The same, and write it into docs/training.md.")
def main(names: tuple[str, ...], coco: Path, out: Path, steps: int, only_table: bool, docs: bool) -> None:
    """Run the experiments or groups NAMES, all without any, and print the table."""
    todo = chosen(names)
    if not (only_table or docs):
        torch.set_num_threads(1)
        for name in todo:
            if not (out / f"{steps}-steps" / name / RESULT).exists():
                click.echo(f"{name} …", err=True)
                run(name, coco, out, steps)
    text = table(coco, out, steps)
    click.echo(text)
    write(out / f"{steps}-steps" / "table.md", (text + "\n").encode())
    if docs:
        write(PAGE, into(PAGE.read_text("utf-8"), text).encode())


if __name__ == "__main__":
    main()
