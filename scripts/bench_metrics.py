"""How long the metrics of a fused picture take, on one core.

    python scripts/bench_metrics.py              # 520 x 520, and an odd size
    python scripts/bench_metrics.py --repeat 3

The best of several calls in milliseconds of processor time, so that other programs do not count: each metric by itself,
all of a fresh pair, and all of one more fused picture of a pair whose features are kept.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import time
from collections.abc import Callable

import click
import cv2
import numpy as np

from zoo.evaluation.metrics import Sources, q_cb, q_g, q_mi, q_ncie, q_p, q_s, q_te, ssim
from zoo.evaluation.metrics.planes import Plane

SIZES = [(520, 520), (521, 523)]
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
@click.option("--repeat", default=7, show_default=True, help="Calls of which the best counts.")
def main(repeat: int) -> None:
    """Print a table of the metrics' times."""
    cv2.setNumThreads(1)
    print(
        f"{platform.machine()}, one core; numpy {np.__version__}, OpenCV {cv2.__version__}. Milliseconds.\n"
    )
    print(f"| | {' | '.join(f'{height} x {width}' for height, width in SIZES)} |\n|---|{'---|' * len(SIZES)}")
    pairs = [planes(*size) for size in SIZES]
    kept = [Sources(a, b) for a, b, _ in pairs]
    rows: list[tuple[str, list[Callable[[], object]]]] = [
        (metric.__name__, [lambda metric=metric, pair=pair: metric(*pair) for pair in pairs])  # type: ignore[misc]
        for metric in METRICS
    ]
    rows += [
        ("ssim", [lambda pair=pair: ssim(*pair[1:]) for pair in pairs]),  # type: ignore[misc]
        ("all seven", [lambda pair=pair: Sources(*pair[:2]).score(pair[2]) for pair in pairs]),  # type: ignore[misc]
        (
            "all seven, features kept",
            [lambda one=one, pair=pair: one.score(pair[2]) for one, pair in zip(kept, pairs, strict=True)],  # type: ignore[misc]
        ),
    ]
    for name, each in rows:
        print(f"| {name} | {' | '.join(f'{milliseconds(work, repeat):.0f}' for work in each)} |", flush=True)


if __name__ == "__main__":
    main()
