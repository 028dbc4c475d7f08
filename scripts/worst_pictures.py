"""The three worst pictures of methods on each data set, for looking at: whole, and where they are worst.

    python scripts/worst_pictures.py --shared ../shared --methods focus-set,hf-seg
    python scripts/worst_pictures.py --set mine shards:DIR results/mine --methods ours

Nothing is fused: the pictures are those that reproduce_tables.py, benchmarks.py or `mfsynth evaluate` left.
Where the truth is known, the worst have the lowest PSNR; elsewhere, the highest mean rank over the paper's
seven measures, among all methods of that evaluation. A sheet has, for each of them, the frames, the fused
picture, its error, its decision, and the truth; below, the same enlarged, where its error is largest compared
with the best choice of a frame, or where most sharpness is lost. It is out/worst/SET-METHOD.png.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np

from mfsynth.preview.colors import color_map
from mfsynth.preview.kit.sheet import Block, Cell, draw_sheet, encode_sheet
from mfsynth.sample import Window
from mfsynth.storage import write
from zoo.evaluation.data import open_data
from zoo.evaluation.kept import Place, load_fused
from zoo.evaluation.methods import NETWORK, Method
from zoo.evaluation.ranks import image_ranks
from zoo.evaluation.references import oracle
from zoo.evaluation.report.maps import error_map
from zoo.evaluation.scores import Exhibit, Scores
from zoo.evaluation.tables import scores_of
from zoo.metrics.measures import QUALITY, brief

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.evaluation.data import Data, Stack

SIDE, SCALE = 80, 4
"""Of the window that is enlarged, its longer side in pixels; and how many times."""
GAIN = 8
"""By how much errors are multiplied."""
RED = (255, 0, 0)
SHOWN = ("psnr", "psnr_band", "accuracy", "q_p", "q_cb")
"""What the sheet says of a picture, besides its rank."""

SETS = (
    ("lytro", "lytro:{shared}/lytro", "{results}/table2"),
    ("val2017", "shards:{results}/data/val2017", "{results}/table1"),
    ("hard", "shards:{results}/benchmarks/data/hard", "{results}/benchmarks/hard"),
    ("stacks", "shards:{results}/benchmarks/data/stacks", "{results}/benchmarks/stacks"),
)
"""Names, data, and where an evaluation of it lies."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture to look at.

    Attributes:
        stack: Its frames and what is known of them.
        fused: What the method made of it.
        decision: Its decision map, if it has one.
        error: H x W x 3 uint8: the difference from the truth, or the change of sharpness.
        excess: H x W: how much worse it is than it need be.
    """

    stack: Stack
    fused: Picture
    decision: NDArray[np.uint8] | None
    error: Picture
    excess: NDArray[np.float32]


def mean_ranks(scores: Scores) -> NDArray[np.float64]:
    """Each picture's mean rank of every method over the paper's measures, images x methods."""
    return np.mean([image_ranks(scores, name) for name in QUALITY if name in scores.measures], axis=0)


def worst(scores: Scores, method: str, count: int) -> list[str]:
    """The names of a method's worst pictures, the worst first.

    By PSNR, or by mean rank where the truth is not known.
    """
    if "psnr" in scores.measures:
        losses = -scores.table("psnr", [method])[:, 0]
    else:
        losses = mean_ranks(scores)[:, scores.methods.index(method)]
    order = np.argsort(-losses, kind="stable")
    return [scores.images[place] for place in order[:count]]


def words(scores: Scores, method: str, image: str) -> str:
    """What was measured of a picture."""
    place = scores.images.index(image)
    said = [brief(name, scores.table(name, [method])[place, 0]) for name in SHOWN if name in scores.measures]
    if "oracle" in scores.references:
        said.append(f"best choice of a frame {scores.table('psnr', ['oracle'])[place, 0]:.2f} dB")
    if set(QUALITY) <= set(scores.measures):
        rank = mean_ranks(scores)[place, scores.methods.index(method)]
        said.append(f"mean rank {rank:.1f} of {len(scores.methods)}")
    return ", ".join(said)


def look(stack: Stack, fused: Picture, decision: NDArray[np.uint8] | None) -> Seen:
    """A picture with its errors."""
    if stack.truth is None:
        shown = Exhibit(stack.name, stack.frames, None, None, {}, {})
        error = error_map(shown, fused)
        return Seen(stack, fused, decision, error, 255 - error.min(axis=2).astype(np.float32))
    best = oracle(stack)
    assert best is not None
    error = np.minimum(cv2.absdiff(fused, stack.truth).astype(np.int32) * GAIN, 255).astype(np.uint8)
    return Seen(stack, fused, decision, error, _squares(fused, stack.truth) - _squares(best, stack.truth))


def _squares(picture: Picture, truth: Picture) -> NDArray[np.float32]:
    squares: NDArray[np.float32] = np.square(picture.astype(np.float32) - truth).sum(axis=2)
    return squares


def worst_window(excess: NDArray[np.float32]) -> Window:
    """The window with the largest sum, of the picture's proportions."""
    rows, columns = excess.shape
    scale = min(1.0, SIDE / max(rows, columns))
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    sums = cv2.integral(excess)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return Window(int(top), int(left), height, width)


def block(seen: Seen, note: str) -> Block:
    """Whole pictures, and below them the worst window."""
    window = worst_window(seen.excess)
    pictures = dict(_pictures(seen))
    whole = [Cell(_framed(picture, window), name) for name, picture in pictures.items()]
    near = [Cell(_enlarged(picture, window)) for picture in pictures.values()]
    return Block([whole, near], seen.stack.name, note)


def _pictures(seen: Seen) -> Iterator[tuple[str, Picture]]:
    stack = seen.stack
    yield from ((f"frame {number}", frame) for number, frame in enumerate(stack.frames))
    yield "fused", seen.fused
    if stack.truth is not None:
        yield "truth", stack.truth
    yield ("change of sharpness" if stack.truth is None else f"error x {GAIN}"), seen.error
    if seen.decision is not None:
        yield "decision", color_map(seen.decision)
    if stack.target is not None:
        yield "right decision", color_map(stack.target)


def _framed(picture: Picture, window: Window) -> Picture:
    ends = (window.left, window.top), (window.left + window.width, window.top + window.height)
    return np.asarray(cv2.rectangle(picture.copy(), *ends, RED, 3), np.uint8)


def _enlarged(picture: Picture, window: Window) -> Picture:
    cut = picture[window.top : window.top + window.height, window.left : window.left + window.width]
    return cut.repeat(SCALE, 0).repeat(SCALE, 1)


def sheet(data: Data, results: Path, method: str, count: int) -> bytes:
    """The worst pictures of a method, as PNG.

    Raises:
        click.UsageError: If they are not there.
    """
    path = results / "scores.csv"
    if not path.exists():
        raise click.UsageError(
            f"{results} holds no evaluation: run reproduce_tables.py or benchmarks.py first"
        )
    scores = scores_of(path.read_text("utf-8"), data.title)
    if method not in scores.methods:
        raise click.UsageError(f"{results} has no pictures of {method}: it has {', '.join(scores.methods)}")
    blocks = []
    for image in worst(scores, method, count):
        fused, decision = load_fused(Place(results, Method(method, NETWORK, ""), image))
        blocks.append(block(look(data.load(image), fused, decision), words(scores, method, image)))
        print(f"  {image}: {words(scores, method, image)}")
    return encode_sheet(draw_sheet(blocks, SIDE * SCALE), 150)


def sets(chosen: Sequence[tuple[str, str, str]], **folders: Any) -> list[tuple[str, str, Path]]:
    """Names, data and results of the sets: those given, or the four of the docs."""
    return [
        (name, data.format(**folders), Path(results.format(**folders)))
        for name, data, results in chosen or SETS
    ]


@click.command()
@click.option("--shared", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True,
              help="Folder that holds lytro/.")  # fmt: skip
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
              help="Where reproduce_tables.py and benchmarks.py put theirs.")  # fmt: skip
@click.option("--set", "given", nargs=3, multiple=True, metavar="NAME KIND:DIR RESULTS",
              help="Other data, and the evaluation of it, instead of the four.")  # fmt: skip
@click.option(
    "--methods", default="focus-set,hf-seg", show_default=True, help="By their names in the tables."
)
@click.option("--count", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/worst"), show_default=True)
def main(
    shared: Path, results: Path, given: tuple[tuple[str, str, str], ...], methods: str, count: int, out: Path
) -> None:
    """Draw a sheet for each data set and method."""
    for name, text, folder in sets(given, shared=shared, results=results):
        data = open_data(text)
        for method in methods.split(","):
            path = out / f"{name}-{method}.png"
            print(path)
            write(path, sheet(data, folder, method, count))


if __name__ == "__main__":
    main()
