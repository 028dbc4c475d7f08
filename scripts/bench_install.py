"""What an installation weighs, and how long it takes to fuse a pair: megabytes and seconds, by extra.

    python scripts/bench_install.py                        # fuse-lite and openvino
    python scripts/bench_install.py fuse --folder out      # environments that are kept, or used again

Each extra of this checkout gets a new virtual environment. Megabytes are those of its packages, without pip;
seconds are the median of several runs of `mfsynth fuse a.jpg b.jpg -o c.png`, from start to end.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2

from zoo.benching.bench import processor
from zoo.benching.timing import drawn

ROOT = Path(__file__).parents[1]
SIDE = 520
NOT_OURS = ("pip", "setuptools", "distutils")
"""Beginnings of what an empty environment holds."""


def environment(folder: Path, extra: str) -> Path:
    """A virtual environment with an extra of this checkout; one that is there already is taken."""
    place = folder / extra
    if not (place / "bin" / "mfsynth").exists():  # else it was installed to the end
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        words = ["install", "--quiet", "-c", str(ROOT / "constraints.txt"), f"{ROOT}[{extra}]"]
        subprocess.run([str(place / "bin" / "pip"), *words], check=True)
    return place


def megabytes(place: Path) -> float:
    """Size of the packages in an environment."""
    (packages,) = place.glob("lib/python*/site-packages")
    own = [each for each in packages.iterdir() if not each.name.startswith(NOT_OURS)]
    files = (file for each in own for file in (each, *each.rglob("*")) if file.is_file())
    return sum(file.stat().st_size for file in files) / 1e6


def seconds(place: Path, repeats: int) -> float:
    """Median time of the command in an environment, after one run that does not count."""
    with TemporaryDirectory() as folder:
        for name, frame in zip("ab", drawn(2, SIDE, SIDE), strict=True):
            cv2.imwrite(str(Path(folder, f"{name}.jpg")), frame)
        taken = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            command = [str(place / "bin" / "mfsynth"), "fuse", "a.jpg", "b.jpg", "-o", "c.png", "--quiet"]
            subprocess.run(command, cwd=folder, check=True)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


@click.command()
@click.argument("extras", nargs=-1)
@click.option("--repeats", default=5, show_default=True, help="Runs that count.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where environments are, and stay.")
def main(extras: tuple[str, ...], repeats: int, folder: Path | None) -> None:
    """Print a line for each extra."""
    with TemporaryDirectory() as temporary:
        click.echo(f"{processor()}; a pair of {SIDE} x {SIDE}\n")
        click.echo("| extra | MB | seconds |\n|---|---|---|")
        for extra in extras or ("fuse-lite", "openvino"):
            place = environment((folder or Path(temporary)).resolve(), extra)
            click.echo(f"| {extra} | {megabytes(place):.0f} | {seconds(place, repeats):.1f} |")


if __name__ == "__main__":
    main()
