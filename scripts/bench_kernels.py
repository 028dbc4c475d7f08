"""Routes to a disk's blur: how long each takes, and how far it is from the exact disk.

    python scripts/bench_kernels.py                                          # on the demo split
    python scripts/bench_kernels.py --coco ../shared/coco --split val2017

Pictures of 640 x 480 in linear light, with a matte as the fourth channel, float32, one thread. All routes are
timed in turn, several times over, and the fastest call of each counts, in processor time. A cell is the time
relative to ours, and in brackets the largest and the RMS error in gray levels of sRGB, before rounding,
against the exact taps in float64.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from mfsynth import storage
from mfsynth.building.plan import make_plan
from mfsynth.coco.image import read_image
from mfsynth.coco.official.resolve import coco_folder
from mfsynth.coco.split import read_split
from mfsynth.options import BuildOptions
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.light import srgb_of, values_of

DISK = Aperture("disk")
RADII = (2, 5, 10, 20)
RANKS = (2, 4, 6, 8)
SIZE = (640, 480)
OURS = "ours"
BORDER = cv2.BORDER_REFLECT_101

Planes = NDArray[np.float32]
Taps = NDArray[np.float64]
Route = Callable[[Planes], Planes]


def padded(planes: Planes, reach: int) -> Planes:
    """Planes with a mirrored border."""
    return cv2.copyMakeBorder(planes, reach, reach, reach, reach, BORDER)  # type: ignore[return-value]


def whole(taps: Taps) -> Route:
    """`cv2.filter2D` as it comes, which takes the DFT (in float64) for kernels of 130 or more taps."""
    kernel = taps.astype(np.float32)
    return lambda planes: cv2.filter2D(planes, -1, kernel, borderType=BORDER)  # type: ignore[return-value]


def direct(taps: Taps) -> Route:
    """Every tap multiplied and added: `cv2.filter2D` in bands that are too small for the DFT."""
    side = len(taps)
    rows = max(1, 128 // side)
    bands = [(top, taps[top : top + rows].astype(np.float32)) for top in range(0, side, rows)]

    def run(planes: Planes) -> Planes:
        height, width = planes.shape[:2]
        around = padded(planes, side // 2)
        total = np.zeros_like(planes)
        for top, band in bands:
            view = around[top : top + height + len(band) - 1]
            total += cv2.filter2D(view, -1, band, anchor=(0, 0))[:height, :width]
        return total

    return run


def running_sums(taps: Taps) -> Route:
    """Sums along rows, in float64: a row of taps is a few differences of them, where the taps change."""
    side = len(taps)
    steps = -np.diff(taps, axis=1, prepend=0, append=0)

    def run(planes: Planes) -> Planes:
        height, width = planes.shape[:2]
        sums = np.zeros((height + side - 1, width + side, *planes.shape[2:]))
        np.cumsum(padded(planes, side // 2), axis=1, dtype=np.float64, out=sums[:, 1:])
        total = np.zeros(planes.shape)
        for row, column in np.argwhere(np.abs(steps) > 1e-12):
            total += steps[row, column] * sums[row : row + height, column : column + width]
        return total.astype(np.float32)

    return run


def _pixels(corner: tuple[int, int]) -> int:
    return (2 * corner[0] + 1) * (2 * corner[1] + 1)


def nested_boxes(taps: Taps) -> Route:
    """Rectangles that cover every pixel whose tap is at least half, without antialiasing."""
    reach = len(taps) // 2
    inside = taps[reach:, reach:] >= taps.max() / 2
    corners = [(row, int(line.sum()) - 1) for row, line in enumerate(inside)]
    corners = [(row, column) for row, column in corners if column >= 0]
    outer = [(r, c) for r, c in corners if (r + 1, c) not in corners]  # the lowest row of each width
    shared = [(r, c) for (r, _), (_, c) in pairwise(outer)]
    count = sum(_pixels(corner) for corner in outer) - sum(_pixels(corner) for corner in shared)

    def box(planes: Planes, row: int, column: int) -> Planes:
        size = (2 * column + 1, 2 * row + 1)
        return cv2.boxFilter(planes, -1, size, normalize=False, borderType=BORDER)  # type: ignore[return-value]

    def run(planes: Planes) -> Planes:
        total = np.zeros_like(planes)
        for corner in outer:
            total += box(planes, *corner)
        for corner in shared:
            total -= box(planes, *corner)
        total *= np.float32(1 / count)
        return total

    return run


def low_rank(taps: Taps, rank: int) -> Route:
    """The sum of a few separable filters: the taps' largest eigenvalues."""
    values, vectors = np.linalg.eigh(taps)
    terms = np.argsort(-np.abs(values))[:rank]
    vectors = (vectors + vectors[::-1]) / 2  # exactly symmetric, for which OpenCV is faster
    values = values / ((vectors.sum(axis=0)[terms] ** 2) @ values[terms])  # the taps sum to 1
    lines = [
        (vectors[:, k].astype(np.float32), (values[k] * vectors[:, k]).astype(np.float32)) for k in terms
    ]

    def run(planes: Planes) -> Planes:
        total = np.zeros_like(planes)
        for across, down in lines:
            total += cv2.sepFilter2D(planes, -1, across, down, borderType=BORDER)
        return total

    return run


def dft(taps: Taps, dtype: type) -> Route:
    """Spectra of the whole picture, multiplied."""
    side = len(taps)

    def run(planes: Planes) -> Planes:
        height, width = planes.shape[:2]
        rows, columns = (cv2.getOptimalDFTSize(n + side - 1) for n in (height, width))
        around = padded(planes, side // 2)
        kernel: NDArray[Any] = np.zeros((rows, columns), dtype)
        kernel[:side, :side] = taps
        spectrum = cv2.dft(kernel)
        made = np.empty_like(planes)
        for channel in range(planes.shape[2]):
            plane: NDArray[Any] = np.zeros((rows, columns), dtype)
            plane[: height + side - 1, : width + side - 1] = around[..., channel]
            product = cv2.mulSpectrums(cv2.dft(plane), spectrum, 0)
            blurred = cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
            made[..., channel] = blurred[side - 1 : side - 1 + height, side - 1 : side - 1 + width]
        return made

    return run


def routes(radius: float) -> dict[str, Route]:
    """Every route by its name, ours first."""
    taps = DISK.taps(radius)
    return {
        OURS: partial(DISK.blur, size=radius),
        "direct": direct(taps),
        "running sums along rows": running_sums(taps),
        "nested boxes, no antialiasing": nested_boxes(taps),
        **{f"separable, rank {rank}": low_rank(taps, rank) for rank in RANKS if rank < len(taps) // 2 + 1},
        "DFT, float32": dft(taps, np.float32),
        "DFT, float64": dft(taps, np.float64),
        "cv2.filter2D as it comes": whole(taps),
    }


def times(made: dict[str, Route], planes: Planes, repeat: int) -> dict[str, float]:
    """The best processor time of each route, in milliseconds; the routes take turns."""
    best = dict.fromkeys(made, float("inf"))
    for _ in range(repeat):
        for name, route in made.items():
            started = time.process_time()
            route(planes)
            best[name] = min(best[name], (time.process_time() - started) * 1e3)
    return best


def errors(route: Route, pictures: Sequence[Planes], taps: Taps) -> tuple[float, float]:
    """Largest and RMS error of the colors, in gray levels."""
    differences = []
    for planes in pictures:
        exact = np.asarray(cv2.filter2D(planes.astype(np.float64), -1, taps, borderType=BORDER), np.float64)
        made = route(planes).astype(np.float64)
        differences.append(np.subtract(srgb_of(made[..., :3]), srgb_of(exact[..., :3])) * 255)
    return float(np.abs(differences).max()), float(np.sqrt(np.mean(np.square(differences))))


def read_pictures(coco: Path | None, split: str, count: int) -> list[Planes]:
    """Pictures in linear light, 480 x 640 x 4; every other segment is the matte."""
    cache = storage.cache_folder()
    coco = coco_folder(coco, split, "panoptic", cache=cache, approve=lambda _: False, say=click.echo)
    plan = make_plan(read_split(coco, split, cache=cache), BuildOptions(split))
    entries = [entry for shard in plan.shards for entry in shard][:count]
    pictures = []
    for image in map(read_image, entries):
        values = cv2.resize(values_of(image.picture, "linear"), SIZE, interpolation=cv2.INTER_AREA)
        matte = cv2.resize(image.segments % 2, SIZE, interpolation=cv2.INTER_NEAREST)
        pictures.append(np.dstack([values, matte.astype(np.float32)]))
    return pictures


@click.command()
@click.option("--coco", type=click.Path(path_type=Path), help="COCO folder; the demo split needs none.")
@click.option("--split", default="demo", show_default=True)
@click.option("--pictures", default=4, show_default=True, help="Number of pictures for the errors.")
@click.option("--repeat", default=7, show_default=True, help="Number of calls; the fastest counts.")
def main(coco: Path | None, split: str, pictures: int, repeat: int) -> None:
    """Print a table of all routes for pictures, and one for pictures with a matte."""
    cv2.setNumThreads(1)
    planes = read_pictures(coco, split, pictures)
    click.echo(
        f"{platform.machine()}, one thread; numpy {np.__version__}, OpenCV {cv2.__version__}; {split}."
    )
    table: dict[tuple[str, int], dict[float, str]] = {}
    for radius in RADII:
        made = routes(radius)
        wrong = {name: errors(route, planes, DISK.taps(radius)) for name, route in made.items()}
        for channels in (3, 4):
            best = times(made, planes[0][..., :channels].copy(), repeat)
            for name, (largest, rms) in wrong.items():
                cost = f"{best[OURS]:.1f} ms" if name == OURS else f"{best[name] / best[OURS]:.2f}"
                table.setdefault((name, channels), {})[radius] = f"{cost} ({largest:.1g}, {rms:.1g})"
    for channels in (3, 4):
        click.echo(f"\n| {channels} channels | {' | '.join(f'radius {radius}' for radius in RADII)} |")
        click.echo("|---" * (len(RADII) + 1) + "|")
        for name in routes(RADII[-1]):
            cells = table[name, channels]
            click.echo(f"| {name} | {' | '.join(cells.get(radius, '') for radius in RADII)} |")


if __name__ == "__main__":
    main()
