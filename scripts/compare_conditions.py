"""How well stacks are fused as people take them: networks, pyramid, gff, bare and as `mfsynth fuse` does it.

    python scripts/compare_conditions.py --coco ../shared/coco --update docs/benchmarks.md

Scenes are drawn by code; with --coco, `mfsynth.synthesize` makes some from pictures, too. Each condition
changes one thing in the frames of a scene whose truth is known. Bare is the method on the frames as they
are or, where they moved, registered to the first with mirrored borders. With mfsynth is `fuse_stack`;
classic methods get the frames that it prepares. PSNR is taken against the truth in the first frame's
geometry and exposure, over the same pixels for both, and averaged over the scenes. A method that loses more
than 0.1 dB in any scene is marked; the exit code is 1 if one does where nothing is wrong.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

import mfsynth
import zoo
from zoo.alignment.canvas import Canvas
from zoo.alignment.register import estimate
from zoo.errors import AlignmentError
from zoo.evaluation.baselines import get
from zoo.evaluation.prepared import Prepared
from zoo.stacks.bursts import burst_of
from zoo.stacks.fuse import fuse_stack
from zoo.stacks.options import FuseOptions

Values = NDArray[Any]

HEIGHT, WIDTH = 400, 520
"""Of the frames, in pixels."""
MARGIN = 40, 60
"""How much more of a scene there is on each side, for frames that move."""
NETWORKS = ("focus-set", "hf-seg")
METHODS = (*NETWORKS, "pyramid", "gff")
LOSS = 0.1
"""In dB."""
UNMOVED = 0.05
"""Frames that moved by less, in pixels, were not interpolated."""
MARK = "benchmarks/conditions.md"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture and two frames of it, larger than frames by the margin; float in [0, 1], RGB."""

    truth: Values
    near: Values
    far: Values

    def dimmed(self) -> Scene:
        """With room above, so that a brighter frame is not cut off."""
        return Scene(*(0.02 + 0.7 * each for each in (self.truth, self.near, self.far)))


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Frames in which one thing is wrong.

    Args:
        truth: As the first frame shows it, in the frames' values.
        frames: Of one dtype.
        options: How they are fused.
        peak: From black to white, for the PSNR.
    """

    truth: Values
    frames: list[Values]
    options: FuseOptions = field(default_factory=FuseOptions)
    peak: float = 255


# --- scenes -------------------------------------------------------------------------------------------


def texture(random: np.random.Generator) -> Values:
    """Random texture of several scales, discs and rings."""
    height, width = HEIGHT + 2 * MARGIN[0], WIDTH + 2 * MARGIN[1]
    picture = np.zeros((height, width, 3), np.float32)
    for k in (1, 2, 4, 8, 16):
        small = random.random((height // k, width // k, 3), np.float32)
        picture += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = (picture - picture.min()) / np.ptp(picture)
    for _ in range(60):
        center = int(random.integers(width)), int(random.integers(height))
        thick = -1 if random.random() < 0.5 else 2
        cv2.circle(picture, center, int(random.integers(4, 24)), random.random(3).tolist(), thick)
    return np.clip(picture * 0.95 + 0.02, 0, 1)


def drawn(seed: int) -> Scene:
    """Textured blobs before a textured background; what is out of focus spreads over its edges."""
    random = np.random.default_rng(seed)
    back, front = texture(random), texture(random)
    return layered(back, front, blobs(random), 4.0)


def blobs(random: np.random.Generator) -> Values:
    """A matte of five discs and a fence of thin bars, H x W, 0 or 1."""
    matte = np.zeros((HEIGHT + 2 * MARGIN[0], WIDTH + 2 * MARGIN[1]), np.float32)
    for _ in range(5):
        center = int(random.integers(matte.shape[1])), int(random.integers(matte.shape[0]))
        cv2.circle(matte, center, int(random.integers(30, 90)), 1.0, -1)
    for x in range(70, matte.shape[1], 90):
        cv2.line(matte, (x, 0), (x + 40, matte.shape[0]), 1.0, 3)
    return matte


def layered(back: Values, front: Values, matte: Values, sigma: float) -> Scene:
    """The two planes: both sharp, the front sharp, the back sharp."""
    matte = matte[..., None]
    soft, over = blurred(matte, sigma), blurred(front * matte, sigma)
    truth = back * (1 - matte) + front * matte
    return Scene(truth, blurred(back, sigma) * (1 - matte) + front * matte, back * (1 - soft) + over)


def made_from(coco: Path, split: str, number: int) -> Iterator[Scene]:
    """Scenes from pictures that are large enough, each segment sharp in one of the frames."""
    high, wide = HEIGHT + 2 * MARGIN[0], WIDTH + 2 * MARGIN[1]
    for sample in mfsynth.synthesize(coco, split, seed=2017, sigma=(3.0, 4.0), boundary="spread"):
        if number and sample.gt.shape[0] >= high and sample.gt.shape[1] >= wide:
            near, far = sample.frames
            yield Scene(*(each[:high, :wide] / 255 for each in (sample.gt, near, far)))
            number -= 1


def blurred(picture: Values, sigma: float) -> Values:
    """By a Gaussian."""
    soft = cv2.GaussianBlur(picture, (0, 0), sigma)
    return soft if soft.ndim == picture.ndim else soft[..., None]


def view(scene: Values, zoom: float = 1, move: tuple[float, float] = (0, 0), degrees: float = 0) -> Values:
    """What a frame shows of a scene: its middle, larger, moved to the right and down, and turned."""
    height, width = scene.shape[:2]
    inner = scene[MARGIN[0] : height - MARGIN[0], MARGIN[1] : width - MARGIN[1]]
    if (zoom, move, degrees) == (1, (0, 0), 0):
        return inner
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    matrix[:, 2] += np.array(move) - MARGIN[::-1]
    return cv2.warpAffine(scene, matrix, inner.shape[1::-1], flags=cv2.INTER_CUBIC)


def u8(picture: Values) -> NDArray[np.uint8]:
    """In levels from 0 to 255."""
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


# --- conditions ---------------------------------------------------------------------------------------


def nothing(scene: Scene) -> Case:
    """Frames as the methods expect them."""
    return Case(u8(view(scene.truth)), [u8(view(scene.near)), u8(view(scene.far))])


def nothing_aligned(scene: Scene) -> Case:
    """The same, registered though nothing moved."""
    plain = nothing(scene)
    return Case(plain.truth, plain.frames, FuseOptions(align=True))


def brighter(*gains: float) -> Callable[[Scene], Case]:
    """The second frame has another exposure, or other gains of red, green and blue."""

    def case(scene: Scene) -> Case:
        dim = scene.dimmed()
        far = view(dim.far) * np.array(gains)
        return Case(u8(view(dim.truth)), [u8(view(dim.near)), u8(far)])

    return case


def black(scene: Scene) -> Case:
    """A third frame is black: the flash did not fire."""
    plain = nothing(scene)
    return Case(plain.truth, [*plain.frames, np.zeros_like(plain.truth)])


def backdrop(gain: float) -> Callable[[Scene], Case]:
    """The far plane is smooth, and sharp in neither frame; there is a little noise."""

    def case(scene: Scene) -> Case:
        random = np.random.default_rng(7)
        y, x = np.mgrid[: scene.truth.shape[0], : scene.truth.shape[1]]
        smooth = np.dstack([0.5 + 0.1 * y / y.max(), 0.55 + 0.1 * x / x.max(), np.full(x.shape, 0.6)])
        truth, frames = smooth, [smooth, smooth]
        for side, center in enumerate((0.3, 0.7)):
            matte = np.hypot(x - center * x.max(), y - 0.6 * y.max()) < 90
            sharp = layered(truth, scene.truth, matte.astype(np.float64), 5.0)
            soft = [layered(each, scene.truth, matte.astype(np.float64), 5.0) for each in frames]
            truth = sharp.truth
            frames = [each.truth if k == side else each.far for k, each in enumerate(soft)]
        first, second = (view(each) + random.normal(0, 0.6 / 255, view(each).shape) for each in frames)
        return Case(u8(view(truth)), [u8(first), u8(second * gain)])

    return case


def moved(crop: Any) -> Callable[[Scene], Case]:
    """The second frame is larger by 3 %, turned by a degree, and moved: a tenth of the first lies outside."""

    def case(scene: Scene) -> Case:
        far = view(scene.far, 1.03, (9, 8), 1.0)
        options = FuseOptions(align=True, crop=crop)
        return Case(u8(view(scene.truth)), [u8(view(scene.near)), u8(far)], options)

    return case


def deep(scene: Scene) -> Case:
    """A tilted plane in ten frames, each sharp in a strip, 0.4 % larger than the one before, and moved."""
    number = 10
    moves = np.cumsum([[0, 0], *np.random.default_rng(2).normal(0, 1, (number - 1, 2))], 0)
    frames = [
        u8(view(tilted(scene.truth, (k + 0.5) / number, 0.6 / number), 1 + 0.004 * k, tuple(moves[k])))
        for k in range(number)
    ]
    return Case(u8(view(scene.truth)), frames, FuseOptions(align=True, crop="common"))


def tilted(picture: Values, sharp: float, reach: float) -> Values:
    """A plane that is sharp around one height, in [0, 1]; every row spreads by the blur of its own depth.

    To blur each row by what its neighbors look like would move edges, which no lens does.
    """
    sigmas = np.array([0.0, 0.7, 1.4, 2.2, 3.2, 4.5, 6.3, 9.0, 12.5, 18.0])
    distance = np.abs((np.arange(picture.shape[0]) - MARGIN[0] + 0.5) / HEIGHT - sharp)
    sigma = np.where(distance < reach, 0, distance * 22)
    total, weight = np.zeros_like(picture), np.zeros_like(picture)
    for i, each in enumerate(sigmas):
        share = np.interp(sigma, sigmas, np.eye(len(sigmas))[i])[:, None, None] * np.ones_like(picture)
        total += blurred(picture * share, each) if each else picture * share
        weight += blurred(share, each) if each else share
    return total / weight


def dim(signal: int) -> Callable[[Scene], Case]:
    """Gray counts of 16 bits that use little of their range: an offset of 100, and noise of 3."""

    def case(scene: Scene) -> Case:
        random = np.random.default_rng(3)
        near, far = (100 + signal * view(each).mean(axis=2) for each in (scene.near, scene.far))
        counts = [np.rint(each + random.normal(0, 3, each.shape)).astype(np.uint16) for each in (near, far)]
        return Case(100 + signal * view(scene.truth).mean(axis=2), counts, peak=signal)

    return case


def hot(scene: Scene) -> Case:
    """One pixel of the sensor in two thousand is hot, and the frames move."""
    clean = moved("common")(scene)
    sensor = np.random.default_rng(4).random((HEIGHT, WIDTH)) < 1 / 2000
    frames = [np.where(sensor[..., None], np.uint8(255), frame) for frame in clean.frames]
    return Case(clean.truth, frames, clean.options)


CONDITIONS: dict[str, Callable[[Scene], Case]] = {
    "nothing is wrong": nothing,
    "nothing is wrong, registered": nothing_aligned,
    "second frame at 0.7 of the exposure": brighter(0.7),
    "second frame at 1.3": brighter(1.3),
    "second frame at 0.9": brighter(0.9),
    "second frame at 1.1": brighter(1.1),
    "a black frame beside two": black,
    "white balance, red 0.85, blue 1.15": brighter(0.85, 1.0, 1.15),
    "a smooth backdrop": backdrop(1.0),
    "a smooth backdrop, second frame at 1.05": backdrop(1.05),
    "moved, the first frame's rectangle": moved("first"),
    "moved, what both show": moved("common"),
    "ten frames, breathing": deep,
    "16 bits, 500 counts": dim(500),
    "16 bits, 250 counts": dim(250),
    "hot pixels, moved": hot,
}


# --- fusing -------------------------------------------------------------------------------------------


def bare(method: str, case: Case) -> Values | None:
    """The method's picture of the frames as they are or, where they moved, registered to the first."""
    frames = case.frames
    if case.options.align:
        try:
            frames = [frames[0], *(mirrored(frame, frames[0]) for frame in frames[1:])]
        except AlignmentError:
            return None
    if method in NETWORKS:
        model = network(method)
        return model.fuse(frames, burst=burst_of(model, len(frames))).image
    return get(method).fuse(frames).image


def mirrored(frame: Values, first: Values) -> Values:
    """A frame registered to the first; mirrored where it shows nothing."""
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    size = first.shape[1::-1]
    move = estimate(first, frame)
    if move.displacement(*first.shape[:2]) < UNMOVED:
        return frame
    return cv2.warpAffine(frame, move.matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def as_taken(method: str, case: Case) -> tuple[Values, Canvas]:
    """The picture that mfsynth makes with a method, and what of the first frame it covers."""
    if method in NETWORKS:
        done = fuse_stack(network(method), case.frames, case.options)
        return done.image, done.plan.canvas
    ready = Prepared.of(case.frames, case.options)
    return ready.fused_classically(get(method).fuse).image, ready.canvas


_networks: dict[str, zoo.FusionModel] = {}


def network(name: str) -> zoo.FusionModel:
    """A network, loaded once."""
    if name not in _networks:
        _networks[name] = zoo.load(name, device="cpu")
    return _networks[name]


def compared(method: str, case: Case) -> tuple[float, float]:
    """PSNR in dB, bare and with mfsynth; NaN where frames could not be registered."""
    try:
        image, canvas = as_taken(method, case)
    except AlignmentError:
        return np.nan, np.nan
    rows, columns = (
        slice(canvas.top, canvas.top + canvas.height),
        slice(canvas.left, canvas.left + canvas.width),
    )
    truth, before = case.truth[rows, columns], bare(method, case)
    alone = np.nan if before is None else psnr(before[rows, columns], truth, case.peak)
    return alone, psnr(image, truth, case.peak)


def psnr(picture: Values, truth: Values, peak: float) -> float:
    """In dB, 100 at most."""
    error = np.mean((picture.astype(np.float64) - truth) ** 2)
    return float(10 * np.log10(peak**2 / max(error, 1e-10 * peak**2)))


# --- the table ----------------------------------------------------------------------------------------


def row(condition: str, results: dict[str, NDArray[np.float64]]) -> list[str]:
    """Means over the scenes; a loss in any scene is marked."""
    cells = [condition]
    for values in results.values():
        cells += [told(values[:, 0]), told(values[:, 1]) + (" ↓" if loses(values) else "")]
    return cells


def told(values: NDArray[np.float64]) -> str:
    """The mean, and how many scenes have none."""
    refused = np.isnan(values)
    if refused.all():
        return "refused"
    return f"{values[~refused].mean():.1f}{f' ({refused.sum()} refused)' if refused.any() else ''}"


def loses(values: NDArray[np.float64]) -> bool:
    """Whether preparing costs more than 0.1 dB in any scene."""
    return bool(np.any(~(values[:, 1] >= values[:, 0] - LOSS) & ~np.isnan(values[:, 0])))


def markdown(rows: Iterable[list[str]], scenes: str) -> str:
    """The table."""
    head = ["", *(f"{method}, {how}" for method in METHODS for how in ("bare", "with mfsynth"))]
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"PSNR in dB, {WIDTH} x {HEIGHT} pixels, means over {scenes}.\n\n{table}\n"


def updated(page: str, text: str) -> str:
    """A page with the text between its marks."""
    between = re.compile(rf"(<!-- {re.escape(MARK)} -->\n).*?(<!-- end -->)", re.DOTALL)
    return between.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", page)


@click.command()
@click.option("--coco", type=click.Path(exists=True, path_type=Path), help="COCO folder.")
@click.option("--split", default="val2017", show_default=True)
@click.option("--pictures", default=3, show_default=True, help="Scenes made from COCO.")
@click.option("--drawn", "number", default=2, show_default=True, help="Scenes drawn by code.")
@click.option("--only", default="", help="Conditions with this in their name.")
@click.option("--update", type=click.Path(exists=True, path_type=Path), help="Page to write the table into.")
def main(coco: Path | None, split: str, pictures: int, number: int, only: str, update: Path | None) -> None:
    """Print the table."""
    scenes = [drawn(seed) for seed in range(number)]
    if coco is not None:
        scenes += made_from(coco, split, pictures)
    rows, wrong = [], False
    for condition, case_of in CONDITIONS.items():
        if only not in condition:
            continue
        cases = [case_of(scene) for scene in scenes]
        results = {method: np.array([compared(method, case) for case in cases]) for method in METHODS}
        wrong |= case_of in (nothing, nothing_aligned) and any(map(loses, results.values()))
        rows.append(row(condition, results))
        click.echo("  ".join(rows[-1]), err=True)
    text = markdown(rows, f"{number} scenes drawn by code and {len(scenes) - number} made from {split}")
    click.echo(text)
    if update is not None:
        update.write_text(updated(update.read_text("utf-8"), text), "utf-8")
    sys.exit(int(wrong))


if __name__ == "__main__":
    main()
