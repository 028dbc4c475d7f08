"""`mfsynth …`: parse, call one function, print its report. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mfsynth.console import (
    FILE,
    FOLDER,
    FOLDER_OR_URL,
    Commands,
    Output,
    coco_option,
    engine_options,
    json_option,
    listen_to_signals,
    log_printable,
    output_options,
    quiet_option,
    workers_option,
)
from mfsynth.errors import LicenseError, OptionsError
from mfsynth.flags import content_flags
from mfsynth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.coco.split import Masks
    from mfsynth.engine import EngineName
    from mfsynth.options import Preset

PLATFORMS = ("linux", "darwin")
RESUMED = ("build", "merge", "download", "publish", "evaluate", "zoo")
"""Commands that continue where they were interrupted."""


def _of_zoo(name: str) -> Callable[[], click.Command]:
    """A command of the zoo, by its name; its module is imported when the command is called."""

    def command() -> click.Command:
        found: click.Command = getattr(import_module("zoo.cli"), name)
        return found

    return command


ZOO_COMMANDS = {name: _of_zoo(name) for name in ("train", "fuse", "evaluate", "zoo")}


@click.group(
    cls=Commands,
    lazy=ZOO_COMMANDS,
    resumed=RESUMED,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  mfsynth build --split demo                        no data needed: scenes are drawn
  mfsynth build --split val2017 --shards 64         downloads val2017 if it is not there
  mfsynth verify out/val2017
  mfsynth preview out/val2017 -o sheet.png""",
)
@click.version_option(__version__, package_name="mfsynth", message="mfsynth %(version)s")
def main() -> None:
    """Multi-focus image pairs with perfect ground truth, from COCO's panoptic masks."""
    if sys.platform not in PLATFORMS:
        raise OptionsError(f"mfsynth runs on Linux and macOS, not on {sys.platform}", "on Windows, use WSL")
    listen_to_signals()
    log_printable()


# --- build --------------------------------------------------------------------------------------------


@main.command(
    epilog="""\b
Examples:
  mfsynth build --split val2017 --shards 64
  mfsynth build --split train2017 --coco ~/coco --store recipe --variants 4
  mfsynth build --split val2017 --noise 0 0.1 --licenses 4,5,7,8 --out noisy
  mfsynth build --split val2017 --preset realistic --frames 6 --out stacks
  mfsynth build --preset realistic --kernel polygon --show
  mfsynth build --from published/manifest.json --coco ~/coco --out again
  mfsynth build --split val2017 --shards 64 --out s3://bucket/val2017
  mfsynth build --split val2017 --shards 64 --shard-range 0:16      a part; mfsynth merge seals all
  mfsynth build --split val2017 --shards 64 --engine ray --ray-address 10.0.0.1:6379""",
)
@click.option("--split", help="Name of the split; val2017 and train2017 are official, demo is drawn.")
@coco_option()
@click.option("--out", type=FOLDER_OR_URL,
              help="Folder to make, or its URL in an object store.  [default: out/SPLIT]")  # fmt: skip
@click.option("--shards", type=int, default=0, help="Number of shards.  [default: one per 1,000 samples]")
@content_flags
@click.option("--from", "like", metavar="MANIFEST",
              help="Rebuild this manifest's data set; it sets everything that decides content.")  # fmt: skip
@click.option("--shard-range", "part", metavar="A:B",
              help="Only the shards from A (included) to B (excluded), counted from 0. Several jobs may each "
              "make a part in the same folder at once; mfsynth merge then seals the data set.")  # fmt: skip
@workers_option("Processes.  [default: all usable cores, or the cluster's]")
@engine_options
@click.option("--overwrite", is_flag=True, help="Replace another data set in the folder.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be used.")
@click.option("--yes", is_flag=True, help="Download more than 3 GB without asking.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be made, its size, and from which files; make nothing."
)
@click.option("--show", is_flag=True, help="Show what the preset sets and the build's options; make nothing.")
@output_options
@click.pass_context
def build(
    ctx: click.Context,
    /,
    split: str | None,
    coco: Path | str | None,
    out: Path | str | None,
    images: Path | None,
    preset: Preset,
    depth: Path | None,
    depth_far_is_large: bool,
    like: str | None,
    part: str | None,
    workers: int | None,
    engine: EngineName,
    ray_address: str | None,
    overwrite: bool,
    strict: bool,
    yes: bool,
    dry_run: bool,
    show: bool,
    quiet: bool,
    as_json: bool,
    **_content: object,
) -> None:
    """Build a data set of multi-focus pairs or a part of it, or finish one that was interrupted."""
    from mfsynth.building.make import CocoLookup, Request, content_of, foresee, make
    from mfsynth.building.ranges import ShardRange
    from mfsynth.options import Selection, Shown, with_preset

    output, manifest = Output(quiet, as_json), None
    shards = ShardRange.parse(part) if part is not None else None
    if shards and dry_run:
        raise click.UsageError("--dry-run shows the whole data set; omit --shard-range", ctx)
    if like is not None:
        refuse_content(ctx)
        if show:
            raise click.UsageError("--from leaves no options to show; mfsynth info shows the manifest's", ctx)
        options, manifest = content_of(like)
    elif depth_far_is_large and not depth:
        raise click.UsageError("--depth-far-is-large needs --depth DIR", ctx)
    elif split is None and not show:
        raise click.UsageError("give --split, such as --split val2017, or --split demo", ctx)
    else:
        own = ("split", "preset", "depth_far_is_large")
        given = {name: ctx.params[name] for name in given_content(ctx) if name not in own}
        given |= {"depth": "far" if depth_far_is_large else "near"} if depth else {}
        given |= {"images": Selection.read(images)} if images else {}
        options = with_preset(preset, split or "SPLIT", given)
        if show:
            output.show(Shown(preset, frozenset(given), options), always=True)
            return
    with output.archive_bars() as downloading, output.bar("building", "sample") as progress:
        lookup = CocoLookup(coco, approval(yes), output.say, downloading, depth)
        request = Request(
            options, lookup, out=out, like=manifest, workers=workers or 0, overwrite=overwrite,
            strict=strict, say=output.say, progress=progress, part=shards, engine=engine,
            ray_address=ray_address,
        )  # fmt: skip
        report = foresee(request) if dry_run else make(request)
    output.show(report)


CONTENT = (
    "split", "masks", "seed", "variants", "sigma", "noise", "store", "format", "min_area", "licenses",
    "images", "limit", "shards", "orientation", "preset", "frames", "planes", "order", "depth_far_is_large",
    "kernel", "radius", "boundary", "fill", "light", "noise_model", "capture", "breathing", "min_sharpness",
)  # fmt: skip
"""Options of `build` that decide content; --depth names a folder, and may be given with --from."""


def given_content(ctx: click.Context) -> list[str]:
    """Names of the options on the command line that decide content."""
    return [name for name in CONTENT if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def refuse_content(ctx: click.Context) -> None:
    """Refuse options that a manifest sets."""
    named = given_content(ctx)
    if named:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in named)
        raise click.UsageError(f"--from sets everything that decides content; omit {flags}", ctx)


def approval(yes: bool) -> Callable[[str, int], bool]:
    """A function that asks before a large download; without a terminal it declines."""

    def approve(split: str, size: int) -> bool:
        question = f"{split} is a download of {size / 1e9:.1f} GB. Continue?"
        return yes or (sys.stdin.isatty() and click.confirm(question, err=True))

    return approve


@main.command(epilog="\b\nExamples:\n  mfsynth merge out/val2017\n  mfsynth merge s3://bucket/val2017")
@click.argument("out", type=FOLDER_OR_URL)
@workers_option()
@output_options
def merge(out: Path | str, workers: int | None, quiet: bool, as_json: bool) -> None:
    """Seal a data set that was built in parts, with build --shard-range.

    Every shard is read and compared with what was recorded when it was made. The result is what one build
    makes, byte for byte. If shards are missing, or were made from other options, data or package versions
    than the others, they are named, and nothing changes.
    """
    from mfsynth.building.merge import merge as merge_parts

    output = Output(quiet, as_json)
    with output.bar("checking", "shard") as progress:
        report = merge_parts(out, workers=workers or 0, say=output.say, progress=progress)
    output.show(report)


# --- download, verify, info, preview, stats, publish --------------------------------------------------


@main.command(epilog="\b\nExamples:\n  mfsynth download --split val2017 --coco ~/coco")
@click.option("--split", required=True, help="val2017 or train2017; demo is drawn.")
@coco_option("Folder to fill, else $MFSYNTH_COCO, else the user's cache.", FOLDER)
@click.option("--masks", type=click.Choice(["panoptic", "instances"]), default="panoptic", show_default=True)
@click.option("--base-url", help="Server or mirror, else $MFSYNTH_COCO_URL, else COCO's own.")
@output_options
def download(
    split: str, coco: Path | None, masks: Masks, base_url: str | None, quiet: bool, as_json: bool
) -> None:
    """Download COCO's official archives; an interrupted download is resumed, and everything is checked.

    The archives are read as they are; there is no need to extract them.
    """
    from mfsynth.coco.official.resolve import fetch

    output = Output(quiet, as_json)
    with output.archive_bars() as progress:
        fetched = fetch(split, coco, masks, base_url, progress)
    output.show(fetched)


@main.command(
    epilog="""\b
Examples:
  mfsynth verify out/val2017
  mfsynth verify out/val2017 --repair --coco ~/coco
  mfsynth verify s3://bucket/val2017"""
)
@click.argument("out")
@click.option("--samples", type=click.IntRange(min=0), default=16, show_default=True,
              help="How many samples to render again.")  # fmt: skip
@click.option("--seed", type=int, help="Seed that chooses these samples.  [default: a new one each time]")
@click.option("--repair", is_flag=True, help="Rebuild the bad shards, and no others.")
@coco_option("COCO folder for --repair, as for build.")
@click.option(
    "--depth", type=FOLDER, help="Folder of depth maps for --repair, if the data set was made from them."
)
@workers_option("Processes.  [default: all usable cores, or the cluster's]")
@engine_options
@quiet_option("No progress, problems only.")
@json_option
def verify(
    out: str,
    samples: int,
    seed: int | None,
    repair: bool,
    coco: Path | str | None,
    depth: Path | None,
    workers: int | None,
    engine: EngineName,
    ray_address: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check a data set against its manifest, draw every recipe again, and render some samples.

    Exit code 1 if anything is wrong.
    """
    from mfsynth.building.make import CocoLookup, verify_and_repair

    output = Output(quiet, as_json)
    with output.archive_bars() as downloading, output.stage_bars("sample") as progress:
        lookup = CocoLookup(coco, say=output.say, progress=downloading, depth_maps=depth) if repair else None
        result = verify_and_repair(
            out, lookup, samples=samples, seed=seed, workers=workers or 0, engine=engine,
            ray_address=ray_address, say=output.say, progress=progress,
        )  # fmt: skip
    output.show(result, always=not result.ok)
    sys.exit(0 if result.ok else 1)


@main.command(
    epilog="\b\nExamples:\n  mfsynth info out/val2017\n  mfsynth info hf://datasets/you/pairs --json"
)
@click.argument("out")
@json_option
def info(out: str, as_json: bool) -> None:
    """Show what a data set contains: its size, options, licenses, and the images left out."""
    from mfsynth.preview.info import info as read_info

    Output(as_json=as_json).show(read_info(out))


@main.command(
    epilog="""\b
Examples:
  mfsynth preview out/val2017 -o sheet.png
  mfsynth preview out/val2017 -o page.html -n 24""",
)
@click.argument("out")
@click.option("-o", "--output", "picture", type=FILE, required=True, help="sheet.png, or page.html.")
@click.option(
    "-n", "--samples", type=click.IntRange(1, 200), help="How many samples.  [default: 6, page: 12]"
)
@click.option("--seed", type=int, help="Seed that chooses them at random.  [default: spread evenly]")
@output_options
def preview(
    out: str, picture: Path, samples: int | None, seed: int | None, quiet: bool, as_json: bool
) -> None:
    """Show samples: a contact sheet (PNG) or a self-contained page (HTML) to flip through."""
    from mfsynth.preview.samples import preview as show

    Output(quiet, as_json).show(show(out, picture, samples=samples, seed=seed))


@main.command(
    epilog="\b\nExamples:\n  mfsynth stats out/val2017\n  mfsynth stats out/val2017 -o stats.png --json"
)
@click.argument("out")
@click.option("-o", "--output", "picture", type=FILE, help="Also draw the distributions to this PNG.")
@quiet_option("No progress.")
@json_option
def stats(out: str, picture: Path | None, quiet: bool, as_json: bool) -> None:
    """Show how blur, in-focus area, segments, noise and image size are distributed."""
    from mfsynth.preview.distributions import distributions

    output = Output(quiet, as_json)
    with output.bar("reading", "sample") as progress:
        table = distributions(out, picture, progress)
    output.show(table, always=True)


@main.command(
    epilog="""\b
Examples:
  mfsynth publish out/val2017 --repo you/val2017-pairs --dry-run
  mfsynth publish out/val2017 --repo you/val2017-pairs --private --tag v1""",
)
@click.argument("out")
@click.option("--repo", required=True, help="user/name; created if needed.")
@click.option("--private", is_flag=True, help="Make it private if it is created.")
@click.option("--revision", help="Branch; created if needed.  [default: main]")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead.")
@click.option("--tag", help="Tag for the commit.")
@click.option("--accept-licenses", is_flag=True, help="""Publish pictures whose licenses forbid derivatives or
commercial use, or are unknown, even if the build did not choose them with --licenses.""")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="""Show files, licenses and card; change nothing. Exit code 1
if it would be refused.""")  # fmt: skip
@output_options
def publish(
    out: str,
    repo: str,
    private: bool,
    revision: str | None,
    create_pr: bool,
    tag: str | None,
    accept_licenses: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Publish a finished data set on the Hugging Face Hub, and compare what arrived with its manifest.

    It gets a card, a Croissant file and a table of every picture's license.
    """
    from mfsynth.publish.run import PublishOptions
    from mfsynth.publish.run import publish as publish_data_set

    output = Output(quiet, as_json)
    options = PublishOptions(out, repo, private, revision, create_pr, tag, accept_licenses, dry_run)
    with output.stage_bars() as progress:
        report = publish_data_set(options, output.say, progress)
    output.show(report)
    if report.refused:
        raise LicenseError(f"would be refused: {report.refused}")


if __name__ == "__main__":
    main()
