"""The zoo's commands; `mfsynth` attaches them by name. Heavy imports stay inside the commands."""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfsynth.console import bar, print_report, say_unless
from mfsynth.errors import MfsynthError, MissingExtraError, OptionsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.networks import Network
    from zoo.store.find import Origin
    from zoo.training.options import TrainOptions
    from zoo.training.run import TrainReport

FOLDER = click.Path(file_okay=False, path_type=Path)
PRESENT = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def need(extra: str, *packages: str) -> None:
    """Check that an extra is installed, before anything is done.

    Raises:
        MissingExtraError: If a package of it is not.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra)


# --- fuse ---------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  mfsynth fuse near.jpg far.jpg -o fused.png
  mfsynth fuse stack/*.tif -o fused.tif --align --decision-map map.png
  mfsynth fuse near.jpg far.jpg -o fused.png --model runs/try --rule select
  mfsynth fuse --batch stacks -o fused""",
)
@click.argument("frames", nargs=-1, type=FILE)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="Picture to write (.png, .tif, .jpg, .webp); with --batch, folder to fill.")  # fmt: skip
@click.option("--model", default="hf-seg", show_default=True, help="A network's name, or its folder.")
@click.option(
    "--batch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Fuse every stack in this folder.",
)
@click.option("--align", is_flag=True, help="Register every frame to the first.")
@click.option("--decision-map", type=FILE, help="Also write which frame each pixel came from.")
@click.option("--rule", type=click.Choice(["weighted", "select", "direct", "nearest"]),
              help="HF-Seg: weighted or select; HF-Reg: direct or nearest.  [the first]")  # fmt: skip
@click.option("--burst", type=click.Choice(["joint", "fold"]), default="joint", show_default=True,
              help="More than two frames: all together, or one after the other.")  # fmt: skip
@click.option("--single-pass", is_flag=True, help="One order of the frames only: half the time.")
@click.option("--tile", type=click.IntRange(min=16), help="Side of tiles in pixels.  [default: about 1 GB]")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps, or auto.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG output.")
@click.option("--quiet", is_flag=True, help="No progress, no last line.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def fuse(frames: tuple[Path, ...], output: Path, batch: Path | None, **given: Any) -> None:
    """Fuse pictures of one scene, focused at different planes, into one sharp picture."""
    need("zoo", "torch", "safetensors", "PIL")
    from zoo.fusing.stacks import FuseOptions, fuse_files, fuse_folder

    if batch is None and len(frames) < 2:
        raise OptionsError(f"{len(frames)} frames are given", "give two or more, or --batch FOLDER")
    if batch is not None and (frames or given["decision_map"]):
        raise OptionsError("--batch takes neither frames nor --decision-map", "give one or the other")
    check_paths(frames, batch, output, given["decision_map"])
    quiet, say = given["quiet"] or given["as_json"], say_unless(given["quiet"])
    names = ("rule", "burst", "tile", "align", "quality")
    options = FuseOptions(symmetric=not given["single_pass"], **{name: given[name] for name in names})
    model = load_model(given["model"], given["device"], given["precision"])
    check_rule(model, options.rule, given["decision_map"])
    errors: dict[str, str] = {}
    if batch is None:
        done = [fuse_files(model, frames, output, options, decision_map=given["decision_map"], say=say)]
    else:
        with bar("fusing", "stack", quiet) as progress:
            done, errors = fuse_folder(model, batch, output, options, say=say, progress=progress)
    if given["as_json"]:
        click.echo(json.dumps({"fused": [each.to_json() for each in done], "errors": errors}, indent=1))
    elif not given["quiet"]:
        click.echo("\n".join(each.line() for each in done))
    for name, text in errors.items():
        click.echo(f"mfsynth: {name}: {text}", err=True)
    if errors:
        sys.exit(1)


def check_paths(frames: Sequence[Path], batch: Path | None, output: Path, decision_map: Path | None) -> None:
    """Check that no picture would be overwritten by another."""
    if batch is not None and output.resolve() == batch.resolve():
        raise OptionsError(f"results would lie among the frames in {batch}", "give another folder with -o")
    written = [path.resolve() for path in (output, decision_map) if path is not None]
    if len(set(written)) < len(written) or set(written) & {frame.resolve() for frame in frames}:
        raise OptionsError("one picture would overwrite another", "give -o and --decision-map other names")


def load_model(name: str, device: str, precision: str) -> Network:
    """A network where it is to run, in the precision it is to run in.

    Raises:
        ZooError: If there is no such network or device, or the network's files are broken.
    """
    import torch

    from zoo.pretrained import load

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return load(name, device=device, dtype=dtype)


def check_rule(model: Network, rule: str | None, decision_map: Path | None) -> None:
    """Check before the work that the network has the rule, and decides if a map is wanted."""
    from zoo.fusing.fusion import RULES

    rules = RULES[model.config.task]
    if rule is not None and rule not in rules:
        raise OptionsError(f"this network has no rule {rule}", f"it has {' and '.join(rules)}")
    if decision_map is not None and (rule or rules[0]) == "direct":
        raise OptionsError("this network chooses no frames, there is no decision map", "take --rule nearest")


# --- train --------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  mfsynth train hf-seg --data coco:../coco:train2017 --out runs/seg
  mfsynth train hf-reg --data shards --data more@2 --set lr=5e-4 --set model.width=32 --out runs/reg
  mfsynth train hf-seg --preset paper --show
  accelerate launch --num_processes 4 -m mfsynth.cli train hf-seg --data shards --out runs/seg""",
)
@click.argument("network", type=click.Choice(["hf-seg", "hf-reg", "noisy-hf-reg"]))
@click.option("--data", multiple=True, metavar="SOURCE",
              help="coco:DIR:SPLIT, or shards' folder or URL; @2 at its end doubles its weight.")  # fmt: skip
@click.option("--validation", multiple=True, metavar="SOURCE",
              help="Data to validate on.  [default: one image in twenty of --data]")  # fmt: skip
@click.option("--out", type=FOLDER, help="Folder to make.")
@click.option("--preset", type=click.Choice(["fast", "paper"]), default="fast", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Override the preset: lr=1e-4, model.width=32; --show lists all.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), help="Short for --set steps=N.")
@click.option(
    "--workers", type=click.IntRange(min=0), help="Loader processes.  [default: half the cores, 8 at most]"
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--overwrite", is_flag=True, help="Replace another training in --out.")
@click.option("--cpu", is_flag=True, help="Train on the CPU even where there is an accelerator.")
@click.option("--show", is_flag=True, help="Print every number of what would run, and stop.")
@click.option("--quiet", is_flag=True, help="No progress, no last line.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def train(network: str, out: Path | None, **given: Any) -> None:
    """Train one of the paper's networks, from shards or straight from COCO."""
    need("train", "torch", "safetensors", "accelerate", "tensorboard", "matplotlib")
    options = train_options(network, given)
    workers = default_workers() if given["workers"] is None else given["workers"]
    if given["show"]:
        rest = {name: list(given[name]) for name in ("data", "validation")} | {"workers": workers}
        click.echo(json.dumps(options.to_json() | rest, indent=2))
        return
    from zoo.training.loop import train as run_training
    from zoo.training.run import TrainRun
    from zoo.training.sources import SourceSpec

    if out is None or not given["data"]:
        raise OptionsError("--data and --out are needed", "see mfsynth train --help")
    quiet = given["quiet"] or given["as_json"]
    with loss_bar(quiet) as progress:
        run = TrainRun(
            data=tuple(map(SourceSpec.parse, given["data"])),
            out=out,
            validation=tuple(map(SourceSpec.parse, given["validation"])),
            workers=workers,
            resume=given["resume"],
            overwrite=given["overwrite"],
            cpu=given["cpu"],
            command=train_command(network, given),
            say=say_unless(quiet or not main_process()),
            progress=progress,
        )
        report = run_training(options, run)
    if main_process():
        print_training(report, out, given)
    sys.exit(130 if report.stopped else 0)


def train_options(network: str, given: dict[str, Any]) -> TrainOptions:
    """The preset's options with what was overridden."""
    from zoo.training.presets import preset

    settings = {}
    for text in given["settings"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionsError(f"--set {text} gives no value", "write NAME=VALUE")
        settings[name.strip()] = value.strip()
    if given["steps"]:
        settings["steps"] = str(given["steps"])
    return preset(network, given["preset"]).override(settings)  # type: ignore[arg-type]  # click checked both


def train_command(network: str, given: dict[str, Any]) -> str:
    """The command as others would give it: without folders of this machine."""
    from zoo.training.sources import SourceSpec

    words = [f"mfsynth train {network}"]
    for name in ("data", "validation"):
        words += [f"--{name} {SourceSpec.parse(text)}" for text in given[name]]
    words += [f"--preset {given['preset']}", *(f"--set {text}" for text in given["settings"])]
    if given["steps"]:
        words.append(f"--steps {given['steps']}")
    return " ".join([*words, f"--out {network}"])


def default_workers() -> int:
    """Half the cores that this process may use, 1 to 8."""
    from mfsynth.engine import usable_cores

    return min(8, max(1, usable_cores() // 2))


def main_process() -> bool:
    """Whether this is the first of the processes that torchrun or accelerate started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def print_training(report: TrainReport, out: Path, given: dict[str, Any]) -> None:
    """Say what a training did."""
    if given["as_json"]:
        click.echo(json.dumps(report.to_json(), indent=1))
    elif not given["quiet"]:
        click.echo("\n".join(report.lines(out)))


class loss_bar:  # noqa: N801 - used as a context, like mfsynth.cli's bar
    """A progress bar that also shows the loss; only the first process of several shows one."""

    def __init__(self, quiet: bool) -> None:
        from tqdm import tqdm

        off = True if quiet or not main_process() else None
        self.line = tqdm(desc="training", unit="step", disable=off, leave=False)

    def __enter__(self) -> Any:
        return self

    def __call__(self, done: int, total: int, loss: float) -> None:
        """Steps done and to do, and the loss."""
        self.line.total = total
        self.line.set_postfix(loss=f"{loss:.4f}", refresh=False)
        self.line.update(done - self.line.n)

    def __exit__(self, *_: object) -> None:
        self.line.close()


# --- evaluate -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Methods, commas between them:
  hf-seg, runs/try, org/name     networks; +near or +select: another rule; +single: one order of the frames
  gff, dct, dct+cv, im, cnn, pyramid, average, dummy-a, dummy-b
  hf-seg+denoise                 followed by OpenCV's non-local means
  folder:NAME:DIR                pictures that others fused, by the pairs' names
  ours=runs/try+near             any of these under another name
\b
Data:
  lytro:DIR   the Lytro set      shards:DIR   what `mfsynth build` made
  pairs:DIR   NAME_A, NAME_B and, where it is known, NAME_GT
\b
Examples:
  mfsynth evaluate --methods hf-seg,hf-reg+near,gff --data lytro:../lytro --out results/lytro
  mfsynth evaluate --methods hf-seg,folder:theirs:DIR --data shards:val2017 --times --out results/coco""",
)
@click.option("--methods", multiple=True, required=True, metavar="METHOD,…", help="What to score; see below.")
@click.option("--data", required=True, metavar="KIND:DIR", help="Pairs to score on; see below.")
@click.option("--out", type=FOLDER, required=True, help="Folder to fill; a second run goes on from there.")
@click.option("--limit", type=click.IntRange(min=1), help="Take the first pairs alone.")
@click.option("--no-swap", is_flag=True, help="Do not measure commutativity: half the time.")
@click.option("--times", is_flag=True, help="Also time every method at 520², 260² and 130².")
@click.option("--shown", type=click.IntRange(1, 20), default=20, show_default=True,
              help="Pairs on the page and the contact sheet.")  # fmt: skip
@click.option("--against", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="JSON to rank among: {method: {measure: [a value for each pair]}}.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Of networks: cpu, cuda, mps, or auto.")
@click.option("--workers", type=click.IntRange(min=1),
              help="Processes of one thread; threads of --times.  [default: one a core]")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress, no last lines.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def evaluate(methods: tuple[str, ...], data: str, out: Path, **given: Any) -> None:
    """Score fusion methods over pairs: tables, rank tests, figures, times, and a page to look at."""
    need("evaluate", "torch", "matplotlib", "PIL", "scikit_posthocs")
    from mfsynth.console import stage_bars
    from mfsynth.engine import usable_cores
    from zoo.evaluation.evaluate import EvaluateOptions
    from zoo.evaluation.evaluate import evaluate as run_evaluation

    quiet = given["quiet"] or given["as_json"]
    options = EvaluateOptions(
        methods=methods,
        data=data,
        limit=given["limit"] or 0,
        swap=not given["no_swap"],
        workers=given["workers"] or usable_cores(),
        command=evaluate_command(methods, data, out, given),
        **{name: given[name] for name in ("times", "shown", "against", "device")},
    )
    with stage_bars(quiet) as progress:
        report = run_evaluation(options, out, say=say_unless(quiet), progress=progress)
    print_report(report.to_json(), report.lines(out), given)
    for name, text in report.errors.items():
        click.echo(f"mfsynth: {name}: {text}", err=True)
    if report.errors:
        sys.exit(1)


def evaluate_command(methods: Sequence[str], data: str, out: Path, given: dict[str, Any]) -> str:
    """The command as others would give it: without folders of this machine."""
    kind, _, place = data.partition(":")
    words = ["mfsynth", "evaluate", "--methods", ",".join(map(without_folders, methods))]
    words += ["--data", f"{kind}:{Path(place).name}"]
    words += [word for name in ("limit",) if given[name] for word in (f"--{name}", str(given[name]))]
    words += [f"--{name.replace('_', '-')}" for name in ("no_swap", "times") if given[name]]
    words += ["--shown", str(given["shown"])] if given["shown"] != 20 else []
    words += ["--device", given["device"]] if given["device"] != "cpu" else []
    words += ["--against", given["against"].name] if given["against"] else []
    return shlex.join([*words, "--out", out.name])


def without_folders(methods: str) -> str:
    """Methods' texts with the last name of every folder alone."""
    words = []
    for text in methods.split(","):
        head, colon, folder = text.rpartition(":") if text.startswith("folder:") else ("", "", text)
        name, equals, base = folder.rpartition("=")
        short = Path(base).name if Path(base).is_dir() else base
        words.append(f"{head}{colon}{name}{equals}{short}")
    return ",".join(words)


# --- zoo ----------------------------------------------------------------------------------------------


@click.group()
def zoo() -> None:
    """List, fetch, check and publish networks."""
    need("zoo", "torch", "safetensors", "jinja2")


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
REVISION = click.option("--revision", help="Branch, tag or commit on the Hub.")
ORIGIN = click.option("--origin", type=click.Choice(["auto", "shipped", "hub"]), default="auto",
                      show_default=True, help="Of a short name's files.")  # fmt: skip


@zoo.command("list")
@click.argument("pattern", default="*")
@AS_JSON
def list_(pattern: str, as_json: bool) -> None:
    """List the networks that have a short name, or those that match a PATTERN such as "hf-*"."""
    from zoo.store.registry import entry, names

    known = [entry(name) for name in names(pattern)]
    if as_json:
        rows = [
            {
                "name": each.name,
                "summary": each.summary,
                "repository": each.repository,
                "commit": each.commit,
                "shipped": each.shipped is not None,
            }
            for each in known
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for each in known:
        places = ["shipped"] if each.shipped else []
        places += [f"{each.repository}@{each.commit[:10]}"] if each.commit else []
        click.echo(f"{each.name:<16} {each.summary}  [{', '.join(places) or 'not published yet'}]")


@zoo.command()
@click.argument("name")
@REVISION
@ORIGIN
@AS_JSON
def info(name: str, revision: str | None, origin: Origin, as_json: bool) -> None:
    """Say what is known of a network: a short name, org/name on the Hub, or a folder."""
    from zoo.publishing.info import info as known_of

    known = known_of(name, revision=revision, origin=origin)
    click.echo(json.dumps(known.to_json(), indent=1) if as_json else "\n".join(known.lines()))


@zoo.command()
@click.argument("name")
@click.option("-o", "--output", type=FOLDER, help="Folder to copy it to.  [default: the Hub client's cache]")
@REVISION
@ORIGIN
@AS_JSON
def pull(name: str, output: Path | None, revision: str | None, origin: Origin, as_json: bool) -> None:
    """Fetch a network's files, check their hashes, and say where they are."""
    from zoo.store.find import find
    from zoo.store.folder import copy_folder

    if output is not None and output.exists() and any(output.iterdir()):
        raise OptionsError(f"{output} is not empty", "give another folder with -o")
    found = find(name, revision=revision, origin=origin)
    folder = copy_folder(found.folder, output, found.hashes) if output else found.folder
    report = {"folder": str(folder), "origin": found.origin}
    click.echo(json.dumps(report, indent=1) if as_json else f"{folder} ({found.origin})")


@zoo.command()
@click.argument("names", nargs=-1)
@REVISION
@ORIGIN
@AS_JSON
def verify(names: tuple[str, ...], revision: str | None, origin: Origin, as_json: bool) -> None:
    """Check networks: files' hashes, strict loading, a known pair fused.  [default: all short names]"""
    from zoo.publishing.example import try_out
    from zoo.store.registry import names as known

    done, errors = [], {}
    for name in names or known():
        try:
            done.append(try_out(name, revision=revision, origin=origin))
        except MfsynthError as error:
            errors[name] = str(error)
    if as_json:
        click.echo(json.dumps({"verified": [each.to_json() for each in done], "errors": errors}, indent=1))
    else:
        click.echo("\n".join(each.line() for each in done))
    for name, text in errors.items():
        click.echo(f"mfsynth: {name}: {text}", err=True)
    if errors:
        sys.exit(1)


@zoo.command()
@click.argument("network")
@click.option("--repo", required=True, help="user/name; made if need be.")
@click.option("--private", is_flag=True, help="Make it private, if it is made.")
@click.option("--revision", help="Branch; made if need be.  [default: main]")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead.")
@click.option("--tag", help="To put on the commit.")
@click.option("--dry-run", is_flag=True, help="Show files and card, and touch nothing.")
@click.option("--quiet", is_flag=True, help="No progress, no last lines.")
@AS_JSON
def push(network: str, repo: str, quiet: bool, as_json: bool, **given: Any) -> None:
    """Publish a network's folder on the Hugging Face Hub, with a card that its own files fill."""
    from zoo.publishing.push import push as publish

    with bar("sending", "file", quiet or as_json) as progress:
        report = publish(network, repo, progress=progress, **given)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    elif not quiet:
        click.echo("\n".join(report.lines()))


COMMANDS: Sequence[click.Command] = (fuse, train, evaluate, zoo)
