"""`mfsynth …`: parse, call one function, print. No logic; heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfsynth import __version__
from mfsynth.console import archive_bar, bar, print_report, say_unless, stage_bars, stop_on_terminate
from mfsynth.errors import MfsynthError, OptionsError

if TYPE_CHECKING:
    from mfsynth.coco.split import Masks
    from mfsynth.options import BuildOptions
    from mfsynth.shards.manifest import Manifest
    from mfsynth.shards.verify import Verification

LICENSES_HELP = """Keep only images under these COCO licences, by id, such as 4,5,7,8.
1 BY-NC-SA, 2 BY-NC, 3 BY-NC-ND, 4 BY, 5 BY-SA, 6 BY-ND, 7 no known copyright restrictions,
8 US government work. All but 3 and 6 allow derivatives, such as blurred frames;
4, 5, 7 and 8 allow commercial use, too."""

ZOO_COMMANDS = ("train", "fuse", "evaluate", "zoo")
RESUMED = ("build", "download", "publish", "evaluate", "zoo")
"""Commands that go on where they were interrupted."""

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Commands(click.Group):
    """Turns our errors into one line and an exit code: 1 for a failure, 2 for options that make no sense.

    The zoo's commands are part of it, by name: their module is imported when it is asked for.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return [*super().list_commands(ctx), *ZOO_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        if cmd_name not in ZOO_COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module("zoo.cli"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except OptionsError as error:
            fail(error, 2)
        except MfsynthError as error:
            fail(error, 1)
        except KeyboardInterrupt:
            again = "; run the same command again to go on" if ctx.invoked_subcommand in RESUMED else ""
            click.echo(f"\nmfsynth: interrupted{again}", err=True)
            sys.exit(130)


def fail(error: MfsynthError, code: int) -> None:
    """Print an error and leave."""
    click.echo(f"mfsynth: {error}", err=True)
    sys.exit(code)


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers separated by commas."""

    name = "ID,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse the option's text."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(sorted({int(word) for word in str(value).split(",")}))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 4,5,7", param, ctx)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  mfsynth build --split demo                        no data needed: scenes are drawn
  mfsynth build --split val2017 --shards 64         downloads val2017 if it is nowhere
  mfsynth verify val2017
  mfsynth preview val2017 -o sheet.png""",
)
@click.version_option(__version__, package_name="mfsynth", message="mfsynth %(version)s")
def main() -> None:
    """Multi-focus image pairs with perfect ground truth, from COCO's panoptic masks."""


# --- build --------------------------------------------------------------------------------------------

CONTENT = (
    "split", "masks", "seed", "variants", "sigma", "noise", "store", "format", "min_area", "licenses",
    "images", "limit", "shards",
)  # fmt: skip


@main.command(
    epilog="""\b
Examples:
  mfsynth build --split val2017 --shards 64
  mfsynth build --split train2017 --coco ~/coco --store recipe --variants 4
  mfsynth build --split val2017 --noise 0 0.1 --licenses 4,5,7,8 --out noisy
  mfsynth build --from published/manifest.json --coco ~/coco --out again""",
)
@click.option("--split", help="A split's name; val2017 and train2017 are official, demo is drawn.")
@click.option("--coco", type=DIRECTORY, help="COCO folder, else $MFSYNTH_COCO, else the user's cache.")
@click.option("--out", type=DIRECTORY, help="Folder to make.  [default: ./SPLIT]")
@click.option("--shards", type=int, help="Number of shards.  [default: one for each 1,000 samples]")
@click.option("--seed", type=int, help="Seed of every draw.  [default: 0]")
@click.option("--variants", type=int, help="Samples per image.  [default: 1]")
@click.option("--sigma", type=float, nargs=2, metavar="LO HI", help="Blur in pixels.  [default: 1 5]")
@click.option(
    "--noise", type=float, nargs=2, metavar="LO HI",
    help="Standard deviation in units of full range, one per sample.  [default: off]",
)  # fmt: skip
@click.option(
    "--store", type=click.Choice(["pairs", "recipe"]),
    help="Rendered frames, or recipes that are rendered on reading.  [default: pairs]",
)  # fmt: skip
@click.option(
    "--format", type=click.Choice(["png", "jpeg"]),
    help="Of the frames; jpeg is quality 95, 4:4:4.  [default: png]",
)  # fmt: skip
@click.option(
    "--masks", type=click.Choice(["panoptic", "instances"]), help="Annotations to use.  [default: panoptic]"
)
@click.option(
    "--min-area", type=float, help="Fraction that each frame keeps in focus, at most 1/3.  [default: 0.02]"
)
@click.option("--licenses", type=Numbers(), help=LICENSES_HELP)
@click.option("--images", type=FILE, help="File of image ids to take, one a line, or with ! to leave.")
@click.option("--limit", type=int, help="Only the first N images by id, after the filters.")
@click.option(
    "--from", "like", metavar="MANIFEST",
    help="Make the data set of this manifest again: all that decides content is taken from it.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: all usable cores]")
@click.option("--overwrite", is_flag=True, help="Replace another data set in the folder.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be used.")
@click.option("--yes", is_flag=True, help="Download more than 3 GB without asking.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, how large, from which files.")
@click.option("--quiet", is_flag=True, help="No progress, no last line.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
@click.pass_context
def build(ctx: click.Context, /, **given: Any) -> None:
    """Build a data set of multi-focus pairs, or finish one that was interrupted."""
    from mfsynth.building.run import Run
    from mfsynth.building.run import build as build_data_set

    stop_on_terminate()
    like, options = content_options(ctx, given)
    quiet = given["quiet"] or given["as_json"]
    out = given["out"] or Path(options.split)
    if given["dry_run"]:
        dry_run(options, like, out, given)
        return
    coco = find_coco(given["coco"], options.split, options.masks, yes=given["yes"], quiet=quiet)
    with bar("building", "sample", quiet) as progress:
        run = Run(
            coco, out, given["workers"] or 0, given["overwrite"], given["strict"], say_unless(quiet), progress
        )
        report = build_data_set(options, run, like)
    print_report(report.to_json(), report.lines(), given)


def dry_run(options: BuildOptions, like: Manifest | None, out: Path, given: dict[str, Any]) -> None:
    """Tell what a build would make, or what it would download first."""
    from mfsynth import storage
    from mfsynth.building.estimate import estimate
    from mfsynth.coco.resolve import download_size

    missing = download_size(given["coco"], options.split, options.masks, cache=storage.cache_folder())
    if missing:
        text = f"would download {missing / 1e9:.1f} GB of {options.split} first; what it makes is known then"
        print_report({"split": options.split, "download_bytes": missing}, [text], given)
        return
    quiet = given["quiet"] or given["as_json"]
    coco = find_coco(given["coco"], options.split, options.masks, yes=False, quiet=quiet)
    expected = estimate(options, coco, say_unless(quiet), like=like, strict=given["strict"])
    print_report(expected.to_json(), expected.lines(coco, out), given)


def content_options(ctx: click.Context, given: dict[str, Any]) -> tuple[Manifest | None, BuildOptions]:
    """The manifest to follow, if any, and the options that decide content."""
    from mfsynth.options import BuildOptions, Selection
    from mfsynth.shards.manifest import Manifest

    named = [name for name in CONTENT if given[name] is not None]
    if given["like"]:
        if named:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in named)
            raise click.UsageError(f"--from sets all that decides content; leave {flags} away", ctx)
        manifest = Manifest.read(given["like"])
        return manifest, BuildOptions.from_json(manifest.options)
    if not given["split"]:
        raise click.UsageError("give --split, such as --split val2017, or --split demo", ctx)
    values = {name: given[name] for name in named}
    if "images" in values:
        values["images"] = Selection.read(values["images"])
    return None, BuildOptions(**values)


# --- download, verify, preview, stats, publish --------------------------------------------------------


@main.command(epilog="\b\nExamples:\n  mfsynth download --split val2017 --coco ~/coco")
@click.option("--split", required=True, help="val2017 or train2017; demo is drawn.")
@click.option("--coco", type=DIRECTORY, help="Folder to fill, else $MFSYNTH_COCO, else the user's cache.")
@click.option("--masks", type=click.Choice(["panoptic", "instances"]), default="panoptic", show_default=True)
@click.option("--base-url", help="Server or mirror, else $MFSYNTH_COCO_URL, else COCO's own.")
@click.option("--quiet", is_flag=True, help="No progress, no last line.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def download(split: str, coco: Path | None, masks: Masks, base_url: str | None, **given: Any) -> None:
    """Fetch COCO's official archives; a broken transfer is resumed, everything is checked.

    The archives are read as they are, there is no need to extract them.
    """
    from mfsynth.coco.resolve import fetch

    stop_on_terminate()
    with archive_bar(given["quiet"] or given["as_json"]) as progress:
        paths = fetch(split, coco, masks, base_url, progress)
    lines = [f"{path}  {path.stat().st_size / 1e6:.1f} MB" for path in paths]
    print_report({"files": [str(path) for path in paths]}, lines, given)


@main.command(
    epilog="\b\nExamples:\n  mfsynth verify val2017\n  mfsynth verify val2017 --repair --coco ~/coco"
)
@click.argument("out")
@click.option("--samples", type=click.IntRange(min=0), default=16, show_default=True,
              help="How many samples to render again.")  # fmt: skip
@click.option("--seed", type=int, help="Choose these samples by this seed.  [default: another each time]")
@click.option("--repair", is_flag=True, help="Make the bad shards again, and only these.")
@click.option("--coco", type=DIRECTORY, help="For --repair: COCO folder, as for build.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: all usable cores]")
@click.option("--quiet", is_flag=True, help="No progress, problems alone.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def verify(
    out: str,
    samples: int,
    seed: int | None,
    repair: bool,
    coco: Path | None,
    workers: int | None,
    **given: Any,
) -> None:
    """Check a data set against its manifest, draw every recipe again, and render some samples.

    Exit code 1 if anything is wrong.
    """
    from mfsynth.shards import verify as checks
    from mfsynth.shards.manifest import Manifest

    stop_on_terminate()
    quiet = given["quiet"] or given["as_json"]
    folder = checks.local_folder(out)

    def check() -> Verification:
        with bar("verifying", "sample", quiet) as progress:
            return checks.verify(
                out,
                samples=samples,
                seed=seed,
                workers=workers or 0,
                say=say_unless(quiet),
                progress=progress,
            )

    result = check()
    if repair and result.bad_shards:
        for line in result.problem_lines():
            say_unless(quiet)(line)
        repair_shards(Manifest.read(out), folder, result, coco, workers or 0, quiet)
        result = check().after(result)
    print_report(result.to_json(), result.lines(folder), given, always=bool(result.problems))
    sys.exit(1 if result.problems else 0)


def repair_shards(
    manifest: Manifest, out: Path, result: Verification, coco: Path | None, workers: int, quiet: bool
) -> None:
    """Make the shards with problems again."""
    from mfsynth.building.repair import repair
    from mfsynth.building.run import Run
    from mfsynth.options import BuildOptions

    options = BuildOptions.from_json(manifest.options)
    folder = find_coco(coco, options.split, options.masks, yes=False, quiet=quiet)
    with bar("repairing", "sample", quiet) as progress:
        run = Run(folder, out, workers, say=say_unless(quiet), progress=progress)
        made = repair(manifest, result.bad_shards, run)
    say_unless(quiet)(f"made {made} of {result.shards} shards again")


@main.command(
    epilog="""\b
Examples:
  mfsynth preview val2017 -o sheet.png
  mfsynth preview val2017 -o page.html -n 24""",
)
@click.argument("out")
@click.option("-o", "--output", type=FILE, required=True, help="sheet.png, or page.html.")
@click.option(
    "-n", "--samples", type=click.IntRange(1, 200), help="How many samples.  [default: 6, page: 12]"
)
@click.option("--seed", type=int, help="Choose them at random by this seed.  [default: spread evenly]")
def preview(out: str, output: Path, samples: int | None, seed: int | None) -> None:
    """Show samples: a contact sheet (PNG) or a self-contained page (HTML) to flip through."""
    from mfsynth.preview.samples import preview as show

    show(out, output, samples=samples, seed=seed)
    click.echo(f"{output}  {output.stat().st_size / 1e6:.1f} MB")


@main.command(epilog="\b\nExamples:\n  mfsynth stats val2017\n  mfsynth stats val2017 -o stats.png --json")
@click.argument("out")
@click.option("-o", "--output", type=FILE, help="Also draw the distributions to this PNG.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def stats(out: str, output: Path | None, **given: Any) -> None:
    """Tell how sigma, in-focus area, segments, noise and image size are distributed."""
    from mfsynth.preview.histograms import check_output, draw
    from mfsynth.preview.stats import collect

    if output is not None:
        check_output(output)
    with bar("reading", "sample", given["quiet"] or given["as_json"]) as progress:
        table = collect(out, progress)
    if output is not None:
        draw(table, output)
    print_report(table.to_json(), table.lines(), given | {"quiet": False})


@main.command(
    epilog="""\b
Examples:
  mfsynth publish val2017 --repo you/val2017-pairs --dry-run
  mfsynth publish val2017 --repo you/val2017-pairs --private --tag v1""",
)
@click.argument("out", type=DIRECTORY)
@click.option("--repo", required=True, help="user/name; made if need be.")
@click.option("--private", is_flag=True, help="Make it private, if it is made.")
@click.option("--revision", help="Branch; made if need be.  [default: main]")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead.")
@click.option("--tag", help="To put on the commit.")
@click.option("--accept-licenses", is_flag=True, help="""Publish pictures whose licences forbid derivatives or
commercial use, or are unknown, though the build did not choose them by --licenses.""")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show files, licences and card, and touch nothing.")
@click.option("--quiet", is_flag=True, help="No progress, no last lines.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def publish(out: Path, repo: str, quiet: bool, as_json: bool, **given: Any) -> None:
    """Publish a finished data set on the Hugging Face Hub, and compare what arrived with its manifest.

    A card, a Croissant file and a table of every picture's licence go along.
    """
    from mfsynth.publish.run import PublishOptions
    from mfsynth.publish.run import publish as publish_data_set

    stop_on_terminate()
    with stage_bars(quiet or as_json) as progress:
        report = publish_data_set(PublishOptions(out, repo, **given), say_unless(quiet or as_json), progress)
    print_report(report.to_json(), report.lines(), {"quiet": quiet, "as_json": as_json})


def find_coco(given: Path | None, split: str, masks: Masks, *, yes: bool, quiet: bool) -> Path:
    """The COCO folder with a split, downloaded or drawn if need be."""
    from mfsynth import storage
    from mfsynth.coco.resolve import coco_folder

    def approve(size: int) -> bool:
        question = f"{split} is a download of {size / 1e9:.1f} GB. Go on?"
        return yes or (sys.stdin.isatty() and click.confirm(question, err=True))

    with archive_bar(quiet) as progress:
        return coco_folder(
            given,
            split,
            masks,
            cache=storage.cache_folder(),
            approve=approve,
            say=say_unless(quiet),
            progress=progress,
        )


if __name__ == "__main__":
    main()
