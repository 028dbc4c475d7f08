"""A COCO folder of five small pictures, and the data sets that the real command builds from it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NASTY = "</script><script>alert('$x$')</script><!--<script>"
SIZES = {7: (96, 80), 12: (80, 96), 30: (96, 80), 41: (61, 47), 99: (64, 64)}
"""Width and height by image id; 99 is one single segment, so that it is left out."""

Mfsynth = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class DataSets:
    """The same draws in both stores."""

    pairs: Path
    recipes: Path


def _picture(image_id: int) -> np.ndarray:
    width, height = SIZES[image_id]
    coarse = np.random.default_rng(image_id).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _ids(image_id: int) -> np.ndarray:
    width, height = SIZES[image_id]
    ids = np.full((height, width), 70_000, np.uint32)
    if image_id != 99:
        ids[: height // 2, : width // 3] = 5
        ids[height // 3 :, width // 2 :] = 300
        ids[-height // 4 :, : width // 4] = 16_000_000
    return ids


def _write_picture(root: Path, image_id: int) -> dict[str, Any]:
    ids = _ids(image_id)
    Image.fromarray(_picture(image_id)).save(root / "tiny" / f"{image_id:012d}.jpg", quality=95)
    channels = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    Image.fromarray(channels).save(root / "panoptic_tiny" / f"{image_id:012d}.png")
    numbers, areas = np.unique(ids, return_counts=True)
    segments = [
        {"id": int(number), "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": int(area)}
        for number, area in zip(numbers, areas, strict=True)
    ]
    return {"image_id": image_id, "file_name": f"{image_id:012d}.png", "segments_info": segments}


def _image(image_id: int) -> dict[str, Any]:
    width, height = SIZES[image_id]
    name = f"{image_id:012d}.jpg"
    size = {"width": width, "height": height}
    urls = {"coco_url": NASTY, "flickr_url": "https://example.org/x.jpg"}
    return {"id": image_id, "file_name": name, "license": 1 + image_id % 2, **size, **urls}


@pytest.fixture(scope="session")
def tiny_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny-coco")
    for name in ("tiny", "panoptic_tiny", "annotations"):
        (root / name).mkdir()
    content = {
        "licenses": [{"id": 1, "name": NASTY, "url": ""}, {"id": 2, "name": "Two $licences", "url": ""}],
        "images": [_image(image_id) for image_id in SIZES],
        "annotations": [_write_picture(root, image_id) for image_id in SIZES],
        "categories": [{"id": 1, "name": "thing", "isthing": 1, "supercategory": "thing"}],
    }
    (root / "annotations" / "panoptic_tiny.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def mfsynth() -> Mfsynth:
    """Runs `mfsynth …` in a process of its own."""

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mfsynth.cli", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="session")
def data(tiny_coco: Path, mfsynth: Mfsynth, tmp_path_factory: pytest.TempPathFactory) -> DataSets:
    """Eight samples, two of each usable picture, in two shards."""
    root = tmp_path_factory.mktemp("tiny")
    sets = DataSets(root / "pairs", root / "recipe")
    for store, out in (("pairs", sets.pairs), ("recipe", sets.recipes)):
        done = mfsynth(
            "build", "--split", "tiny", "--coco", tiny_coco, "--out", out, "--store", store,
            "--variants", 2, "--shards", 2, "--noise", 0, 0.1, "--workers", 1, "--quiet",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return sets
