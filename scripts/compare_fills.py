"""How well what a layer hides is restored, and how long it takes: `--fill nearest` and `inpaint`.

    python scripts/compare_fills.py ../shared/coco --split val2017

Of each picture, the near segments' mask is moved to where it hides something else, which is known. Printed
are the PSNR of what is filled in its place, by the distance from the mask's edge in pixels; the same after a
blur, since hidden colors are seen blurred or through a blurred rim; and processor time for each picture.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections import defaultdict
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np

import mfsynth
from mfsynth.sample import Scene
from mfsynth.synthesis.optics.hidden import EDGE, hidden_pixels, inpainted

if TYPE_CHECKING:
    from numpy.typing import NDArray

RINGS = ((0, 2), (2, 4), (4, 8), (8, 16))
DEPTH = 16
BLUR = 9


def moved(scene: Scene) -> Scene:
    """The scene with its segments moved by a third of the height and a quarter of the width."""
    height, width = scene.size
    segments = np.roll(scene.segments, (height // 3, width // 4), axis=(0, 1))
    return Scene(scene.picture, segments, scene.recipe)


def filled(scene: Scene, fill: str) -> NDArray[np.uint8]:
    """The picture with what the near plane hides filled."""
    planes = scene.planes()
    hidden = hidden_pixels(planes, 0, DEPTH + EDGE + 1, scene.recipe)
    made = scene.picture.copy()
    behind = inpainted(scene, 0, DEPTH + EDGE + 1) if fill == "inpaint" else scene.picture
    sources = hidden.places if fill == "inpaint" else hidden.sources
    made.reshape(-1, 3)[hidden.places] = behind.reshape(-1, 3)[sources]
    return made


@click.command()
@click.argument("coco")
@click.option("--split", default="val2017", show_default=True)
@click.option("--limit", default=100, show_default=True, help="Number of pictures.")
@click.option("--radius", default=8.0, show_default=True, help="Of the disk, on which rims depend.")
def main(coco: str, split: str, limit: int, radius: float) -> None:
    """Print a table of both fills."""
    cv2.setNumThreads(1)
    stream = mfsynth.synthesize(
        coco, split, preset="realistic", radius=(radius, radius), capture="clean", limit=limit, render=False
    )
    scenes = [moved(scene) for scene in stream]
    print(f"| fill | {' | '.join(f'{a} to {b} px' for a, b in RINGS)} | blurred | ms |")
    print("|---" * (len(RINGS) + 3) + "|")
    for fill in ("nearest", "inpaint"):
        errors: defaultdict[object, float] = defaultdict(float)
        counts: defaultdict[object, int] = defaultdict(int)
        seconds = 0.0
        for scene in scenes:
            started = time.process_time()
            made = filled(scene, fill)
            seconds += time.process_time() - started
            near = (scene.planes() > 0).astype(np.uint8)
            depth = cv2.distanceTransform(near, cv2.DIST_L2, cv2.DIST_MASK_5)
            squares = ((made.astype(np.float64) - scene.picture) ** 2).mean(axis=2)
            soft = [cv2.blur(picture, (BLUR, BLUR)).astype(np.float64) for picture in (made, scene.picture)]
            blurred = ((soft[0] - soft[1]) ** 2).mean(axis=2)
            for key, (low, high), of in (
                *((ring, ring, squares) for ring in RINGS),
                ("blurred", (0, DEPTH), blurred),
            ):
                ring = (depth > low) & (depth <= high)
                errors[key] += of[ring].sum()
                counts[key] += int(ring.sum())
        values = [10 * np.log10(255**2 / (errors[key] / counts[key])) for key in (*RINGS, "blurred")]
        cells = [f"{value:.2f}" for value in values] + [f"{seconds / len(scenes) * 1e3:.0f}"]
        print(f"| {fill} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
