"""Train the zoo's networks, and put a trained one into the package.

    python scripts/train_zoo.py train hf-seg --coco ../coco   # the command behind each network's weights
    python scripts/train_zoo.py ship hf-seg runs/hf-seg       # copied to zoo/weights, hashes to the registry

Training data is train2017, extra and bsds; nothing here looks at val2017 or at real pairs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from mfsynth.storage import digest
from zoo.store.folder import FILES, copy_folder, load_folder
from zoo.store.registry import REGISTRY, SHIPPED, entry

SPLITS = ("train2017", "extra", "bsds")
STEPS = {"hf-seg": 5000, "hf-reg": 3500, "noisy-hf-reg": 3500, "cnn": 8500}
"""More than half an hour each, on one core."""
KINDS = {"cnn": "hf-seg"}
"""What `mfsynth train` calls a network that it knows by another name than the registry."""
SETTINGS = {
    "cnn": (
        "model.architecture=siamese",
        "model.width=64",
        "model.depth=1",
        "model.upsampling=bilinear",
        "crop=64",
    )
}
"""What a network has beside its preset."""


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
def ship(name: str, folder: Path) -> None:
    """Put a trained network's files into the package, under a name that the registry has."""
    entry(name)
    load_folder(folder)
    hashes = {each: digest(folder / each) for each in FILES if (folder / each).is_file()}
    shipped = copy_folder(folder, SHIPPED / name, hashes)
    REGISTRY.write_text(with_hashes(REGISTRY.read_text("utf-8"), name, hashes), "utf-8")
    click.echo(f"{shipped}: {', '.join(hashes)}")


def with_hashes(text: str, name: str, hashes: dict[str, str]) -> str:
    """The registry's text with a network's hashes replaced; its commit goes, for it meant other files."""
    head, start, rest = text.partition(f"[models.{name}]\n")
    body, following, tail = re.match(r"(.*?)(\n\[|\Z)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    kept = [line for line in body.splitlines() if line and not line.startswith(("files.", "commit"))]
    lines = [*kept, *(f'files."{each}" = "{value}"' for each, value in hashes.items())]
    return head + start + "\n".join(lines) + "\n" + following + tail


if __name__ == "__main__":
    main()
