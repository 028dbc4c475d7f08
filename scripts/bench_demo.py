"""Fuse pictures in the page of docs/demo, in Chromium without a window.

Prints times, the page's longest pause, and the share of pixels decided as by Python; saves screenshots.

    python scripts/build_demo.py out/demo
    python scripts/bench_demo.py out/demo -o out/shots [a.jpg b.jpg]

Without pictures, it takes a pair of 12.9 megapixels that it draws. The time is what the page says, from the
decoded frames to the fused picture, the network being loaded; beside it stands that of Python, with torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from demo.browser import Tool, chromium, installed, large_pair, opened, rgb, served  # noqa: E402

import zoo  # noqa: E402

RUNS = 3
PAUSES = """() => {
    let last = performance.now();
    window.longest = 0;
    const tick = () => {
        window.longest = Math.max(window.longest, performance.now() - last);
        last = performance.now();
        setTimeout(tick);
    };
    tick();
}"""
"""Notes how long the page did nothing else."""


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.argument("pictures", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for screenshots.")
@click.option("--network", default="focus-set-small", show_default=True)
def main(folder: Path, pictures: tuple[Path, ...], out: Path, network: str) -> None:
    """Measure."""
    out.mkdir(parents=True, exist_ok=True)
    path = installed()
    if path is None:
        sys.exit("no Chromium is installed (Debian: apt-get install chromium)")
    with TemporaryDirectory() as drawn, served(folder) as (url, _), chromium(path) as browser:
        paths = list(pictures) or large_pair(Path(drawn))
        for _ in range(RUNS):
            with opened(browser, url, color_scheme="light") as tool:
                measure(tool, paths, network, out)


def measure(tool: Tool, paths: list[Path], network: str, out: Path) -> None:
    """Fuse, look, compare."""
    tool.page.evaluate(PAUSES)
    tool.give(*paths)
    said = tool.wait()
    if network != "focus-set-small":
        tool.set("Network", network)
        said = tool.wait()
    pause = tool.page.evaluate("window.longest")
    tool.page.wait_for_timeout(500)
    tool.page.screenshot(path=out / "fused.png")
    tool.show("Decision map")
    tool.page.wait_for_timeout(500)
    tool.page.screenshot(path=out / "map.png")
    model, frames = zoo.load(network), [rgb(path) for path in paths]
    begun = perf_counter()
    decision = model.fuse(frames).decision
    seconds = perf_counter() - begun
    print(f"{said} By Python in {seconds:.1f} s; {np.mean(tool.decision() == decision):.4%} decided alike.")
    print(f"  The page's longest pause was {pause:.0f} ms.")


if __name__ == "__main__":
    main()
