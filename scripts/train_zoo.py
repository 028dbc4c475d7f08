"""Train the networks of the zoo, and put a trained one into the package.

    python scripts/train_zoo.py train hf-seg --coco ../coco   # the command behind each network's weights
    python scripts/train_zoo.py ship hf-seg runs/hf-seg       # into zoo/weights, its hashes into the registry

The training data is train2017, extra and bsds; val2017 and real pairs are not used.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from mfsynth.storage import digest
from zoo.store.folder import FILES, copy_folder, load_folder
from zoo.store.registry import REGISTRY, SHIPPED, lookup

SPLITS = ("train2017", "extra", "bsds")
STEPS = {"hf-seg": 5000, "hf-reg": 3500, "noisy-hf-reg": 3500, "cnn": 8500}
"""More than half an hour each, on one core."""
KINDS = {"cnn": "hf-seg"}
"""The kind that `mfsynth train` takes, where it differs from the short name."""
SETTINGS = {
    "cnn": (
        "model.architecture=siamese",
        "model.width=64",
        "model.depth=1",
        "model.upsampling=bilinear",
        "crop=64",
    )
}
"""The settings of a network that differ from its preset."""


@click.group()
def main() -> None:
    """Train and ship the zoo's networks."""


@main.command()
@click.argument("name", type=click.Choice(list(STEPS)))
@click.option("--coco", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), help="[default: runs/NAME]")
def train(name: str, coco: Path, out: Path | None) -> None:
    """Run `mfsynth train` as it was run for the weights that the package ships."""
    data = [f"--data=coco:{coco}:{split}" for split in SPLITS]
    own = [f"--set={setting}" for setting in SETTINGS.get(name, ())]
    fixed = [f"--steps={STEPS[name]}", "--set=validate_every=250", f"--out={out or Path('runs', name)}"]
    kind = KINDS.get(name, name)
    subprocess.run([sys.executable, "-m", "mfsynth.cli", "train", kind, *data, *own, *fixed], check=True)


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
    main()
