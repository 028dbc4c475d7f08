"""How long a stack takes to be fused and how much memory it needs, stage by stage.

    python scripts/bench_stack.py --docs      # 2, 8 and 30 frames at 1, 12 and 24 megapixels
    python scripts/bench_stack.py --quick     # 1 megapixel
    python scripts/bench_stack.py --model hf-seg --full    # every comparison of two frames: hours

Frames are JPEG files of a drawn scene that move a little, so that they are aligned. Each case runs in a
process of its own. A network for sets does all of it. One for two frames compares only the first tiles of a
case without --full. Its time per pixel stands for the others, where local contrast decides in its place; all
other stages are done in full.
"""

from __future__ import annotations

import platform
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from reproduce_tables import fill
from torch import Tensor

import zoo
from zoo.pictures.picture import PictureFile
from zoo.pictures.read import read_picture
from zoo.pictures.write import write_picture
from zoo.pretrained import FusionModel
from zoo.stacks import given, prepare
from zoo.stacks.planning import plan
from zoo.stacks.stack import FileStack

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SIZES = {1: (800, 1250), 12: (3000, 4000), 24: (4000, 6000)}
COUNTS = (2, 8, 30)
SAMPLED = 3
"""Comparisons by the network in a case, without --full; the first one warms it up."""
STAGES = ("read", "align", "decide", "compose", "write")
COLUMNS = ("frames", "megapixels", *STAGES, "in all", "reading alone", "writing alone", "peak memory, MB")
MOVED = 7
"""The most pixels by which a frame is moved."""


@dataclass
class Watch:
    """Seconds, by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to a stage."""

        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.add(stage, time.perf_counter() - started)

        return run

    def add(self, stage: str, seconds: float) -> None:
        """More time for a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


class Sampled:
    """A network that compares only so many tiles; then local contrast decides, which is not timed.

    Args:
        model: The network.
        calls: How many comparisons it makes; None is all of them.
        watch: `decide` is what the network took, or would have; `comparing` what was spent here.
    """

    def __init__(self, model: FusionModel, calls: int | None, watch: Watch) -> None:
        self.model, self.calls, self.watch = model, calls, watch
        self.config, self.device = model.config, model.device
        self._rates: list[float] = []

    def symmetric(self, a: Tensor, b: Tensor) -> Tensor:
        """Both orders of two tiles."""
        sampled = self.calls is None or len(self._rates) < self.calls
        started, pixels = time.perf_counter(), a.shape[-2] * a.shape[-1]
        logit = self.model.symmetric(a, b) if sampled else 50 * (contrast(a) - contrast(b))
        took = time.perf_counter() - started
        self.watch.add("comparing", took)
        if sampled:
            self._rates.append(took / pixels)
        warm = self._rates[1:] or self._rates
        self.watch.add("decide", took if sampled else pixels * sum(warm) / len(warm))
        return logit

    __call__ = symmetric


def watched(model: FusionModel, calls: int | None, watch: Watch) -> FusionModel | Sampled:
    """A network whose passes are timed: `decide`."""
    if not model.config.sets:
        return Sampled(model, calls, watch)
    model.scores = watch.timed("decide", model.scores)  # type: ignore[method-assign]
    return model


def contrast(frame: Tensor) -> Tensor:
    """How much a frame varies within squares of 8 pixels, N x 1 x H x W."""
    rough = torch.nn.functional.avg_pool2d((frame[:, 1:2, :, 1:] - frame[:, 1:2, :, :-1]).abs(), 8)
    return torch.nn.functional.interpolate(rough, frame.shape[-2:])


@dataclass(frozen=True)
class Case:
    """A stack to fuse."""

    frames: int
    megapixels: int
    model: str
    full: bool

    def row(self) -> str:
        """Draw it, fuse it, and tell what it took."""
        with tempfile.TemporaryDirectory() as folder:
            paths = alone(draw, Path(folder), self.frames, *SIZES[self.megapixels])
            reading, writing = alone(reading_and_writing, paths)
            seconds, memory = alone(fuse, self, paths)
        stages = [f"{seconds[name]:.1f}" for name in STAGES]
        rest = [f"{sum(seconds.values()):.0f}", f"{reading:.1f}", f"{writing:.1f}", f"{memory:.0f}"]
        return f"| {' | '.join([str(self.frames), str(self.megapixels), *stages, *rest])} |"


def alone(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def draw(folder: Path, count: int, height: int, width: int) -> list[Path]:
    """Frames of one texture, each sharp in another stripe and moved by some pixels."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height + MOVED, width + MOVED, 3), np.uint8)
    sharp = cv2.convertScaleAbs(cv2.GaussianBlur(noise, None, 1.5), alpha=3, beta=-256)
    blurred = cv2.GaussianBlur(sharp, None, 4)
    paths = []
    for number in range(count):
        frame = blurred.copy()
        stripe = slice(number * width // count, (number + 1) * width // count + MOVED)
        frame[:, stripe] = sharp[:, stripe]
        top, left = (0, 0) if number == 0 else rng.integers(0, MOVED + 1, 2)
        paths.append(folder / f"{number:02d}.jpg")
        cv2.imwrite(str(paths[-1]), frame[top : top + height, left : left + width])
    return paths


def reading_and_writing(paths: list[Path]) -> tuple[float, float]:
    """Seconds to read every frame once, and to write one of them as the result is written."""
    started = time.perf_counter()
    for path in paths:
        picture = read_picture(path)
    read = time.perf_counter() - started
    started = time.perf_counter()
    write_picture(paths[0].parent / "alone.png", PictureFile(picture.pixels))
    return read, time.perf_counter() - started


def fuse(case: Case, paths: list[Path]) -> tuple[dict[str, float], float]:
    """Fuse a case: seconds by stage, and peak memory in MB."""
    watch = Watch()
    model = watched(zoo.load(case.model, device="cpu"), None if case.full else SAMPLED, watch)
    FileStack.frame = watch.timed("read", FileStack.frame)  # type: ignore[method-assign]
    given.read_frame = watch.timed("read", given.read_frame)
    plan.register = watch.timed("align", plan.register)
    prepare.onto = watch.timed("align", prepare.onto)
    started = time.perf_counter()
    fused = zoo.fuse_stack(model, paths, zoo.FuseOptions(align=True))
    spent = time.perf_counter() - started
    watch.timed("write", write_picture)(paths[0].parent / "fused.png", PictureFile(fused.image))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    seconds = watch.seconds
    comparing = seconds.get("comparing", seconds["decide"])
    seconds["compose"] = spent - seconds["read"] - seconds["align"] - comparing
    return {name: seconds[name] for name in STAGES}, memory


def machine() -> str:
    """What the times were measured on."""
    return f"{platform.machine()} CPU, {torch.get_num_threads()} cores; torch {torch.__version__}"


@click.command()
@click.option("--quick", is_flag=True, help="Only 1 megapixel.")
@click.option("--full", is_flag=True, help="Every comparison by a network for two frames, which takes hours.")
@click.option("--model", default="focus-set", show_default=True, help="The network.")
@click.option("--docs", is_flag=True, help="Put the table into docs/benchmarks.md.")
def main(quick: bool, full: bool, model: str, docs: bool) -> None:
    """Print the table of docs/benchmarks.md on stacks: seconds by stage, and memory."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    print(f"{machine()}\n\n{lines[0]}\n{lines[1]}", flush=True)
    for megapixels in SIZES if not quick else (1,):
        for frames in COUNTS:
            lines.append(Case(frames, megapixels, model, full).row())
            print(lines[-1], flush=True)
    if docs:
        fill({"benchmarks/stack.md": f"{machine()}.\n\n" + "\n".join(lines) + "\n"}, PAGE)


if __name__ == "__main__":
    main()
