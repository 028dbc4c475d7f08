"""Thin structures of six Lytro pairs, enlarged four times: networks beside a baseline, for looking at.

    python scripts/thin_structures.py ../shared/lytro --methods focus-set,hf-seg,pyramid

The sheet goes to out/thin-structures.png: a row for each crop, the two frames first. Nothing is measured, and
nothing was chosen by it; the windows were set by looking at the frames, before any network had fused them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np

from mfsynth.preview.kit.sheet import Block, Cell, draw_sheet, encode_sheet
from mfsynth.storage import write
from zoo.evaluation.data import open_data
from zoo.evaluation.methods import Method, parse_methods

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.evaluation.data import Data

SIDE = 96
"""Of a crop, in pixels."""
SCALE = 4


@dataclass(frozen=True, slots=True)
class Crop:
    """A window of a pair.

    Attributes:
        pair: Its name.
        words: What is thin there.
        top, left: The upper left corner, in pixels.
    """

    pair: str
    words: str
    top: int
    left: int

    def of(self, picture: Picture) -> Picture:
        """The window, enlarged without smoothing."""
        window = picture[self.top : self.top + SIDE, self.left : self.left + SIDE]
        return np.repeat(np.repeat(window, SCALE, 0), SCALE, 1)


CROPS = (
    Crop("lytro-01", "golf club", 245, 335),
    Crop("lytro-05", "wire fence", 185, 160),
    Crop("lytro-07", "hair in the wind", 285, 340),
    Crop("lytro-11", "cord of a camera", 415, 55),
    Crop("lytro-14", "tip of a souvenir", 90, 115),
    Crop("lytro-19", "spiral of a notebook", 205, 365),
)


def row(crop: Crop, methods: tuple[Method, ...], data: Data) -> list[Cell]:
    """A crop of the frames and of every method's picture."""
    stack = data.load(crop.pair)
    pictures = {f"frame {number}": frame for number, frame in enumerate(stack.frames)}
    pictures |= {method.name: method.fused(stack).image for method in methods}
    return [Cell(crop.of(picture), name) for name, picture in pictures.items()]


@click.command()
@click.argument("lytro", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--methods",
    default="focus-set,hf-seg,pyramid",
    show_default=True,
    help="As `mfsynth evaluate` takes them.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out/thin-structures.png"), show_default=True
)
def main(lytro: Path, methods: str, out: Path) -> None:
    """Fuse the six pairs and draw the sheet."""
    cv2.setNumThreads(1)
    data, chosen = open_data(f"lytro:{lytro}"), parse_methods([methods])
    missing = [crop.pair for crop in CROPS if crop.pair not in data.names]
    if missing:
        raise click.UsageError(f"{lytro} lacks {', '.join(missing)}")
    sheet = draw_sheet(
        (Block([row(crop, chosen, data)], crop.pair, crop.words) for crop in CROPS), SIDE * SCALE
    )
    write(out, encode_sheet(sheet, 150))
    print(f"{out}: {sheet.shape[1]} x {sheet.shape[0]} pixels, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
