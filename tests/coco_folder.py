"""Writes small COCO panoptic folders for tests, with OpenCV and the standard library alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class Picture:
    """One picture with its segments: `ids` are shared out in a grid; 0 is void."""

    id: int
    height: int = 40
    width: int = 56
    ids: tuple[int, ...] = (0, 1001, 70_002, 16_000_003, 255)
    license: int = 4
    suffix: str = ".jpg"

    @property
    def name(self) -> str:
        return f"{self.id:012d}{self.suffix}"

    def pixels(self) -> np.ndarray:
        """A smooth picture with some grain, H x W x 3, BGR."""
        rng = np.random.Generator(np.random.Philox(key=self.id))
        coarse = rng.uniform(0, 255, (6, 6, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        return np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)

    def segment_ids(self) -> np.ndarray:
        """H x W, segment ids in vertical stripes of unequal width."""
        edges = np.linspace(0, self.width, len(self.ids) + 1).astype(int)
        ids = np.zeros((self.height, self.width), np.uint32)
        for id, low, high in zip(self.ids, edges, edges[1:], strict=False):
            ids[self.height // 5 :, low:high] = id
        return ids

    def segments_info(self) -> list[dict[str, Any]]:
        ids = self.segment_ids()
        return [
            {
                "id": id,
                "category_id": 1 + k,
                "iscrowd": 0,
                "bbox": [0, 0, 1, 1],
                "area": int((ids == id).sum()),
            }
            for k, id in enumerate(sorted(set(self.ids) - {0}))
        ]


def write_coco(root: Path, split: str, pictures: list[Picture]) -> None:
    """Write pictures, masks and annotations of a split."""
    for folder in (split, f"panoptic_{split}", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        cv2.imwrite(str(root / split / picture.name), picture.pixels())
        cv2.imwrite(
            str(root / f"panoptic_{split}" / f"{picture.id:012d}.png"), mask_bgr(picture.segment_ids())
        )
    write_annotations(root, split, pictures)


def write_annotations(root: Path, split: str, pictures: list[Picture]) -> None:
    """Write the panoptic JSON of a split alone."""
    content = {
        "info": {"description": split},
        "licenses": [
            {"id": 4, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}
        ],
        "images": [
            {"id": p.id, "file_name": p.name, "height": p.height, "width": p.width, "license": p.license}
            for p in pictures
        ],
        "annotations": [
            {"image_id": p.id, "file_name": f"{p.id:012d}.png", "segments_info": p.segments_info()}
            for p in pictures
        ],
        "categories": [
            {"id": k, "name": f"thing {k}", "isthing": 1, "supercategory": "thing"} for k in range(1, 99)
        ],
    }
    annotations_path(root, split).write_text(json.dumps(content))


def annotations_path(root: Path, split: str) -> Path:
    return root / "annotations" / f"panoptic_{split}.json"


def edit_annotations(root: Path, split: str) -> dict[str, Any]:
    """The annotations, to be changed and written back with `save_annotations`."""
    content: dict[str, Any] = json.loads(annotations_path(root, split).read_text())
    return content


def save_annotations(root: Path, split: str, content: dict[str, Any]) -> None:
    annotations_path(root, split).write_text(json.dumps(content))


def mask_bgr(ids: np.ndarray) -> np.ndarray:
    """A panoptic PNG's pixels for OpenCV: blue, green, red from the id's bytes, highest first."""
    return np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
