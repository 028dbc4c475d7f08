"""The paper's tables and figures from the shipped weights, and what docs/results.md shows of them.

    python scripts/reproduce_tables.py --shared ../shared               # all of it, into results/
    python scripts/reproduce_tables.py --shared ../shared --docs        # and docs/results/, docs/results.md
    python scripts/reproduce_tables.py --shared ../shared --cards       # and the cards' figures, zoo/weights
    python scripts/reproduce_tables.py --shared ../shared --docs --networks hf-seg   # rows of others stay
    python scripts/reproduce_tables.py --shared ../shared --docs --only-times        # on an idle machine
    python scripts/reproduce_tables.py --shared ../shared --render      # only the docs, from their CSVs

Table I is of val2017 pairs that `mfsynth build` draws with seed 0, Table II of Lytro, Fig. 16 of val2017
pairs with noise. Every step is a command of `mfsynth`, printed before it runs; whatever an earlier run left
and is still true is kept. CNN's own time is reported apart.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

import mfsynth
import zoo
from mfsynth.plots import Panel, draw_curves
from mfsynth.preview.kit.sheet import Block, Cell, draw_sheet, encode_sheet
from mfsynth.storage import digest, write
from zoo.evaluation import leaderboard, noise
from zoo.evaluation.data import read_rgb
from zoo.evaluation.methods import parse_methods
from zoo.evaluation.paper import printed
from zoo.evaluation.ranks import rank
from zoo.evaluation.references import REFERENCES
from zoo.evaluation.report.drawings import draw_noise, score_figures
from zoo.evaluation.tables import markdown_of, means_csv_of, scores_of
from zoo.store.registry import REGISTRY, SHIPPED, names
from zoo.store.results import Results, results

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.evaluation.scores import Scores

METHODS = (
    "focus-set,focus-set+select,focus-set-small,hf-seg,hf-reg,hf-reg+near,"
    "gff,dct,dct+cv,im,pyramid,average,dummy-a,dummy-b"
)
SINGLE = "hf-seg+single,hf-reg+single"
NOISE = "noisy-hf-reg,hf-reg,hf-seg,hf-seg+denoise,average"
LOSSES = ("nps6", "l1", "mse")
DOCS = Path(__file__).parents[1] / "docs" / "results"
LOGS = DOCS / "logs"
PAGE = DOCS.with_suffix(".md")
QUOTED = ("table1", "table2", "noise", "benchmarks/hard", "benchmarks/stacks-clean", "benchmarks/stacks")
"""Evaluations that cards quote; benchmarks.py leaves the last three there."""
DPI = 150
DERIVABLE = {1, 2, 4, 5, 7, 8}
"""COCO's licenses that allow derivatives."""


@dataclass
class Reproduction:
    """Where things lie, which networks are scored (all methods if empty), and how long each step took."""

    shared: Path
    out: Path
    networks: frozenset[str] = frozenset()
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)

    def build(self, name: str, *options: str) -> None:
        """A data set of val2017 pairs."""
        data = ["--coco", str(self.shared / "coco"), "--split", "val2017", "--shards", "8"]
        mfsynth_command("build", *data, *options, "--out", str(self.out / "data" / name), "--quiet")

    def evaluate(self, name: str, methods: str, data: str, *options: str) -> None:
        """A folder of results; nothing if none of the methods is to be scored."""
        if chosen := of_networks(methods, self.networks):
            mfsynth_command(
                "evaluate", "--methods", chosen, "--data", data, *options, "--out", str(self.out / name)
            )


def mfsynth_command(*words: str) -> None:
    """Run a command as a user would, and stop if it fails."""
    click.echo(f"$ {shlex.join(['mfsynth', *words])}")
    if code := subprocess.run([sys.executable, "-m", "mfsynth.cli", *words]).returncode:
        sys.exit(code)


@click.command()
@click.option("--shared", type=click.Path(exists=True, path_type=Path), required=True,
              help="Folder that holds coco/, lytro/ and golden/.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--docs", is_flag=True, help="Also write docs/results/ and the tables in docs/results.md.")
@click.option(
    "--cards", is_flag=True, help="Also write what networks' cards quote: zoo/weights, the registry."
)
@click.option(
    "--networks", default="", metavar="NAME,…", help="Score only the rows of these; others stay as they are."
)
@click.option("--only-times", is_flag=True, help="Only Table III, on an idle machine.")
@click.option("--render", is_flag=True, help="Evaluate nothing: only render the docs from their CSVs.")
def main(
    shared: Path, out: Path, docs: bool, cards: bool, networks: str, only_times: bool, render: bool
) -> None:
    """Regenerate the paper's tables and figures."""
    if render:
        render_docs(shared)
        return
    if only_times:
        work = Reproduction(shared, out)
        times(work)
        if docs:
            write_times(work)
        return
    fresh = not out.exists() and not networks
    work = Reproduction(shared, out, chosen_networks(networks))
    tables(work)
    with work.step("figures"):
        write(out / "losses.png", loss_curves())
        write(out / "triples.png", triples(shared / "lytro"))
        write(out / "noise-example.png", noise_example(out))
    if fresh:  # a run that found some of it done does not say how long it takes
        write(out / "seconds.json", (json.dumps(work.seconds, indent=1) + "\n").encode())
    own = work.seconds["table1-cnn"] + work.seconds["table2-cnn"]
    click.echo(f"{sum(work.seconds.values()) - own:.0f} s without CNN, {own:.0f} s for CNN")
    if docs:
        write_docs(work)
    if cards:
        write_cards(out)


def tables(work: Reproduction) -> None:
    """Tables I, II and III, the published pictures, and the noise."""
    lytro, golden = f"lytro:{work.shared / 'lytro'}", work.shared / "golden"
    against = ["--against", str(golden / "lytro_methods.json")]
    with work.step("data"):
        work.build("val2017")
        work.build("noisy", "--noise", "0", "0.1")
    clean, noisy = (f"shards:{work.out / 'data' / name}" for name in ("val2017", "noisy"))
    with work.step("table1"):
        work.evaluate("table1", METHODS, clean, "--no-swap")
    with work.step("table2"):
        work.evaluate("table2", f"{METHODS},{SINGLE}", lytro, *against)
    with work.step("published"):
        published = f"folder:gff:{golden / 'lytro_gff'},folder:cnn:{golden / 'lytro_cnn'}"
        if not work.networks:
            work.evaluate("published", published, lytro)
    with work.step("noise"):
        work.evaluate("noise", NOISE, noisy, "--no-swap")
    with work.step("table1-cnn"):
        work.evaluate("table1", with_cnn(METHODS), clean, "--no-swap")
    with work.step("table2-cnn"):
        work.evaluate("table2", f"{with_cnn(METHODS)},{SINGLE}", lytro, *against)
    if not work.networks:  # times can only be compared within one run, so it has all methods
        times(work)


def times(work: Reproduction) -> None:
    """Table III."""
    lytro = f"lytro:{work.shared / 'lytro'}"
    with work.step("table3"):
        work.evaluate(
            "table3", f"{with_cnn(METHODS)},{SINGLE}", lytro, "--limit", "3", "--times", "--no-swap"
        )


def chosen_networks(text: str) -> frozenset[str]:
    """The networks in a text, separated by commas; empty stands for all methods."""
    chosen = frozenset(filter(None, text.split(",")))
    if unknown := chosen - set(names()):
        raise click.UsageError(
            f"no network is called {', '.join(sorted(unknown))}; known: {', '.join(names())}"
        )
    return chosen


def of_networks(methods: str, networks: frozenset[str]) -> str:
    """The methods of some networks, with every rule; all if none are given.

    >>> of_networks("hf-seg,hf-seg+select,hf-reg,gff", frozenset({"hf-seg"}))
    'hf-seg,hf-seg+select'
    """
    return ",".join(each for each in methods.split(",") if not networks or each.partition("+")[0] in networks)


def with_cnn(methods: str) -> str:
    """The methods with CNN after image matting."""
    return methods.replace(",im,", ",im,cnn,")


def loss_curves() -> bytes:
    """L1, MSE and NPS6 over the steps, from the logs in docs/results/logs (the paper's Fig. 8 and 9)."""
    columns = {"psnr": "PSNR of held-out pairs, dB", "ssim": "SSIM", "accuracy": "decision by nearest frame"}
    logs = {loss: _clean_rows(LOGS / loss / "validation.csv") for loss in LOSSES}
    panels = [
        Panel(
            label,
            {
                loss: ([float(row["step"]) for row in rows], [float(row[column]) for row in rows])
                for loss, rows in logs.items()
            },
        )
        for column, label in columns.items()
    ]
    return draw_curves("HF-Reg by three losses", panels, "step")


def _clean_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row["kind"] == "clean"]


def triples(lytro: Path) -> bytes:
    """Lytro's triples, fused by all frames at once and one after the other (the paper's Fig. 15)."""
    seg, reg = zoo.load("hf-seg", device="cpu"), zoo.load("hf-reg", device="cpu")
    rows = []
    for first in sorted(lytro.glob("lytro-t*-A.jpg")):
        frames = [read_rgb(first.with_name(first.name.replace("-A.", f"-{which}."))) for which in "ABC"]
        joint = seg.fuse(frames)
        decided = np.repeat((joint.decision * 127)[..., None], 3, 2)  # type: ignore[operator]
        rows.append(
            [*frames, joint.image, decided, seg.fuse(frames, burst="fold").image, reg.fuse(frames).image]
        )
    heads = ["A", "B", "C", "hf-seg", "its decision", "hf-seg, folded", "hf-reg"]
    return picture_grid(heads, rows, 1.5)


def noise_example(out: Path) -> bytes:
    """A crop of the noisiest pair whose license allows derivatives, fused by each (the paper's Fig. 16)."""
    data = mfsynth.open(out / "data" / "noisy")
    allowed = [each for each in data.recipes() if each.image.license in DERIVABLE]
    recipe = max(allowed, key=lambda each: each.frames[0].noise_sigma)
    sample = data[recipe.key]
    top, left = _liveliest(sample.focus, 160)
    window = (slice(top, top + 160), slice(left, left + 160))
    fused = {method.name: method.fuse(sample.frames).image for method in parse_methods([NOISE])}
    pictures = {"frame A": sample.frames[0], "frame B": sample.frames[1], **fused, "truth": sample.gt}
    sigma, image = recipe.frames[0].noise_sigma, recipe.image
    click.echo(f"Fig. 16: val2017's image {image.id}, COCO's license {image.license}, noise {sigma:.3f}")
    return picture_grid(list(pictures), [[picture[window] for picture in pictures.values()]], 1.6)


def _liveliest(focus: np.ndarray, side: int) -> tuple[int, int]:
    """Upper left corner of the crop in which both planes have most nearly equal parts."""
    height, width = focus.shape
    corners = [(top, left) for top in range(0, height - side, 20) for left in range(0, width - side, 20)]
    return min(corners, key=lambda at: abs(focus[at[0] : at[0] + side, at[1] : at[1] + side].mean() - 0.5))


def picture_grid(heads: Sequence[str], rows: Sequence[Sequence[Picture]], inches: float) -> bytes:
    """Pictures in rows under heads."""
    cells = [
        [Cell(picture, head if number == 0 else "") for head, picture in zip(heads, row, strict=True)]
        for number, row in enumerate(rows)
    ]
    return encode_sheet(draw_sheet([Block(cells)], round(inches * DPI)), DPI)


# --- what is kept -------------------------------------------------------------------------------------


def write_docs(work: Reproduction) -> None:
    """Copy values and figures to docs/results/, and fill the marked tables of docs/results.md."""
    orders = {"table1": with_cnn(METHODS), "table2": f"{with_cnn(METHODS)},{SINGLE}", "noise": NOISE}
    for name, methods in orders.items():
        if not of_networks(methods, work.networks):
            continue
        text = (work.out / name / "scores.csv").read_text("utf-8")
        file = DOCS / f"{name}-scores.csv"
        write(file, (merged(file.read_text("utf-8"), text, methods) if work.networks else text).encode())
    if not work.networks:
        write_times(work)
        shutil.copyfile(work.out / "published" / "scores.csv", DOCS / "published-scores.csv")
    for file_name in ("losses.png", "triples.png", "noise-example.png", "seconds.json"):
        if (work.out / file_name).exists():
            shutil.copyfile(work.out / file_name, DOCS / file_name)
    render_docs(work.shared)


def write_times(work: Reproduction) -> None:
    """Copy the times to docs/results/ and docs/results.md."""
    shutil.copyfile(work.out / "table3" / "times.csv", DOCS / "table3-times.csv")
    fill({"table3/times.md": (work.out / "table3" / "times.md").read_text("utf-8")})


def merged(old: str, new: str, methods: str) -> str:
    """A CSV of scores: the new rows, and the old ones of methods that have none, in this order of methods.

    Rows of the best choices of a frame come last.

    >>> print(merged("image,method,psnr\\na,x,1\\na,y,2\\n", "image,method,psnr\\na,y,3\\n", "y,x"))
    image,method,psnr
    a,y,3
    a,x,1
    <BLANKLINE>
    """
    tables = [list(csv.DictReader(io.StringIO(text))) for text in (old, new)]
    rows = {(row["image"], row["method"]): row for table in tables for row in table}
    images = dict.fromkeys(row["image"] for row in tables[1])
    order = [*methods.split(","), *REFERENCES]
    text = io.StringIO()
    writer = csv.DictWriter(text, max(tables[0][0], tables[1][0], key=len), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[image, each] for image in images for each in order if (image, each) in rows)
    return text.getvalue()


def render_docs(shared: Path) -> None:
    """Write what docs/results/ and docs/results.md have besides the values, again from the values."""
    for name, title in {
        "table1": "val2017",
        "table2": "Lytro",
        "published": "Lytro",
        "noise": "val2017",
    }.items():
        scores = scores_of((DOCS / f"{name}-scores.csv").read_text("utf-8"), title)
        write(DOCS / f"{name}-means.csv", means_csv_of(scores).encode())
        drawn = dict(score_figures(scores, rank(scores))) if name.startswith("table") else {}
        for file, content in [*((f"{each}.png", png) for each, png in drawn.items()), *noise_files(scores)]:
            write(DOCS / f"{name}-{file}", content)
    fill(tables_of_docs(shared))


def noise_files(scores: Scores) -> Iterator[tuple[str, bytes]]:
    """The curves against the noise, where frames differ in it."""
    if curves := noise.noise_curves(scores):
        yield "noise.csv", noise.csv_of(curves).encode()
        yield "noise.png", draw_noise(f"{scores.data}: frames with noise", curves)


def tables_of_docs(shared: Path) -> dict[str, str]:
    """The tables of docs/results.md that docs/results/ has the values of, by their marks."""
    coco = scores_of((DOCS / "table1-scores.csv").read_text("utf-8"), "val2017")
    lytro = scores_of((DOCS / "table2-scores.csv").read_text("utf-8"), "Lytro")
    published = leaderboard.read_published(shared / "golden" / "lytro_methods.json", len(lytro.images))
    return {
        "table1/table.md": markdown_of(coco, printed("shards")),
        "table2/table.md": markdown_of(lytro, printed("lytro")),
        "table2/leaderboard.md": leaderboard.markdown_of(lytro, published, printed("lytro")),
    }


def fill(rendered: Mapping[str, str], page: Path = PAGE) -> None:
    """Put tables between their marks in a page."""
    text = page.read_text("utf-8")
    for mark, table in rendered.items():
        between = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = between.subn(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", text)
        if not count:
            raise SystemExit(f"{page} has no mark <!-- {mark} -->")
    page.write_text(text, "utf-8")


def write_cards(out: Path) -> None:
    """Put what was measured into each shipped network's evaluation.json, and its hash into the registry."""
    from train_zoo import with_hashes

    for name in names():
        files = [out / run / "evaluation" / f"{name}.json" for run in QUOTED]
        found = [
            result
            for file in files
            if file.exists()
            for result in Results.from_json(file.read_bytes()).results
        ]
        path = SHIPPED / name / "evaluation.json"
        old = Results.from_json(path.read_bytes()).results if path.exists() else ()
        fresh = {(result.identity, result.kind) for result in found}
        kept = [result for result in old if (result.identity, result.kind) not in fresh]
        write(path, results(*kept, *found).to_json())
        hashes = {each.name: digest(each) for each in sorted((SHIPPED / name).iterdir())}
        REGISTRY.write_text(with_hashes(REGISTRY.read_text("utf-8"), name, hashes), "utf-8")


if __name__ == "__main__":
    main()
