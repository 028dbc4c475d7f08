"""How long the metrics of a fused picture take, on one core.

    python scripts/bench_metrics.py              # 520 x 520
    python scripts/bench_metrics.py --side 521   # a prime number, at which FFTs are slow

The best of several calls in milliseconds of processor time, so that other programs count less: each metric by
itself, all of a fresh pair, and all of one more fused picture of a pair whose features are kept.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import time
from collections.abc import Callable
from functools import partial

import click
import cv2
import numpy as np

from zoo.metrics import Sources, q_cb, q_g, q_mi, q_ncie, q_p, q_s, q_te, ssim
from zoo.metrics.planes import Plane

METRICS = [q_mi, q_te, q_ncie, q_g, q_p, q_s, q_cb]


def planes(height: int, width: int) -> list[Plane]:
    """Two sources, each soft on one side, and the mean of them."""
    noise = np.random.default_rng(0).normal(128, 60, (height, width))
    sharp, soft = (cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (0.8, 3))
    left = np.arange(width) < width // 2
    a, b = np.where(left, sharp, soft), np.where(left, soft, sharp)
    return [picture.clip(0, 255).astype(np.uint8) for picture in (a, b, (a + b) / 2)]


def milliseconds(work: Callable[[], object], repeat: int) -> float:
    """The best processor time of several calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times) * 1e3


@click.command()
@click.option("--side", default=520, show_default=True, help="Pictures are so many pixels wide and high.")
@click.option("--repeat", default=3, show_default=True, help="Calls of which the best counts.")
def main(side: int, repeat: int) -> None:
    """Print a table of the metrics' times."""
    cv2.setNumThreads(1)
    a, b, fused = planes(side, side)
    kept = Sources(a, b)
    rows: dict[str, Callable[[], object]] = {
        **{metric.__name__: partial(metric, a, b, fused) for metric in METRICS},
        "ssim": partial(ssim, a, fused),
        "all seven": lambda: Sources(a, b).score(fused),
        "all seven, features kept": partial(kept.score, fused),
    }
    print(f"{platform.machine()}, one core; numpy {np.__version__}, OpenCV {cv2.__version__}.\n")
    print(f"| {side} x {side} | ms |\n|---|---|")
    for name, work in rows.items():
        print(f"| {name} | {milliseconds(work, repeat):.0f} |", flush=True)


if __name__ == "__main__":
    main()
