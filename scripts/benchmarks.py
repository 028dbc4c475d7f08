"""The benchmarks of docs/benchmarks.md: built, scored with every method, and put into docs/results.md.

    python scripts/benchmarks.py --coco ../shared/coco               # all of it, into results/
    python scripts/benchmarks.py --coco ../shared/coco --docs        # and docs/results/, the docs' tables
    python scripts/benchmarks.py --coco ../shared/coco --docs --networks hf-seg   # rows of others stay
    python scripts/benchmarks.py --coco ../shared/coco --limit 2     # a trial
    python scripts/benchmarks.py --coco ../shared/coco --estimate    # how long every method would take
    python scripts/benchmarks.py --coco ../shared/coco --choose      # the lists in docs/benchmarks/
    python scripts/benchmarks.py --render                            # the tables, from docs/results/

Every step is a command of `mfsynth`, printed before it runs. Whatever an earlier run left and is still true
is kept, so that a run that was stopped goes on.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
from reproduce_tables import PAGE, chosen_networks, fill, merged, mfsynth_command, of_networks

import mfsynth
from mfsynth.console import duration
from mfsynth.storage import digest, write
from zoo.evaluation.data import open_data
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.methods import parse_methods
from zoo.evaluation.options import EvaluateOptions, evaluate_command
from zoo.evaluation.tables import line, markdown_of, means_csv_of, scores_of
from zoo.metrics.measures import QUALITY

NETWORKS = "focus-set,focus-set-small,hf-seg,hf-reg,hf-reg+near,noisy-hf-reg"
CLASSICS = "gff,dct,dct+cv,im,cnn,pyramid,average,dummy-a,dummy-b"
DOCS = Path(__file__).parents[1] / "docs"
LISTS = DOCS / "benchmarks"
SEED = "2017"
STACKS = 25
_EVERY = 30.0  # seconds between two lines of progress
_DIGITS = 6  # of a value in docs/results/


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A data set that anyone can build, and what is scored on it.

    Attributes:
        name: Its folder's.
        images: The list of its images, in docs/benchmarks/.
        options: Of `mfsynth build`, besides those that all benchmarks have.
        methods: As `mfsynth evaluate` takes them.
    """

    name: str
    images: str
    options: tuple[str, ...]
    methods: str

    def build_words(self, coco: str, data: str) -> list[str]:
        """The command that builds it, without the program."""
        return [
            "build", "--coco", coco, "--split", "val2017", "--images", f"docs/benchmarks/{self.images}.txt",
            "--preset", "realistic", *self.options, "--seed", SEED, "--shards", "1", "--out", data,
        ]  # fmt: skip


def aligned(methods: str) -> str:
    """Every method with its frames registered first."""
    return ",".join(f"{method}+align" for method in methods.split(","))


BENCHMARKS = (
    Benchmark("hard", "hard", (), f"{NETWORKS},hf-seg+select,{CLASSICS}"),
    Benchmark(
        "stacks-clean",
        "stacks",
        ("--frames", "6", "--breathing", "0", "--capture", "clean"),
        "focus-set,focus-set-small,hf-seg,gff,dct,dct+cv,pyramid,average",
    ),
    Benchmark("stacks", "stacks", ("--frames", "6", "--breathing", "0"), f"{NETWORKS},{CLASSICS}"),
    Benchmark(
        "stacks-breathing",
        "stacks",
        ("--frames", "6", "--breathing", "1.5"),
        f"{aligned(f'{NETWORKS},{CLASSICS}')},gff,pyramid,average",
    ),
)  # fmt: skip
"""In the order of the docs."""


@click.command()
@click.option("--coco", type=click.Path(exists=True, path_type=Path), help="COCO folder.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/benchmarks"), show_default=True)
@click.option("--only", type=click.Choice([each.name for each in BENCHMARKS]), multiple=True,
              help="Only this benchmark; may be given more than once.")  # fmt: skip
@click.option("--methods", help="Only these methods, as `mfsynth evaluate` takes them.")
@click.option(
    "--networks", default="", metavar="NAME,…", help="Score only the rows of these; others stay as they are."
)
@click.option("--limit", type=click.IntRange(min=1), help="Score only the first N stacks: for trials.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--estimate", is_flag=True, help="Time every method on one stack, and score nothing.")
@click.option("--docs", is_flag=True, help="Also write docs/results/ and the tables of the docs.")
@click.option("--render", is_flag=True, help="Only write the tables of the docs, from docs/results/.")
@click.option("--choose", is_flag=True, help="Only write the lists of images in docs/benchmarks/.")
def main(
    coco: Path | None,
    out: Path,
    only: tuple[str, ...],
    methods: str | None,
    networks: str,
    limit: int | None,
    workers: int,
    estimate: bool,
    docs: bool,
    render: bool,
    choose: bool,
) -> None:
    """Build and score the benchmarks."""
    if docs and (limit or methods or only or estimate):
        raise click.UsageError("--docs needs everything; omit --limit, --methods, --only and --estimate")
    chosen = [each for each in BENCHMARKS if not only or each.name in only]
    if render:
        render_docs(chosen)
        return
    if coco is None:
        raise click.UsageError("give --coco, the folder of COCO's pictures and masks")
    if choose:
        choose_images(coco, out)
        return
    whole, again = True, chosen_networks(networks)
    for each in chosen:
        data = out / "data" / each.name
        mfsynth_command(*each.build_words(str(coco), str(data)), "--quiet")
        scored = methods or of_networks(each.methods, again)
        if not scored:
            continue
        given = EvaluateOptions(
            (scored,),
            f"shards:{data}",
            limit or 0,
            swap=False,
            shown=10,
            workers=workers,
        )
        if estimate:
            print_estimate(each.name, given)
        else:
            whole &= score(given, out / each.name)
    if docs and not whole:
        click.echo("the docs stay as they are, since stacks were left out", err=True)
    elif docs:
        write_docs(chosen, out, again)
    sys.exit(0 if whole else 1)


def score(options: EvaluateOptions, out: Path) -> bool:
    """Evaluate, with a line of progress now and then; whether no stack was left out."""
    click.echo(f"$ {evaluate_command(options, out)} --workers {options.workers}")
    report = evaluate(options, out, say=click.echo, progress=progress_lines())
    for text in report.lines():
        click.echo(text)
    for name, reason in report.errors.items():
        click.echo(f"left out: {name}: {reason}", err=True)
    return not report.errors


def progress_lines() -> Callable[[str, int, int], None]:
    """A function that is told of progress, and prints a line every half a minute."""
    began: dict[str, float] = {}
    told = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        began.setdefault(stage, now)
        if now - told < _EVERY:
            return
        told = now
        spent = now - began[stage]
        left = f", {duration(spent / done * (total - done))} to go" if done else ""
        click.echo(f"  {stage}: {done:,} of {total:,} in {duration(spent)}{left}")

    return progress


def print_estimate(name: str, options: EvaluateOptions) -> None:
    """Time every method on the first stack, with one thread as in a worker, and say what all would take."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = open_data(options.data)
    stack, stacks = data.load(data.names[0]), len(data.names[: options.limit or None])
    small, total = [frame[:64, :64] for frame in stack.frames], 0.0
    for method in parse_methods(options.methods):
        replace(method, align=False).fuse(small)  # what is loaded or compiled once does not count
        started = time.perf_counter()
        method.fuse(stack.frames)
        seconds = time.perf_counter() - started
        total += seconds * stacks / options.workers
        click.echo(f"  {method.name}: {seconds:.2f} s, {duration(seconds * stacks / options.workers)} in all")
    click.echo(f"{name}: {stacks} stacks of {len(stack.frames)} frames take about {duration(total)}")


# --- which images -------------------------------------------------------------------------------------


def choose_images(coco: Path, out: Path) -> None:
    """List the images that the preset can use with two frames, and the first 25 that it can use with six."""
    usable = {frames: list(_usable(coco, out / "choose" / frames, frames)) for frames in ("2", "6")}
    hard = "of val2017 that --preset realistic can use with 2 frames, of those in the folder"
    stacks = f"first {STACKS} by id that it can use with 6 frames, too"
    common = [image for image in usable["2"] if image in usable["6"]]
    _write_list("hard", hard, usable["2"])
    _write_list("stacks", stacks, common[:STACKS])


def _usable(coco: Path, folder: Path, frames: str) -> Iterator[int]:
    words = ["--split", "val2017", "--preset", "realistic", "--frames", frames, "--seed", SEED]
    options = ["--store", "recipe", "--shards", "1", "--overwrite", "--quiet"]
    mfsynth_command("build", "--coco", str(coco), *words, *options, "--out", str(folder))
    yield from (recipe.image.id for recipe in mfsynth.open(folder).recipes())


def _write_list(name: str, words: str, images: list[int]) -> None:
    text = "".join(f"{image}\n" for image in images)
    write(LISTS / f"{name}.txt", f"# {len(images)} images: {words}\n{text}".encode())
    click.echo(f"{LISTS / name}.txt: {len(images)} images")


# --- docs ---------------------------------------------------------------------------------------------


def write_docs(chosen: list[Benchmark], out: Path, networks: frozenset[str]) -> None:
    """Copy values to docs/results/, where rows of methods other than these networks stay; fill the tables."""
    for each in chosen:
        if not of_networks(each.methods, networks):
            continue
        text = shortened((out / each.name / "scores.csv").read_text("utf-8"))
        file = DOCS / "results" / f"{each.name}-scores.csv"
        write(file, (merged(file.read_text("utf-8"), text, each.methods) if networks else text).encode())
    sets = [identity(each, out / "data" / each.name) for each in chosen]
    heads = ["set", "samples", "frames", "SHA-256 of its shard", "SHA-256 of its manifest"]
    table = [line(heads), line(["---"] * len(heads)), *map(line, sets)]
    fill({"benchmarks/sets.md": "\n".join(table) + "\n"}, DOCS / "benchmarks.md")
    render_docs(chosen)


def render_docs(chosen: list[Benchmark]) -> None:
    """Write the means in docs/results/ and the tables in docs/results.md from the values there."""
    for each in chosen:
        scores = scores_of((DOCS / "results" / f"{each.name}-scores.csv").read_text("utf-8"), each.name)
        write(DOCS / "results" / f"{each.name}-means.csv", means_csv_of(scores).encode())
        shown = [name for name in scores.measures if name not in QUALITY]
        fill({f"{each.name}/table.md": markdown_of(scores, {}, shown)}, PAGE)


def shortened(text: str) -> str:
    """A CSV of scores with six significant digits, which are plenty to compare with."""
    rows = list(csv.DictReader(io.StringIO(text)))
    short = io.StringIO()
    writer = csv.DictWriter(short, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        exact = ("image", "method")
        writer.writerow(
            {
                name: value if name in exact or not value else f"{float(value):.{_DIGITS}g}"
                for name, value in row.items()
            }
        )
    return short.getvalue()


def identity(each: Benchmark, folder: Path) -> list[str]:
    """What a rebuilt set can be compared by."""
    manifest = mfsynth.open(folder).manifest
    (shard,) = manifest.shards
    return [
        each.name,
        str(manifest.samples),
        str(manifest.layout.frames),
        f"`{shard.sha256}`",
        f"`{digest(folder / 'manifest.json')}`",
    ]


if __name__ == "__main__":
    main()
