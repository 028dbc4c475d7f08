"""The zoo's commands; `mfsynth` attaches them by name. Heavy imports stay inside the commands."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from mfsynth.console import FILE, FOLDER, LocalPath, Output, json_option, output_options, workers_option
from mfsynth.errors import MissingExtraError
from zoo.fusing.interface import Burst, Rule
from zoo.networks.shapes import MIN_SIDE
from zoo.store.registry import BEST

if TYPE_CHECKING:
    from zoo.alignment.canvas import Crop
    from zoo.backends.session import Backend
    from zoo.exporting.written import Format
    from zoo.graphs.builder import Precision
    from zoo.stacks.options import Exposure, Group
    from zoo.store.find import Origin
    from zoo.training.options import Kind, Render, Target
    from zoo.training.presets import Preset


class Size(click.ParamType[tuple[int, int]]):
    """Width and height in pixels, 16 or more each: 4000x3000, or 520 for a square."""

    name = "WIDTHxHEIGHT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Width and height."""
        width, _, height = str(value).partition("x")
        sides = (width, height or width)
        if not all(each.isascii() and each.isdigit() and int(each) >= MIN_SIDE for each in sides):
            self.fail(f"{value!r} is not such as 520 or 4000x3000; each side needs {MIN_SIDE} pixels or more")
        return int(sides[0]), int(sides[1])


PRESENT_FOLDER = LocalPath(exists=True, file_okay=False, path_type=Path)
PRESENT_FILE = LocalPath(exists=True, dir_okay=False, path_type=Path)


def need(extra: str, *packages: str) -> None:
    """Check that an extra is installed before anything is done.

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
  mfsynth fuse stack/*.tif -o fused.tif --align --preview page.html
  mfsynth fuse near.jpg far.jpg -o fused.png --model hf-seg --rule select
  mfsynth fuse --batch stacks -o fused --dry-run""",
)
@click.argument("frames", nargs=-1, type=LocalPath(path_type=Path))
@click.option("-o", "--output", type=LocalPath(path_type=Path), required=True,
              help="Picture to write (.png, .tif, .jpg, .webp); with --batch, folder to fill.")  # fmt: skip
@click.option("--model", default=BEST, show_default=True, help="A network's name, or its folder.")
@click.option(
    "--align", is_flag=True, help="Move the frames onto the first one: shift, scale, small rotation."
)
@click.option("--crop", type=click.Choice(["first", "common", "none"]), default="first", show_default=True,
              help="With --align: the result covers the first frame, what all show, "
              "or what any shows.")  # fmt: skip
@click.option("--exposure", type=click.Choice(["first", "median", "keep"]), default="first",
              show_default=True,
              help="Exposure of the result: the first frame's, the median frame's, "
              "or each frame's own.")  # fmt: skip
@click.option("--range", "span", type=(float, float), metavar="BLACK WHITE",
              help="Values that count as black and white.  [default: from the frames]")  # fmt: skip
@click.option("--linear", is_flag=True, help="RAW: keep linear light, with a profile that says so.")
@click.option("--strict", is_flag=True, help="Refuse a stack with a frame that does not belong, "
              "instead of leaving the frame out.")  # fmt: skip
@click.option("--raw-decision", is_flag=True, help="Keep the network's decision even where nothing is sharp.")
@click.option("--keep-hot-pixels", is_flag=True, help="Do not repair hot and dead pixels.")
@click.option("--rule", type=click.Choice(get_args(Rule)),
              help="How pixels are made. focus-set, HF-Seg: blend (default of focus-set), weighted (default "
              "of HF-Seg) or select; HF-Reg: direct (default) or nearest.")  # fmt: skip
@click.option("--burst", type=click.Choice(get_args(Burst)),
              help="How a network that compares two frames fuses more: each with each, one after the other, "
              "or neighbors first.  [default: joint up to eight frames, then tournament]")  # fmt: skip
@click.option(
    "--single-pass",
    is_flag=True,
    help="A network that compares two frames does so in one order only, in half the time.",
)
@click.option(
    "--decision-map", type=FILE, help="Also write which frame each pixel mostly came from, in gray."
)
@click.option("--depth-map", type=FILE, help="Also write a smooth depth map: 16-bit gray (.png, .tif) or "
              "colors (.jpg, .webp).")  # fmt: skip
@click.option(
    "--preview", type=FILE, help="Also write a page to flip between frames, result and maps (.html)."
)
@click.option("--batch", type=PRESENT_FOLDER, help="Fuse every stack in this folder.")
@click.option("--group", type=click.Choice(["name", "auto"]), default="name", show_default=True,
              help="With --batch: how loose pictures become stacks. auto cuts a camera's pictures into "
              "scenes by time and likeness.")  # fmt: skip
@click.option(
    "--suffix", metavar="SUFFIX", help="With --batch: results' format, such as .tif.  [default: the frames']"
)
@click.option("--dry-run", is_flag=True, help="With --batch: print the stacks, and stop.")
@click.option(
    "--tile",
    type=click.IntRange(min=16),
    help="Side of tiles in pixels, from 128 on for focus-set; smaller ones take less memory.  "
    "[default: to fit 1 GB]",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps, or auto.")
@click.option("--backend", type=click.Choice(["auto", "torch", "onnxruntime", "openvino"]), default="auto",
              show_default=True,
              help="What computes: auto takes, for each stack, the fastest that is installed.")  # fmt: skip
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Arithmetic of the network; with onnxruntime fp32 only, with OpenVINO fp32 or bf16.",
)
@click.option(
    "--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Quality of JPEG output."
)
@output_options
def fuse(
    frames: tuple[Path, ...],
    output: Path,
    model: str,
    align: bool,
    crop: Crop,
    exposure: Exposure,
    span: tuple[float, float] | None,
    strict: bool,
    raw_decision: bool,
    keep_hot_pixels: bool,
    rule: Rule | None,
    burst: Burst | None,
    single_pass: bool,
    decision_map: Path | None,
    depth_map: Path | None,
    preview: Path | None,
    batch: Path | None,
    group: Group,
    suffix: str | None,
    dry_run: bool,
    tile: int | None,
    device: str,
    backend: Backend | Literal["auto"],
    precision: str,
    quality: int,
    linear: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fuse pictures of one scene, focused at different distances, into one sharp picture."""
    need("fuse", "safetensors", "PIL", "tifffile")
    from zoo.loading import BackendChoice
    from zoo.stacks.batches.batch import plan_batch
    from zoo.stacks.options import BatchOptions, Extras, FuseOptions
    from zoo.stacks.request import FuseRequest, fuse_as_asked

    options = FuseOptions(
        rule, burst, not single_pass, tile, align, crop, exposure, raw_decision, not keep_hot_pixels, span,
        strict, quality, linear,
    )  # fmt: skip
    request = FuseRequest(
        frames,
        output,
        batch,
        Extras(decision_map, depth_map, preview),
        BatchOptions(group, suffix, dry_run),
        options,
    )
    console = Output(quiet, as_json)
    if batch and dry_run:
        found = plan_batch(batch, output, request.batched)
        console.show(found, always=True)
        console.fail(found.errors)
        return
    network = BackendChoice(model, backend, device=device, precision=precision, say=console.say)
    with console.share_bars() as progress:
        report = fuse_as_asked(
            network,
            request,
            done=lambda fused: console.result(fused.line()),
            say=console.say,
            progress=progress,
        )
    console.show(report)
    console.fail(report.errors)


# --- train --------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  mfsynth train focus-set --data shards --data coco:DIR:train2017 --out runs/set
  mfsynth train hf-seg --data coco:DIR:train2017:realistic --out runs/lens
  mfsynth train hf-reg --data shards --data more@2 --set lr=5e-4 --set model.width=32 --out runs/reg
  mfsynth train hf-seg --preset paper --show
  accelerate launch --num_processes 4 -m mfsynth train hf-seg --data shards --out runs/seg""",
)
@click.argument("network", type=click.Choice(["focus-set", "hf-seg", "hf-reg", "noisy-hf-reg"]))
@click.option("--data", multiple=True, metavar="SOURCE",
              help="coco:DIR:SPLIT or coco:DIR:SPLIT:PRESET, made from COCO during training, "
              "or shards: a folder or URL; @2 doubles its weight.")  # fmt: skip
@click.option("--validation", multiple=True, metavar="SOURCE",
              help="Data to validate on.  [default: one image in twenty of --data]")  # fmt: skip
@click.option("--out", type=FOLDER, help="Folder to make.")
@click.option("--preset", type=click.Choice(["base", "small", "fast", "paper"]),
              help="Settings to start from: for focus-set base (default) or small, for the others fast "
              "(default) or paper.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Override the preset: lr=1e-4, model.width=32; --show lists all.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), help="Short for --set steps=N.")
@click.option("--target", type=click.Choice(["nearest", "focus"]),
              help="What focus-set and HF-Seg learn to choose: the frame nearest to the truth, or the one in "
              "focus.  [default: nearest]")  # fmt: skip
@click.option("--aligned/--as-taken", default=None,
              help="Render frames without breathing, or with it.  [default: aligned]")  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=0), help="Loader processes.  [default: half the cores, 8 at most]"
)
@click.option("--cache", type=FOLDER,
              help="Keep shards that come from URLs in this folder, else in $MFSYNTH_CACHE.")  # fmt: skip
@click.option("--cache-size", metavar="SIZE",
              help="The most that this folder may hold, such as 50GB, else $MFSYNTH_CACHE_SIZE.  "
              "[default: no limit]")  # fmt: skip
@click.option("--render", type=click.Choice(["cpu", "device"]), default="cpu", show_default=True,
              help="Who renders crops: the loader processes, or the device that trains.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in --out.")
@click.option("--overwrite", is_flag=True, help="Replace another training run in --out.")
@click.option("--cpu", is_flag=True, help="Train on the CPU even if there is an accelerator.")
@click.option("--show", is_flag=True, help="Show every setting of what would run, and stop.")
@output_options
def train(
    network: Kind,
    data: tuple[str, ...],
    validation: tuple[str, ...],
    out: Path | None,
    preset: Preset | None,
    settings: tuple[str, ...],
    steps: int | None,
    target: Target | None,
    aligned: bool | None,
    workers: int | None,
    cache: Path | None,
    cache_size: str | None,
    render: Render,
    resume: bool,
    overwrite: bool,
    cpu: bool,
    show: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a network, from shards or straight from COCO: focus-set, or one of the paper's."""
    need("train", "torch", "safetensors", "accelerate", "tensorboard", "matplotlib")
    from zoo.training.heap import keep_freed_memory
    from zoo.training.request import TrainRequest, main_process, train_as_asked

    request = TrainRequest(
        network, data, out, validation, preset, settings, steps, workers, resume, overwrite, cpu,
        target, aligned, cache, cache_size, render,
    )  # fmt: skip
    if show:
        click.echo(json.dumps(request.to_json(), indent=2))
        return
    output = Output(quiet, as_json) if main_process() else Output(quiet=True)
    keep_freed_memory()
    with output.loss_bar() as progress:
        report = train_as_asked(request, say=output.say, progress=progress)
    output.show(report)
    sys.exit(130 if report.stopped else 0)


# --- evaluate -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Methods, separated by commas:
  focus-set, hf-seg, runs/try, org/name
                                 networks; +near, +weighted, +select or +blend: another rule;
                                 +single: one order of the frames
  gff, dct, dct+cv, im, cnn, pyramid, average, dummy-a, dummy-b
  hf-seg+denoise                 followed by OpenCV's non-local means
  gff+align                      the frames are first registered to frame 0
  hf-seg+prepared                as `mfsynth fuse` does it, with exposure, levels, and so on
  folder:NAME:DIR                pictures that others fused, by the pairs' names
  ours=runs/try+near             any of these under a name of your own
\b
Data:
  lytro:DIR   the Lytro set      shards:DIR   what `mfsynth build` made
  pairs:DIR   NAME_A, NAME_B and, where it is known, NAME_GT
  stacks:DIR  the same, with NAME_C and so on, up to NAME_Z
\b
Examples:
  mfsynth evaluate --methods focus-set,hf-seg,gff --data lytro:DIR --out results/lytro
  mfsynth evaluate --methods hf-seg,folder:theirs:DIR --data shards:val2017 --times --out results/coco""",
)
@click.option("--methods", multiple=True, required=True, metavar="METHOD,…", help="What to score; see below.")
@click.option("--data", required=True, metavar="KIND:DIR", help="Pairs or stacks to score on; see below.")
@click.option("--out", type=FOLDER, required=True, help="Folder to fill; a second run continues from there.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N pairs or stacks.")
@click.option("--no-swap", is_flag=True, help="Do not measure commutativity; halves the time.")
@click.option("--times", is_flag=True, help="Also time every method at 520², 260² and 130².")
@click.option("--shown", type=click.IntRange(1, 20), default=20, show_default=True,
              help="Pairs or stacks on the page and the contact sheet.")  # fmt: skip
@click.option("--against", type=PRESENT_FILE,
              help="JSON to rank among: {method: {measure: [a value for each pair]}}.")  # fmt: skip
@click.option(
    "--device", default="cpu", show_default=True, help="Device of the networks: cpu, cuda, mps, or auto."
)
@workers_option("Processes of one thread each; threads of --times.  [default: one per core]")
@output_options
def evaluate(
    methods: tuple[str, ...],
    data: str,
    out: Path,
    limit: int | None,
    no_swap: bool,
    times: bool,
    shown: int,
    against: Path | None,
    device: str,
    workers: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Score fusion methods on pairs or stacks: tables, rank tests, figures, times, a page to browse."""
    need("evaluate", "torch", "matplotlib", "PIL", "tifffile", "scipy")
    from mfsynth.engine import usable_cores
    from zoo.evaluation.evaluate import evaluate as run_evaluation
    from zoo.evaluation.options import EvaluateOptions

    output = Output(quiet, as_json)
    options = EvaluateOptions(
        methods, data, limit or 0, not no_swap, times, shown, against, device, workers or usable_cores()
    )
    with output.stage_bars() as progress:
        report = run_evaluation(options, out, say=output.say, progress=progress)
    output.show(report)
    output.fail(report.errors)


# --- zoo ----------------------------------------------------------------------------------------------


@click.group()
def zoo() -> None:
    """List, fetch, measure, export, check and publish networks."""


REVISION = click.option("--revision", help="Branch, tag or commit on the Hub.")
ORIGIN = click.option("--origin", type=click.Choice(["auto", "shipped", "hub"]), default="auto",
                      show_default=True, help="Where to take a short name's files from.")  # fmt: skip


@zoo.command("list")
@click.argument("pattern", default="*")
@json_option
def list_(pattern: str, as_json: bool) -> None:
    """List the networks that have a short name, or those that match a PATTERN such as "hf-*"."""
    from zoo.store.registry import listing

    Output(as_json=as_json).show(listing(pattern))


@zoo.command()
@click.argument("name")
@REVISION
@ORIGIN
@json_option
def info(name: str, revision: str | None, origin: Origin, as_json: bool) -> None:
    """Show what is known about a network: a short name, org/name on the Hub, or a folder."""
    need("fuse", "safetensors", "jinja2")
    from zoo.publishing.info import info as known_of

    Output(as_json=as_json).show(known_of(name, revision=revision, origin=origin))


@zoo.command()
@click.argument("name")
@click.option("-o", "--output", type=FOLDER, help="Folder to copy it to.  [default: the Hub client's cache]")
@REVISION
@ORIGIN
@json_option
def pull(name: str, output: Path | None, revision: str | None, origin: Origin, as_json: bool) -> None:
    """Fetch a network's files, check their hashes, and say where they are."""
    need("fuse", "safetensors")
    from zoo.store.find import pull_to

    Output(as_json=as_json).show(pull_to(name, output, revision=revision, origin=origin))


@zoo.command(
    epilog="""\b
Examples:
  mfsynth zoo export focus-set -o focus-set.onnx
  mfsynth zoo export focus-set -o focus-set.xml --format openvino --precision fp16""",
)
@click.argument("name")
@click.option("-o", "--output", type=FILE, required=True,
              help="File to write: .onnx, or .xml for OpenVINO, with a .bin beside it.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["onnx", "openvino"]), default="onnx", show_default=True,
              help="What the file is for.")  # fmt: skip
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), default="fp32", show_default=True,
              help="What weights are kept in; fp16 halves the file, int8 quarters it. Arithmetic is in "
              "fp32.")  # fmt: skip
@REVISION
@ORIGIN
@json_option
def export(
    name: str,
    output: Path,
    form: Format,
    precision: Precision,
    revision: str | None,
    origin: Origin,
    as_json: bool,
) -> None:
    """Write a network as a file for onnxruntime or OpenVINO, and check that it decides as torch's does."""
    need("fuse", "torch", "safetensors")
    need(form, "onnx", "onnxruntime" if form == "onnx" else "openvino")
    from zoo.exporting.export import export as write_exported

    told = write_exported(name, output, form=form, precision=precision, revision=revision, origin=origin)
    Output(as_json=as_json).show(told)


@zoo.command(
    epilog="""\b
Examples:
  mfsynth zoo bench focus-set
  mfsynth zoo bench focus-set hf-seg --size 4000x3000 --threads 8
  mfsynth zoo bench --json > costs.json""",
)
@click.argument("names", nargs=-1)
@click.option("--size", type=Size(), default="520x520", show_default=True, metavar="WIDTHxHEIGHT",
              help="Of the frames, in pixels.")  # fmt: skip
@click.option("--frames", type=click.IntRange(2, 255), default=2, show_default=True, help="How many.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: one per core]")
@click.option("--repeats", type=click.IntRange(min=1),
              help="Calls that count.  [default: 3 to 50, within three seconds]")  # fmt: skip
@click.option("--backend", "backends", type=click.Choice(["torch", "onnxruntime", "openvino"]),
              multiple=True, help="Only this one; repeatable.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Of torch: cpu, cuda, mps, or auto.")
@output_options
def bench(
    names: tuple[str, ...],
    size: tuple[int, int],
    frames: int,
    threads: int | None,
    repeats: int | None,
    backends: tuple[Backend, ...],
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure what networks cost on this machine, by each backend and precision.  [default: all short names]

    Times are medians of warm calls; memory is the most that a process had which does nothing else.
    """
    need("fuse", "safetensors", "PIL", "tifffile")
    from mfsynth.engine import usable_cores
    from zoo.benching.bench import Setup
    from zoo.benching.bench import bench as measure

    output = Output(quiet, as_json)
    width, height = size
    setup = Setup(height, width, frames, threads or usable_cores(), device, repeats)
    with output.bar("measuring", "case") as progress:
        report = measure(names, setup, backends, say=output.say, progress=progress)
    output.show(report)
    output.fail(report.errors)


@zoo.command()
@click.argument("names", nargs=-1)
@REVISION
@ORIGIN
@json_option
def verify(names: tuple[str, ...], revision: str | None, origin: Origin, as_json: bool) -> None:
    """Check networks: hashes of the files, strict loading, a known pair.  [default: all short names]"""
    need("fuse", "torch", "safetensors", "jinja2")
    from zoo.publishing.example import try_all

    output = Output(as_json=as_json)
    report = try_all(names, revision=revision, origin=origin)
    output.show(report)
    output.fail(report.errors)


@zoo.command()
@click.argument("network")
@click.option("--repo", required=True, help="user/name; created if needed.")
@click.option("--license", required=True, metavar="ID",
              help="License of the weights, as the Hub names it: apache-2.0, cc-by-nc-4.0, …")  # fmt: skip
@click.option("--private", is_flag=True, help="Make it private if it is created.")
@click.option("--revision", help="Branch; created if needed.  [default: main]")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead.")
@click.option("--tag", help="Tag for the commit.")
@click.option("--dry-run", is_flag=True, help="Show files and card; change nothing.")
@output_options
def push(
    network: str,
    repo: str,
    license: str,
    private: bool,
    revision: str | None,
    create_pr: bool,
    tag: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Publish a network's folder on the Hugging Face Hub, with a card filled from its own files."""
    need("fuse", "torch", "safetensors", "jinja2")
    from zoo.publishing.push import push as publish

    output = Output(quiet, as_json)
    with output.bar("sending", "file") as progress:
        report = publish(
            network,
            repo,
            license=license,
            private=private,
            revision=revision,
            create_pr=create_pr,
            tag=tag,
            dry_run=dry_run,
            progress=progress,
        )
    output.show(report)
