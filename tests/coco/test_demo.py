from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mfsynth.coco.demo import draw_demo

IMAGES = 32


@pytest.fixture(scope="module")
def root(demo_coco: Path) -> Path:
    return demo_coco


@pytest.fixture(scope="module")
def document(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "annotations" / "panoptic_demo.json").read_bytes()))


@pytest.fixture(scope="module")
def grays(root: Path) -> list[NDArray[np.float64]]:
    return [
        np.asarray(Image.open(path).convert("L"), np.float64) for path in sorted((root / "demo").iterdir())
    ]


def segment_ids(path: Path) -> NDArray[np.int64]:
    picture = Image.open(path)
    assert picture.mode == "RGB"
    return np.asarray(np.asarray(picture) @ np.array([1, 256, 65536]), np.int64)


def spectral_slope(gray: NDArray[np.float64]) -> float:
    """Slope of amplitude over frequency, both as logarithms, from 4 to 100 cycles a picture side."""
    side = min(gray.shape)
    square = gray[:side, :side] - gray[:side, :side].mean()
    window = np.hanning(side)
    amplitude = np.abs(np.fft.fftshift(np.fft.fft2(square * window * window[:, None])))
    y, x = np.indices(amplitude.shape) - side // 2
    radius = np.hypot(y, x).astype(int)
    average = np.bincount(radius.ravel(), amplitude.ravel()) / np.bincount(radius.ravel())
    # As many points per octave everywhere, or the many high frequencies would outvote the low ones.
    frequencies = np.unique(np.geomspace(4, 100, 24).astype(int))
    return float(np.polyfit(np.log(frequencies), np.log(average[frequencies]), 1)[0])


def test_files(root: Path, document: dict[str, Any]) -> None:
    stems = [f"{number:012d}" for number in range(1, IMAGES + 1)]
    assert sorted(path.name for path in root.iterdir()) == ["annotations", "demo", "panoptic_demo"]
    assert sorted(path.name for path in (root / "demo").iterdir()) == [f"{stem}.jpg" for stem in stems]
    assert sorted(path.name for path in (root / "panoptic_demo").iterdir()) == [
        f"{stem}.png" for stem in stems
    ]
    assert [image["file_name"] for image in document["images"]] == [f"{stem}.jpg" for stem in stems]
    assert [entry["file_name"] for entry in document["annotations"]] == [f"{stem}.png" for stem in stems]
    assert [entry["image_id"] for entry in document["annotations"]] == list(range(1, IMAGES + 1))


def test_document_has_the_fields_of_coco(document: dict[str, Any]) -> None:
    assert list(document) == ["info", "licenses", "images", "annotations", "categories"]
    fields = {"license", "file_name", "height", "width", "id", "coco_url", "flickr_url"}
    assert all(set(image) == fields and image["license"] == 9 for image in document["images"])
    assert [entry["id"] for entry in document["licenses"]] == [9]
    categories = document["categories"]
    assert len(categories) >= 12
    assert all(set(category) == {"supercategory", "isthing", "id", "name"} for category in categories)
    assert len({category["id"] for category in categories}) == len(categories)
    segments = [segment for entry in document["annotations"] for segment in entry["segments_info"]]
    assert {segment["category_id"] for segment in segments} == {category["id"] for category in categories}


def test_sizes_agree(root: Path, document: dict[str, Any]) -> None:
    for image in document["images"]:
        stem = Path(image["file_name"]).stem
        expected = (image["width"], image["height"])
        assert Image.open(root / "demo" / f"{stem}.jpg").size == expected
        assert Image.open(root / "panoptic_demo" / f"{stem}.png").size == expected
    assert {(image["width"], image["height"]) for image in document["images"]} >= {(640, 480), (480, 640)}


def test_segments_are_what_the_masks_show(root: Path, document: dict[str, Any]) -> None:
    for entry in document["annotations"]:
        ids = segment_ids(root / "panoptic_demo" / entry["file_name"])
        listed = {segment["id"]: segment for segment in entry["segments_info"]}
        assert set(np.unique(ids).tolist()) - {0} == set(listed)
        assert 4 <= len(listed) == len(entry["segments_info"]) <= 25
        for segment_id, segment in listed.items():
            assert set(segment) == {"id", "category_id", "iscrowd", "bbox", "area"}
            rows, columns = np.nonzero(ids == segment_id)
            left, top = int(columns.min()), int(rows.min())
            box = [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1]
            assert (segment["area"], segment["bbox"]) == (len(rows), box)
            assert len(rows) <= 0.7 * ids.size


def test_split_has_what_real_ones_have(root: Path, document: dict[str, Any]) -> None:
    paths = sorted((root / "panoptic_demo").iterdir())
    assert 3 <= sum(bool((segment_ids(path) == 0).any()) for path in paths) < IMAGES / 2
    infos = [entry["segments_info"] for entry in document["annotations"]]
    assert 1 <= sum(any(segment["iscrowd"] for segment in segments) for segments in infos) <= 2
    assert min(segment["area"] for segments in infos for segment in segments) < 500
    modes = [Image.open(path).mode for path in sorted((root / "demo").iterdir())]
    assert (modes.count("L"), modes.count("RGB")) == (1, IMAGES - 1)


def test_mask_edges_lie_on_picture_edges(root: Path) -> None:
    """A segment map a few pixels off would blur across edges: contrast must peak where segments meet."""
    contrast = np.zeros(9)
    for index in range(0, IMAGES, 5):
        gray = np.asarray(Image.open(root / "demo" / f"{index + 1:012d}.jpg").convert("L"), np.float64)
        steps = np.abs(np.diff(gray))
        rows, columns = np.nonzero(np.diff(segment_ids(root / "panoptic_demo" / f"{index + 1:012d}.png")))
        inside = (columns >= 4) & (columns < steps.shape[1] - 4)
        contrast += [steps[rows[inside], columns[inside] + shift].mean() for shift in range(-4, 5)]
    assert np.argmax(contrast) == 4
    assert contrast[4] > 1.5 * max(contrast[0], contrast[8])


def test_statistics_are_those_of_photographs(grays: list[NDArray[np.float64]]) -> None:
    slopes = [spectral_slope(gray) for gray in grays]
    assert -1.6 < np.mean(slopes) < -0.7
    assert all(-2.0 < slope < -0.5 for slope in slopes)
    assert all(70 < gray.mean() < 190 for gray in grays)
    assert all(20 < gray.std() < 90 for gray in grays)
    clipped = [((gray < 2) | (gray > 253)).mean() for gray in grays]
    assert max(clipped) < 0.05


def test_same_bytes_with_other_threads_and_nothing_else_touched(root: Path, tmp_path: Path) -> None:
    """Some of OpenCV's functions give other values with another number of threads.

    Every eighth scene is drawn by the same code.
    """
    (tmp_path / "demo").mkdir()
    mine = tmp_path / "demo" / "notes.txt"
    mine.write_text("keep")
    code = "import sys, pathlib, mfsynth.coco.demo as d; d.draw_demo(pathlib.Path(sys.argv[1]), 8)"
    threads = {"OPENCV_FOR_THREADS_NUM": "3"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=os.environ | threads)
    assert mine.read_text() == "keep"
    drawn = [path for path in tmp_path.rglob("0*") if path.is_file()]
    assert len(drawn) == 2 * 8
    for path in drawn:
        assert path.read_bytes() == (root / path.relative_to(tmp_path)).read_bytes(), path.name


def test_fewer_images_are_the_first_ones(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "by the call"
    draw_demo(folder, images=2)
    assert len(list((folder / "demo").iterdir())) == 2
    for name in ("000000000001.jpg", "000000000002.jpg"):
        assert (folder / "demo" / name).read_bytes() == (root / "demo" / name).read_bytes()
