"""`.torch()`: over loader workers and ranks every sample comes once an epoch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mfsynth
from mfsynth import ImageInfo, Scene, Window
from mfsynth.errors import OptionsError
from mfsynth.torch_stream import collate

WINDOW = Window(2, 3, 12, 10)


def keys(loader: DataLoader) -> list[str]:
    return [
        key for batch in loader for key in ([batch["key"]] if isinstance(batch["key"], str) else batch["key"])
    ]


def test_arrays_become_tensors_channels_first(small_pairs: Path) -> None:
    sample = next(iter(mfsynth.open(small_pairs)))
    item = next(iter(mfsynth.open(small_pairs).torch()))
    assert item["frames"].shape == (2, 3, 40, 56)
    assert item["frames"].dtype == torch.uint8
    for tensor, frame in zip(item["frames"], sample.frames, strict=True):
        assert np.array_equal(tensor.permute(1, 2, 0).numpy(), frame)
    assert np.array_equal(item["gt"].permute(1, 2, 0).numpy(), sample.gt)
    assert np.array_equal(item["focus"].numpy(), sample.focus)
    assert np.array_equal(item["segments"].numpy(), sample.segments)
    assert item["recipe"] == sample.recipe


def test_scenes_become_tensors_too(small_pairs: Path) -> None:
    item = next(iter(mfsynth.open(small_pairs).scenes().torch()))
    assert set(item) == {"key", "gt", "segments", "recipe"}


def test_batches_of_equal_windows(small_recipes: Path) -> None:
    batches = list(mfsynth.open(small_recipes).torch(batch=5, window=WINDOW))
    assert [len(batch["key"]) for batch in batches] == [5, 5, 5, 3]
    assert batches[0]["frames"].shape == (5, 2, 3, 12, 10)
    assert batches[0]["focus"].shape == (5, 12, 10)


def test_unequal_windows_do_not_stack(small_recipes: Path) -> None:
    with pytest.raises(OptionsError, match="choose a window of one size"):
        list(mfsynth.open(small_recipes).torch(batch=9))
    with pytest.raises(OptionsError, match="batch is 0"):
        mfsynth.open(small_recipes).torch(batch=0)


@pytest.mark.parametrize("batch", [None, 5])
def test_a_loader_leaves_batches_to_the_stream(small_recipes: Path, batch: int | None) -> None:
    stream = mfsynth.open(small_recipes).torch(batch=batch, window=WINDOW)
    assert len(keys(DataLoader(stream, batch_size=None))) == 18


def test_collate_serves_other_loaders(small_recipes: Path) -> None:
    loader = DataLoader(mfsynth.open(small_recipes).torch(window=WINDOW), batch_size=4, collate_fn=collate)
    assert next(iter(loader))["gt"].shape == (4, 3, 12, 10)


@pytest.mark.parametrize("workers", [1, 2, 5])  # 5 readers, 3 shards
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loader_workers_share_an_epoch(small_recipes: Path, workers: int, method: str) -> None:
    if method == "spawn" and workers == 5:
        workers = 4
    stream = mfsynth.open(small_recipes, shuffle=3).torch(window=WINDOW, batch=2)
    loader = DataLoader(stream, batch_size=None, num_workers=workers, multiprocessing_context=method)
    assert sorted(keys(loader)) == [scene.key for scene in mfsynth.open(small_recipes).scenes()]


def test_live_synthesis_is_shared_the_same_way(small_coco: Path) -> None:
    stream = mfsynth.synthesize(small_coco, "small", epoch=4).torch(window=random_window)
    loader = DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    assert sorted(keys(loader)) == [f"{10 * k + 3:012d}-004" for k in range(9)]


def random_window(scene: Scene) -> Window:
    return Window(scene.recipe.image.id % 5, 0, 8, 8)


def test_persistent_workers_see_the_epoch_change(small_recipes: Path) -> None:
    stream = mfsynth.open(small_recipes, shuffle=3).torch(window=WINDOW)
    loader = DataLoader(
        stream, batch_size=None, num_workers=1, persistent_workers=True, multiprocessing_context="fork"
    )
    first, again = keys(loader), keys(loader)
    stream.set_epoch(1)
    second = keys(loader)
    assert first == again
    assert sorted(second) == sorted(first)
    assert second != first
    assert second == [s.key for s in mfsynth.open(small_recipes, shuffle=3, epoch=1)]


RANK = """
import json, pickle, sys, torch.distributed as dist, mfsynth
from torch.utils.data import DataLoader
folder, rendezvous, rank, ranks, *methods = sys.argv[1:]
workers = {"fork": 2, "spawn": 2, "forkserver": 1}
stream = mfsynth.open(folder, shuffle=1).scenes().torch()  # made before the ranks know of each other
meeting = f"file://{rendezvous}"
dist.init_process_group("gloo", init_method=meeting, rank=int(rank), world_size=int(ranks))
read = {
    method: [item["key"] for item in DataLoader(
        stream, batch_size=None, num_workers=workers[method], multiprocessing_context=method)]
    for method in methods
}
copy = pickle.dumps(stream)
dist.barrier()
dist.destroy_process_group()
read["alone"] = [item["key"] for item in pickle.loads(copy)]
print(json.dumps(read))
"""


def test_ranks_share_an_epoch_however_workers_are_started(small_recipes: Path, tmp_path: Path) -> None:
    """Two ranks with one or two loader workers each: up to four readers of three shards."""
    methods = ["fork", "spawn", "forkserver"]
    ranks = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                RANK,
                str(small_recipes),
                str(tmp_path / "meet"),
                str(rank),
                "2",
                *methods,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    one, other = (json.loads(rank.communicate(timeout=300)[0].splitlines()[-1]) for rank in ranks)
    every = [scene.key for scene in mfsynth.open(small_recipes).scenes()]
    for method in methods:
        assert len(one[method]) == len(other[method]) == 9
        assert sorted(one[method] + other[method]) == every
    assert sorted(one["alone"]) == sorted(other["alone"]) == every  # a pickle's rank counts in workers only


def test_a_selection_is_shared_too(small_recipes: Path) -> None:
    stream = mfsynth.open(small_recipes, shuffle=1).scenes().select(wanted).torch()
    loader = DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    assert sorted(keys(loader)) == [f"{id:012d}-{v:03d}" for id in (3, 43, 83) for v in (0, 1)]


def wanted(image: ImageInfo) -> bool:
    return image.id in (3, 43, 83)
