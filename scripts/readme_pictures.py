"""Make the README's pictures, docs/pictures/pairs.png and stats.png, from the demo split.

Only the demo split: its scenes are drawn by code, so that no photographer's license comes with the pictures.

    python scripts/readme_pictures.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.coco.demo import draw_demo
from mfsynth.options import BuildOptions
from mfsynth.preview.histograms import draw_histograms
from mfsynth.preview.sheet import draw_sheet
from mfsynth.preview.stats import collect

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
# A still life, a meadow and a shore, with blur that shows at the README's width.
KEYS = ("000000000021-000", "000000000010-000", "000000000008-000")
DPI = 180
MOST_BYTES = 1_500_000


def build_demo(folder: Path) -> Path:
    """Draw the demo split and build the data set that `mfsynth build --split demo` builds."""
    draw_demo(folder / "coco")
    build(BuildOptions(split="demo"), Run(folder / "coco", folder / "demo"))
    return folder / "demo"


def draw(data: Path, keys: tuple[str, ...]) -> dict[str, bytes]:
    """The pictures by their file names."""
    chosen = {sample.key: sample for sample in mfsynth.open(data) if sample.key in keys}
    if missing := set(keys) - set(chosen):
        raise SystemExit(f"{data} has no sample {', '.join(sorted(missing))}; choose others")
    stats = collect(str(data), lambda done, total: None)
    return {
        "pairs.png": draw_sheet([chosen[key] for key in keys], DPI),
        "stats.png": draw_histograms(stats, DPI),
    }


def main() -> None:
    """Draw, check the sizes, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder to write to")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw(build_demo(Path(folder)), KEYS)
    out.mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        if len(png) > MOST_BYTES:
            raise SystemExit(f"{name} would have {len(png):,} bytes, more than {MOST_BYTES:,}; lower DPI")
        (out / name).write_bytes(png)
        print(f"{out / name}  {len(png) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
