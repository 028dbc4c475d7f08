"""The paper's tables and figures from the shipped weights, and what docs/results.md shows of them.

    python scripts/reproduce_tables.py --shared ../shared               # all of it, into results/
    python scripts/reproduce_tables.py --shared ../shared --docs        # and docs/results/, docs/results.md
    python scripts/reproduce_tables.py --shared ../shared --cards       # and the cards' figures, zoo/weights

Table I is of val2017 pairs that `mfsynth build` draws with seed 0, Table II of Lytro, Fig. 16 of val2017
pairs with noise. Every step is a command of `mfsynth`, printed before it runs; what an earlier run left and
is still true is kept. CNN's own time is told apart.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

import mfsynth
import zoo
from mfsynth.plots import figure, png
from mfsynth.storage import digest, write
from zoo.evaluation.data import read_rgb
from zoo.evaluation.methods import parse_methods
from zoo.evaluation.report.figures import curves
from zoo.store.registry import REGISTRY, SHIPPED, names
from zoo.store.results import Results, results

if TYPE_CHECKING:
    from mfsynth.sample import Picture

METHODS = "hf-seg,hf-reg,hf-reg+near,gff,dct,dct+cv,im,pyramid,average,dummy-a,dummy-b"
SINGLE = "hf-seg+single,hf-reg+single"
NOISE = "noisy-hf-reg,hf-reg,hf-seg,hf-seg+denoise,average"
LOSSES = ("nps6", "l1", "mse")
DOCS = Path(__file__).parents[1] / "docs" / "results"
LOGS = DOCS / "logs"
PAGE = DOCS.with_suffix(".md")
KEPT = {
    "table1": ("scores.csv", "boxes.png", "ranks.png"),
    "table2": ("scores.csv", "boxes.png", "ranks.png"),
    "table3": ("times.csv",),
    "published": ("scores.csv",),
    "noise": ("scores.csv", "noise.csv", "noise.png"),
}
"""What docs/results/ holds of each evaluation."""


@dataclass
class Reproduction:
    """Where things lie, and how long each step took."""

    shared: Path
    out: Path
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
        """A folder of results."""
        mfsynth_command(
            "evaluate", "--methods", methods, "--data", data, *options, "--out", str(self.out / name)
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
def main(shared: Path, out: Path, docs: bool, cards: bool) -> None:
    """Regenerate the paper's tables and figures."""
    fresh = not out.exists()
    work = Reproduction(shared, out)
    tables(work)
    with work.step("figures"):
        write(out / "losses.png", loss_curves())
        write(out / "triples.png", triples(shared / "lytro"))
        write(out / "noise-example.png", noise_example(out))
    if fresh:  # a run that found some of it done says nothing of how long it takes
        write(out / "seconds.json", (json.dumps(work.seconds, indent=1) + "\n").encode())
    own = work.seconds["table1-cnn"] + work.seconds["table2-cnn"]
    click.echo(f"{sum(work.seconds.values()) - own:.0f} s without CNN, {own:.0f} s for CNN")
    if docs:
        write_docs(out)
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
        work.evaluate("published", published, lytro)
    with work.step("noise"):
        work.evaluate("noise", NOISE, noisy, "--no-swap")
    with work.step("table1-cnn"):
        work.evaluate("table1", with_cnn(METHODS), clean, "--no-swap")
    with work.step("table2-cnn"):
        work.evaluate("table2", f"{with_cnn(METHODS)},{SINGLE}", lytro, *against)
    with work.step("table3"):
        work.evaluate(
            "table3", f"{with_cnn(METHODS)},{SINGLE}", lytro, "--limit", "3", "--times", "--no-swap"
        )


def with_cnn(methods: str) -> str:
    """The methods with CNN after image matting."""
    return methods.replace(",im,", ",im,cnn,")


def loss_curves() -> bytes:
    """L1, MSE and NPS6 over the steps, from the logs in docs/results/logs (the paper's Fig. 8 and 9)."""
    columns = {"psnr": "PSNR of held-out pairs, dB", "ssim": "SSIM", "accuracy": "decision by nearest source"}
    logs = {loss: _clean_rows(LOGS / loss / "validation.csv") for loss in LOSSES}
    steps = [int(row["step"]) for row in logs[LOSSES[0]]]
    panels = {
        label: {loss: [float(row[column]) for row in rows] for loss, rows in logs.items()}
        for column, label in columns.items()
    }
    return curves("HF-Reg by three losses", steps, panels, "steps")


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
    """A crop of the noisiest pair whose licence allows derivatives, fused by each (the paper's Fig. 16)."""
    allowed = {1, 2, 4, 5, 7, 8}
    scenes = [
        scene
        for scene in mfsynth.open(str(out / "data" / "noisy")).scenes()
        if scene.recipe.image.license in allowed
    ]
    scene = max(scenes, key=lambda each: each.recipe.frames[0].noise_sigma)
    sample = mfsynth.render(scene)
    top, left = _liveliest(sample.focus, 160)
    window = (slice(top, top + 160), slice(left, left + 160))
    fused = {method.name: method.fuse(sample.frames).image for method in parse_methods([NOISE])}
    pictures = {"frame A": sample.frames[0], "frame B": sample.frames[1], **fused, "truth": sample.gt}
    sigma = scene.recipe.frames[0].noise_sigma
    image = scene.recipe.image
    click.echo(f"Fig. 16: val2017's image {image.id}, COCO's licence {image.license}, noise {sigma:.3f}")
    return picture_grid(list(pictures), [[picture[window] for picture in pictures.values()]], 1.6)


def _liveliest(focus: np.ndarray, side: int) -> tuple[int, int]:
    """Upper left corner of the crop in which both planes have most nearly equal parts."""
    height, width = focus.shape
    corners = [(top, left) for top in range(0, height - side, 20) for left in range(0, width - side, 20)]
    return min(corners, key=lambda at: abs(focus[at[0] : at[0] + side, at[1] : at[1] + side].mean() - 0.5))


def picture_grid(heads: Sequence[str], rows: Sequence[Sequence[Picture]], inches: float) -> bytes:
    """Pictures in rows under heads."""
    with figure(inches * len(heads), inches * len(rows) + 0.3, 150) as drawn:
        axes = drawn.subplots(len(rows), len(heads), squeeze=False)
        for axis, head in zip(axes[0], heads, strict=True):
            axis.set_title(head, fontsize=8)
        for axis, picture in zip(axes.flat, (picture for row in rows for picture in row), strict=True):
            axis.imshow(picture, interpolation="lanczos")
            axis.axis("off")
        drawn.subplots_adjust(0, 0, 1, 1 - 0.3 / (inches * len(rows) + 0.3), 0.02, 0.02)
        return png(drawn)


# --- what is kept -------------------------------------------------------------------------------------


def write_docs(out: Path) -> None:
    """Copy values and figures to docs/results/, and fill the marked tables of docs/results.md."""
    for name, files in KEPT.items():
        for file in files:
            shutil.copyfile(out / name / file, DOCS / f"{name}-{file}")
    for file in ("losses.png", "triples.png", "noise-example.png", "seconds.json"):
        if (out / file).exists():
            shutil.copyfile(out / file, DOCS / file)
    text = PAGE.read_text("utf-8")
    for source in re.findall(r"<!-- (\S+\.md) -->", text):
        table = (out / source).read_text("utf-8")
        text = re.sub(
            rf"(<!-- {re.escape(source)} -->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}",
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text, "utf-8")


def write_cards(out: Path) -> None:
    """Put what was measured into each shipped network's evaluation.json, and its hash into the registry."""
    from train_zoo import with_hashes

    for name in names():
        files = [out / run / "evaluation" / f"{name}.json" for run in ("table1", "table2", "noise")]
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
