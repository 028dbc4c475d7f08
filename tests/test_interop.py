"""Other libraries read the shards: webdataset, datasets, tar, browsers' own PNG decoders by way of Pillow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import webdataset
from coco_folder import Picture, write_coco
from PIL import Image

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.options import BuildOptions


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)


def urls(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.tar"))


@pytest.mark.parametrize(("store", "frames"), [("small_pairs", 2), ("small_stacks", 12)])
def test_webdataset_reads_any_number_of_frames(
    store: str, frames: int, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(store)
    other = webdataset.WebDataset(urls(folder), shardshuffle=False).decode("rgb8")
    count = 0
    for sample, item in zip(mfsynth.open(folder), other, strict=True):
        assert len(sample.frames) == sum(field.startswith("frame") for field in item) == frames
        assert item["__key__"] == sample.key
        for index, frame in enumerate(sample.frames):
            assert np.array_equal(item[f"frame{index}.png"], frame)
        assert np.array_equal(item["focus.png"][..., 0], sample.focus)
        for name in ("nearest", "certain") if frames > 2 else ():
            assert np.array_equal(item[f"{name}.png"][..., 0], getattr(sample, name))
        assert np.array_equal(item["segments.png"][..., 0], sample.segments)
        assert item["json"] == json.loads(sample.recipe.to_json())
        assert np.abs(item["gt.jpg"].astype(int) - sample.gt).max() <= 0  # Pillow's libjpeg-turbo, too
        count += 1
    assert count == 18


def test_webdataset_decodes_to_floats_as_its_own_documentation_does(small_pairs: Path) -> None:
    item = next(iter(webdataset.WebDataset(urls(small_pairs), shardshuffle=False).decode("rgb")))
    sample = next(iter(mfsynth.open(small_pairs)))
    assert np.allclose(item["frame1.png"] * 255, sample.frames[1], atol=1e-3)


STORES = ["small_pairs", "small_recipes", "small_stacks", "small_stack_recipes"]


@pytest.mark.parametrize("store", STORES)
def test_webdataset_decodes_to_scenes(store: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(store)
    other = webdataset.WebDataset(urls(folder), shardshuffle=False).map(mfsynth.decode)
    assert_same_scenes(other, folder, 18)


def test_webdataset_decodes_to_scenes_of_png_sources(tmp_path: Path) -> None:
    pictures = [Picture(id=id, suffix=suffix) for id, suffix in ((1, ".png"), (2, ".jpg"))]
    write_coco(tmp_path / "coco", "mixed", pictures)
    build(BuildOptions("mixed", shards=1), Run(tmp_path / "coco", tmp_path / "out", workers=1))
    other = webdataset.WebDataset(urls(tmp_path / "out"), shardshuffle=False).map(mfsynth.decode)
    assert_same_scenes(other, tmp_path / "out", 2)


def assert_same_scenes(scenes: Iterable[mfsynth.Scene], folder: Path, count: int) -> None:
    pairs = list(zip(scenes, mfsynth.open(folder).scenes(), strict=True))
    assert len(pairs) == count
    for scene, expected in pairs:
        assert scene.recipe == expected.recipe
        assert np.array_equal(scene.picture, expected.picture)
        assert np.array_equal(scene.segments, expected.segments)


def test_a_sample_that_cannot_be_decoded_is_named(small_pairs: Path) -> None:
    (url, *_) = urls(small_pairs)
    sample = next(iter(webdataset.WebDataset(url, shardshuffle=False)))
    broken = {
        "has no member 'segments.png'": {k: v for k, v in sample.items() if k != "segments.png"},
        "the recipe is not JSON": sample | {"json": b"{"},
        "its recipe is that of another sample": sample | {"__key__": "../000000000003-000"},
        "the JPEG ends before its first scan": sample | {"gt.jpg": sample["gt.jpg"][:300]},
        "has no member '__key__'": {"json": b"{}"},
    }
    for text, members in broken.items():
        with pytest.raises(mfsynth.ShardError, match=text) as caught:
            mfsynth.decode(members)
        if "__key__" in members:
            assert f"{url}: sample {members['__key__']}" in str(caught.value)


def test_webdataset_reads_a_shard_that_we_opened(small_pairs: Path) -> None:
    data = mfsynth.open(small_pairs).scenes()
    with data.open_shard(1) as stream:
        members = webdataset.tariterators.tar_file_expander([{"url": "small-000001.tar", "stream": stream}])
        keys = [sample["__key__"] for sample in webdataset.tariterators.group_by_keys(members)]
    assert keys == [scene.key for scene in data.read(6, 12)]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("store", STORES)
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
    for row, scene in zip(loaded, mfsynth.open(folder).scenes(), strict=True):
        assert row["__key__"] == scene.key
        assert plain(row["json"]) == json.loads(scene.recipe.to_json())
        assert np.array_equal(np.asarray(row["gt.jpg"]), scene.picture)
        count += 1
    assert count == 18


def test_datasets_reads_frames_and_targets_by_name(small_stacks: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(
        "webdataset",
        data_files={"train": urls(small_stacks)},
        split="train",
        streaming=True,
        cache_dir=str(tmp_path / "cache"),
    )
    for row, sample in zip(rows, mfsynth.open(small_stacks), strict=True):
        frames = [row[f"frame{k}.png"] for k in range(len(row["json"]["frames"]))]
        for seen, frame in zip(frames, sample.frames, strict=True):
            assert np.array_equal(np.asarray(seen), frame)
        for name in ("focus", "nearest", "certain"):
            assert np.array_equal(np.asarray(row[f"{name}.png"]), getattr(sample, name))


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
