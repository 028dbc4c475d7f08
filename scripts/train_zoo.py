"""Train the networks of the zoo, choose among trained ones, and put one into the package.

    python scripts/train_zoo.py train focus-set --coco ../shared/coco --background   # hours; again: goes on
    python scripts/train_zoo.py snapshot runs/focus-set runs/so-far                  # while it runs
    python scripts/train_zoo.py compare runs/focus-set runs/focus-set-1 --coco ../shared/coco
    python scripts/train_zoo.py ship focus-set runs/focus-set                        # into zoo/weights

The training data is train2017, extra and bsds; val2017 and real pairs are not used. Shards of focus stacks
are built from it first, into the folder `data` beside the networks' folders.

All but cnn go on from the weights that the package ships when their training begins, so what
comes of it depends on the release. training.json and the card keep the SHA-256 of those weights: the release
that has it in zoo/store/registry.toml gives the same again.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import numpy as np

from mfsynth.errors import MfsynthError
from mfsynth.locks import locked
from mfsynth.storage import digest
from zoo.store.files import FILES, WEIGHTS, copy_folder
from zoo.store.find import find
from zoo.store.folder import load_folder
from zoo.store.registry import REGISTRY, SHIPPED, lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.networks import Network
    from zoo.training.crops import Crop
    from zoo.training.options import Kind, TrainOptions
    from zoo.training.presets import Preset

SPLITS = ("train2017", "extra", "bsds")
STACKS = (
    "--preset=realistic", "--frames=6", "--variants=4", "--store=recipe", "--shards=4", "--quiet",
)  # fmt: skip
PAIRS_WEIGHT = 4
"""How often a pair of the paper comes, relative to a stack: a split has four stacks of each picture."""
AGAIN = ("start={name}", "ema=0.999")
"""Settings of a training that goes on from the weights that the package ships, other ones in each release."""

NEAR_EDGES = ("pairs=12", "crop=96", "reversals=false", "windows=4")
"""Small crops in place of reversals: nearly all errors are near the focus map's edges."""


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Attributes:
        kind: What `mfsynth train` calls it.
        steps: Number of steps.
        settings: What differs from the preset.
        preset: The preset; None takes the kind's first.
        stacks: Whether it learns from focus stacks with real optics, too.
    """

    kind: Kind
    steps: int
    settings: tuple[str, ...] = ()
    preset: Preset | None = None
    stacks: bool = False


PLANS = {
    "focus-set": Plan("focus-set", 28_500, (*AGAIN, "lr=3e-3"), stacks=True),
    "focus-set-small": Plan("focus-set", 28_500, (*AGAIN, "lr=3e-3"), preset="small", stacks=True),
    "hf-seg": Plan("hf-seg", 6500, (*AGAIN, *NEAR_EDGES, "lr=1.5e-3", "loss=cross-entropy-by-stakes")),
    "hf-reg": Plan("hf-reg", 17_000, (*AGAIN, *NEAR_EDGES, "lr=1.5e-3")),
    "noisy-hf-reg": Plan("noisy-hf-reg", 17_000, (*AGAIN, *NEAR_EDGES, "lr=1.5e-3")),
    "cnn": Plan(
        "hf-seg",
        8500,
        (
            "model.architecture=siamese",
            "model.width=64",
            "model.depth=1",
            "model.upsampling=bilinear",
            "crop=64",
            "unequal=0",
            "unbalanced=0",
        ),
    ),
}
"""More than half an hour each, on one core; networks for sets take one and a half to three hours."""

COCO = click.option("--coco", type=click.Path(exists=True, path_type=Path), required=True)
FOLDER = click.Path(file_okay=False, path_type=Path)
RUNS = click.option(
    "--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Folder of trainings and shards."
)


@click.group()
def main() -> None:
    """Train and ship the zoo's networks."""


@main.command()
@click.argument("name", type=click.Choice(list(PLANS)))
@COCO
@RUNS
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another seed: into RUNS/NAME-SEED.")
@click.option("--steps", type=click.IntRange(min=1), help="[default: as for the weights of the package]")
@click.option("--background", is_flag=True, help="Return at once; RUNS/NAME.log tells how it goes.")
def train(name: str, coco: Path, runs: Path, seed: int, steps: int | None, background: bool) -> None:
    """Run `mfsynth train` as for the weights that the package ships, or go on with it."""
    out = runs / (f"{name}-{seed}" if seed else name)
    if (out / WEIGHTS).is_file():
        click.echo(f"the training in {out} is finished")
        return
    if background:
        with locked(out, "training"):
            pass
        again = [word for word in sys.argv if word != "--background"]
        click.echo(in_background(again, Path(f"{out}.log")))
        return
    plan = PLANS[name]
    if plan.stacks:
        build_stacks(coco, runs)
    sources = [f"--data={source}" for source in data(plan, coco, runs)]
    run("train", plan.kind, *sources, *words(plan, name, seed, steps), *going_on(out), f"--out={out}")


def data(plan: Plan, coco: Path, runs: Path) -> list[str]:
    """The sources that a network learns from, as `mfsynth train` takes them."""
    live = [f"coco:{coco}:{split}" for split in SPLITS]
    if not plan.stacks:
        return live
    return [str(stacks_of(split, runs)) for split in SPLITS] + [f"{each}@{PAIRS_WEIGHT}" for each in live]


def stacks_of(split: str, runs: Path) -> Path:
    """The folder of a split's stacks."""
    return runs / "data" / f"{split}-stacks"


def build_stacks(coco: Path, runs: Path) -> None:
    """Build the stacks of all splits, or what is missing of them."""
    for split in SPLITS:
        run("build", f"--coco={coco}", f"--split={split}", *STACKS, f"--out={stacks_of(split, runs)}")


def words(plan: Plan, name: str, seed: int, steps: int | None) -> list[str]:
    """The options of `mfsynth train`; one loader, so that a run can go on on any machine."""
    settings = [setting.format(name=name) for setting in plan.settings]
    settings += [f"seed={seed}"] if seed else []
    preset = [f"--preset={plan.preset}"] if plan.preset else []
    return [*preset, *(f"--set={each}" for each in settings), f"--steps={steps or plan.steps}", "--workers=1"]


def going_on(out: Path) -> list[str]:
    """How to go on with a training, if there is one: from its checkpoint, or anew if it has none yet."""
    if any((out / "checkpoints").glob("step-*")):
        return ["--resume"]
    return ["--overwrite"] if (out / "log.csv").is_file() else []


def run(*words: str) -> None:
    """Run a command of mfsynth; if it fails, end with its exit code. Ctrl-C is left to it: it saves."""
    signal.signal(signal.SIGINT, lambda *_: None)  # unlike SIG_IGN, the command does not inherit this
    code = subprocess.run([sys.executable, "-m", "mfsynth.cli", *words]).returncode
    if code:
        sys.exit(code)


def in_background(words: Sequence[str], log: Path) -> str:
    """Start this script so that it outlives the terminal; say where to look."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        started = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return f"started as process {started.pid}; it writes to {log}; to stop it: kill -INT -{started.pid}"


@main.command()
@click.argument("training", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=FOLDER)
def snapshot(training: Path, out: Path) -> None:
    """Write the weights of a TRAINING that is still running to a network's folder OUT."""
    from zoo.training.unfinished import snapshot as write

    click.echo(f"{out}: after {write(training, out):,} steps")


@main.command()
@click.argument("networks", nargs=-1, required=True)
@COCO
@RUNS
@click.option("--samples", type=click.IntRange(min=2), default=64, show_default=True)
def compare(networks: tuple[str, ...], coco: Path, runs: Path, samples: int) -> None:
    """Score NETWORKS on held-out crops, and say which is best: folders, short names, or running trainings.

    Networks for sets are scored on stacks, too, unless another network is among them.
    """
    models = {name: opened(name) for name in networks}
    options, crops = held_out(common_plan([*models.values()]), coco, runs, samples)
    scores = {name: score(model, crops, options) for name, model in models.items()}
    for line in table(scores, [*crops]):
        click.echo(line)


def common_plan(models: Sequence[Network]) -> Plan:
    """The plan whose held-out pictures all of these networks can fuse."""
    tasks = {each.config.task for each in models}
    if len(tasks) > 1:
        raise click.UsageError("some of these decide and some predict the picture: compare them apart")
    if tasks == {"reg"}:
        return PLANS["hf-reg"]
    return PLANS["focus-set" if all(each.config.sets for each in models) else "hf-seg"]


def opened(name: str) -> Network:
    """A network by its folder or short name; of a training that still runs, what it has learned so far."""
    if (Path(name) / "checkpoints").is_dir() and not (Path(name) / WEIGHTS).is_file():
        from zoo.training.unfinished import snapshot as write

        with TemporaryDirectory() as folder:
            write(Path(name), Path(folder))
            return load_folder(Path(folder))
    found = find(name)
    return load_folder(found.folder, found.hashes)


def held_out(plan: Plan, coco: Path, runs: Path, samples: int) -> tuple[TrainOptions, dict[str, list[Crop]]]:
    """Crops of what a plan's training holds out, by kind, and the options that they are made by."""
    from zoo.training.presets import preset
    from zoo.training.sources import SourceSpec, open_source
    from zoo.training.validation import validation_crops

    if plan.stacks:
        build_stacks(coco, runs)
    options = preset(plan.kind)
    specs = map(SourceSpec.parse, data(plan, coco, runs))
    return options, validation_crops([open_source(each, 0, holding=True) for each in specs], options, samples)


def score(model: Network, crops: dict[str, list[Crop]], options: TrainOptions) -> NDArray[np.float64]:
    """Kinds x crops x 2: PSNR of the fused picture in dB, and the share of right decisions."""
    from zoo.training.validation import validate

    own = replace(options, model=model.config, frames=options.frames if model.config.sets else (2, 2))
    scores = [[validate(model, [crop], own)[0] for crop in each] for each in crops.values()]
    return np.array([[(each.psnr, each.accuracy) for each in row] for row in scores])


def table(scores: dict[str, NDArray[np.float64]], kinds: Sequence[str]) -> list[str]:
    """The scores as lines, best first: by the mean PSNR over kinds, and how far each is behind the best.

    The error of that distance is its standard error over scenes, of which all networks see the same.
    """
    scenes = {name: each[..., 0].mean(0) for name, each in scores.items()}
    ranked = sorted(scores, key=lambda name: -scenes[name].mean())
    lines = [f"{'':<24}" + "".join(f"{kind:>18}" for kind in [*kinds, "mean", "behind"])]
    for name in ranked:
        cells = [f"{psnr:.2f} dB {share:.2%}" for psnr, share in scores[name].mean(1)]
        gap = scenes[ranked[0]] - scenes[name]
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        cells += [f"{scenes[name].mean():.2f} dB", f"{gap.mean():.2f} ± {error:.2f} dB"]
        lines.append(f"{name:<24}" + "".join(f"{cell:>18}" for cell in cells))
    return lines


@main.command()
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--summary", help="What it does, in one line; for a name that is new to the registry.")
def ship(name: str, folder: Path, summary: str | None) -> None:
    """Put a trained network's files into the package, under a short name."""
    text = REGISTRY.read_text("utf-8")
    if summary is None:
        lookup(name)
    else:
        text = with_row(text, name, summary)
    load_folder(folder)
    hashes = {each: digest(folder / each) for each in FILES if (folder / each).is_file()}
    shipped = copy_folder(folder, SHIPPED / name, hashes)
    REGISTRY.write_text(with_hashes(text, name, hashes), "utf-8")
    click.echo(f"{shipped}: {', '.join(hashes)}")


def with_row(text: str, name: str, summary: str) -> str:
    """The registry's text with a network of this name and summary, which may be there already."""
    start = f"[models.{name}]\n"
    if start not in text:
        return f'{text}\n{start}summary = "{summary}"\nrepository = "{name}"\n'
    head, _, rest = text.partition(start)
    return head + start + re.sub("summary = .*", lambda _: f'summary = "{summary}"', rest, count=1)


def with_hashes(text: str, name: str, hashes: dict[str, str]) -> str:
    """The registry's text with a network's new hashes and without its commit, which stood for other files."""
    head, start, rest = text.partition(f"[models.{name}]\n")
    body, following, tail = re.match(r"(.*?)(\n\[|\Z)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    kept = [line for line in body.splitlines() if line and not line.startswith(("files.", "commit"))]
    lines = [*kept, *(f'files."{each}" = "{value}"' for each, value in hashes.items())]
    return head + start + "\n".join(lines) + "\n" + following + tail


if __name__ == "__main__":
    try:
        main()
    except MfsynthError as error:
        sys.exit(f"train_zoo: {error}")
