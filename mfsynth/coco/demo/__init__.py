"""The embedded split: scenes drawn by code, written as COCO lays out a panoptic split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mfsynth.coco.demo import textures as tx
from mfsynth.coco.demo.canvas import Canvas
from mfsynth.coco.demo.scenes import SCENES
from mfsynth.coco.demo.shapes import Mask

DEMO_VERSION = 1
VOID = 0
_JPEG_QUALITY = 92
_GRAY_IMAGE = 23
_SIZES = ((480, 640), (427, 640), (480, 640), (640, 480), (480, 640), (375, 500), (480, 640))
# A category's id is its place in both lists, counted from 1.
_STUFF = "sky wall ground table water hill grass fence shelf fabric"
_THINGS = "tree flower leaf fruit stone sign book box ball vase tool boat house picture"
_CATEGORY_IDS = {name: index for index, name in enumerate(f"{_STUFF} {_THINGS}".split(), 1)}


def draw_scene(index: int) -> Canvas:
    """Draw the scene of this index, counted from 0: the same one every time."""
    height, width = _SIZES[index % len(_SIZES)]
    rng = np.random.Generator(np.random.Philox(key=(DEMO_VERSION << 32) + index))
    canvas = Canvas(height, width, rng, index // len(SCENES))
    SCENES[index % len(SCENES)](canvas)
    if index % 4 == 1:
        canvas.ids[_seams(canvas.ids)] = VOID
    return canvas


def _seams(ids: Mask) -> NDArray[np.bool_]:
    """Where segments meet, which annotators often leave unlabelled."""
    seams = np.zeros(ids.shape, bool)
    seams[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    seams[1:] |= ids[1:] != ids[:-1]
    return seams


def develop(c: Canvas) -> NDArray[np.uint8]:
    """The scene as a photograph: light that falls off, a soft lens, grain. H x W x 3, RGB, uint8."""
    down, right = tx.ramp(c.height, c.width)
    fall = 1.17 - 0.13 * (right + down) - 0.22 * ((right - 0.5) ** 2 + (down - 0.5) ** 2)
    picture = tx.shaded(c.picture, np.asarray(fall, np.float32))
    small = cv2.resize(picture, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    glow = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3), (c.width, c.height))
    soft = cv2.addWeighted(cv2.GaussianBlur(picture, (0, 0), 0.55), 0.88, glow, 0.14, 0)
    grain = np.float32(0.011) * c.rng.standard_normal((c.height, c.width), np.float32)
    grainy = cv2.add(soft, cv2.merge([grain, grain, grain]))
    return np.asarray(cv2.convertScaleAbs(np.maximum(grainy, 0), alpha=255), np.uint8)


def draw_demo(root: Path, images: int = 32) -> None:
    """Write `demo/`, `panoptic_demo/` and, last, `annotations/panoptic_demo.json` under `root`.

    Args:
        root: Created if need be; other files there are left alone.
        images: How many; the first ones are the same, however many are drawn.
    """
    for folder in ("demo", "panoptic_demo", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    entries, annotations = [], []
    for image_id in range(1, images + 1):
        canvas, stem = draw_scene(image_id - 1), f"{image_id:012d}"
        _write_picture(root / "demo" / f"{stem}.jpg", develop(canvas), gray=image_id == _GRAY_IMAGE)
        segments = _write_segments(root / "panoptic_demo" / f"{stem}.png", canvas)
        annotations.append({"segments_info": segments, "file_name": f"{stem}.png", "image_id": image_id})
        size = {"height": canvas.height, "width": canvas.width, "id": image_id}
        entries.append({"license": 9, "file_name": f"{stem}.jpg", **size, "coco_url": "", "flickr_url": ""})
    text = json.dumps(_document(entries, annotations))
    (root / "annotations" / "panoptic_demo.json").write_bytes(text.encode())


def _write_picture(path: Path, picture: NDArray[np.uint8], gray: bool) -> None:
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY if gray else cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes())


def _write_segments(path: Path, c: Canvas) -> list[dict[str, Any]]:
    # An odd factor permutes the 24-bit numbers: ids differ, and their colours are easy to tell apart.
    ids = np.arange(256) * 0x9E3779 % 2**24
    bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], 1).astype(np.uint8)
    colours = cv2.LUT(cv2.merge([c.ids, c.ids, c.ids]), bgr[None])
    path.write_bytes(cv2.imencode(".png", colours)[1].tobytes())
    numbers = np.flatnonzero(np.bincount(c.ids.ravel(), minlength=256)[1:]) + 1
    return [_segment_entry(c, number, int(ids[number])) for number in numbers.tolist()]


def _segment_entry(c: Canvas, number: int, segment_id: int) -> dict[str, Any]:
    inside, (category, crowd) = (c.ids == number).view(np.uint8), c.segments[number - 1]
    entry = {"id": segment_id, "category_id": _CATEGORY_IDS[category], "iscrowd": crowd}
    return {**entry, "bbox": list(cv2.boundingRect(inside)), "area": cv2.countNonZero(inside)}


def _document(images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    url = "https://creativecommons.org/publicdomain/zero/1.0/"
    return {
        "info": {"description": "Scenes drawn by mfsynth", "version": str(DEMO_VERSION), "year": 2026},
        "licenses": [{"id": 9, "name": "CC0, drawn by mfsynth", "url": url}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {
                "supercategory": "thing" if name in _THINGS.split() else "stuff",
                "isthing": int(name in _THINGS.split()),
                "id": index,
                "name": name,
            }
            for name, index in _CATEGORY_IDS.items()
        ],
    }
