"""Other libraries read the shards: webdataset, datasets, tar, browsers' own PNG decoders by way of Pillow."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import webdataset
from PIL import Image

import mfsynth


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)


def urls(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.tar"))


def test_webdataset_reads_pairs(small_pairs: Path) -> None:
    other = webdataset.WebDataset(urls(small_pairs), shardshuffle=False).decode("rgb8")
    count = 0
    for sample, item in zip(mfsynth.open(small_pairs), other, strict=True):
        assert item["__key__"] == sample.key
        for index, frame in enumerate(sample.frames):
            assert np.array_equal(item[f"frame{index}.png"], frame)
        assert np.array_equal(item["focus.png"][..., 0], sample.focus)
        assert np.array_equal(item["segments.png"][..., 0], sample.segments)
        assert item["json"] == json.loads(sample.recipe.to_json())
        assert np.abs(item["gt.jpg"].astype(int) - sample.gt).max() <= 0  # Pillow's libjpeg-turbo, too
        count += 1
    assert count == 18


def test_webdataset_decodes_to_floats_as_its_own_documentation_does(small_pairs: Path) -> None:
    item = next(iter(webdataset.WebDataset(urls(small_pairs), shardshuffle=False).decode("rgb")))
    sample = next(iter(mfsynth.open(small_pairs)))
    assert np.allclose(item["frame1.png"] * 255, sample.frames[1], atol=1e-3)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("store", ["small_pairs", "small_recipes"])
def test_datasets_reads_every_recipe(
    store: str, streaming: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(store)
    loaded = datasets.load_dataset(
        "webdataset",
        data_files={"train": urls(folder)},
        split="train",
        streaming=streaming,
        cache_dir=str(tmp_path / "cache"),
    )
    count = 0
    for row, scene in zip(loaded, mfsynth.open(folder, render=False), strict=True):
        assert row["__key__"] == scene.key
        assert plain(row["json"]) == json.loads(scene.recipe.to_json())
        assert np.array_equal(np.asarray(row["gt.jpg"]), scene.picture)
        count += 1
    assert count == 18


def plain(value: Any) -> Any:
    """Some releases of `datasets` give a list of objects as an object of lists."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def test_pillow_reads_every_png(small_pairs: Path) -> None:
    import tarfile

    for url in urls(small_pairs):
        with tarfile.open(url) as archive:
            for member in archive:
                if member.name.endswith("png"):
                    with Image.open(io.BytesIO(archive.extractfile(member).read())) as image:  # type: ignore[union-attr]
                        image.load()
                        assert image.mode == ("RGB" if "frame" in member.name else "L")
