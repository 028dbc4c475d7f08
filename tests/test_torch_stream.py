"""`.torch()`: over loader workers and ranks every sample comes once an epoch."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from warm_python import WarmPython

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


@pytest.mark.parametrize(("store", "frames"), [("small_pairs", 2), ("small_stacks", 12)])
def test_targets_become_tensors_with_memory_of_their_own(
    store: str, frames: int, request: pytest.FixtureRequest, recwarn: pytest.WarningsRecorder
) -> None:
    """In format 1, `certain` is one number broadcast, which torch warns of, and `nearest` is `focus`."""
    folder = request.getfixturevalue(store)
    for sample, item in zip(mfsynth.open(folder), mfsynth.open(folder).torch(), strict=True):
        assert item["frames"].shape == (frames, 3, *sample.focus.shape)
        for name in ("focus", "nearest", "certain"):
            assert item[name].dtype == torch.uint8
            assert np.array_equal(item[name].numpy(), getattr(sample, name))
        before = item["certain"].clone()
        item["certain"][0, 0] = 255 - before[0, 0]
        assert item["certain"].ne(before).sum() == 1
        item["nearest"][0, 0] = 77
        assert item["focus"][0, 0] != 77
    told = [str(each.message) for each in recwarn]
    assert not [each for each in told if "not writable" in each], told


@pytest.mark.parametrize("workers", [0, 1])
def test_stacks_become_batches(small_stack_recipes: Path, workers: int) -> None:
    stream = mfsynth.open(small_stack_recipes).torch(batch=4, window=WINDOW)
    batches = list(DataLoader(stream, batch_size=None, num_workers=workers))
    assert sorted(len(batch["key"]) for batch in batches) == [2, 4, 4, 4, 4]
    assert batches[0]["frames"].shape == (4, 12, 3, 12, 10)
    for name in ("focus", "nearest", "certain"):
        assert batches[0][name].shape == (4, 12, 10)


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


@pytest.mark.parametrize(
    ("method", "workers"), [("fork", 1), ("fork", 2), ("fork", 5), ("spawn", 2)]
)  # 5 readers, 3 shards
def test_loader_workers_share_an_epoch(small_recipes: Path, workers: int, method: str) -> None:
    stream = mfsynth.open(small_recipes, shuffle=3).torch(window=WINDOW, batch=2)
    loader = DataLoader(stream, batch_size=None, num_workers=workers, multiprocessing_context=method)
    assert sorted(keys(loader)) == [scene.key for scene in mfsynth.open(small_recipes).scenes()]


def test_live_synthesis_is_shared_the_same_way(small_coco: Path) -> None:
    stream = mfsynth.synthesize(small_coco, "small", epoch=4).torch(window=random_window)
    loader = DataLoader(sent(stream), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert sorted(keys(loader)) == [f"{10 * k + 3:012d}-004" for k in range(9)]


def sent(stream: Any) -> Any:
    """A stream as a spawned worker gets it."""
    return pickle.loads(pickle.dumps(stream))


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


TWO_RANKS = """
import json, os, pickle, sys, torch.distributed as dist, mfsynth
from torch.utils.data import DataLoader
folder, meeting, *more = sys.argv[1:]
stream = mfsynth.open(folder, shuffle=1).scenes().torch()  # made before the ranks know of each other
other = os.fork()
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=0 if other else 1, world_size=2)
copy = pickle.dumps(stream)
"""
END = """
dist.barrier()
dist.destroy_process_group()
read |= {"alone": [item["key"] for item in pickle.loads(copy)]}
sys.stdout.write(json.dumps(read) + "\\n")  # at once, as both ranks write to one pipe
sys.stdout.flush()
if other:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""


def ranks_read(
    code: str, warm: WarmPython, folder: Path, tmp_path: Path, *more: Path
) -> list[dict[str, Any]]:
    """What two ranks say that they read."""
    words = (str(folder), str(tmp_path / "meet"), *map(str, more))
    done = warm.run(code=TWO_RANKS + code + END, args=words, env=dict(os.environ), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


HOWEVER = """
workers = {"fork": 2, "spawn": 1, "forkserver": 1}
read = {
    method: [item["key"] for item in DataLoader(
        stream, batch_size=None, num_workers=workers[method], multiprocessing_context=method)]
    for method in workers
}
"""


@pytest.mark.slow
def test_ranks_share_an_epoch_however_workers_are_started(
    small_recipes: Path, tmp_path: Path, warm: WarmPython
) -> None:
    """Two ranks with one or two loader workers each: up to four readers of three shards."""
    one, other = ranks_read(HOWEVER, warm, small_recipes, tmp_path)
    every = [scene.key for scene in mfsynth.open(small_recipes).scenes()]
    for method in ("fork", "spawn", "forkserver"):
        assert len(one[method]) == len(other[method]) == 9
        assert sorted(one[method] + other[method]) == every
    assert sorted(one["alone"]) == sorted(other["alone"]) == every  # a pickle's rank counts in workers only


def test_a_selection_is_shared_too(small_recipes: Path) -> None:
    stream = mfsynth.open(small_recipes, shuffle=1).scenes().select(wanted).torch()
    loader = DataLoader(sent(stream), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert sorted(keys(loader)) == [f"{id:012d}-{v:03d}" for id in (3, 43, 83) for v in (0, 1)]


def wanted(image: ImageInfo) -> bool:
    return image.id in (3, 43, 83)


# --- uneven shares ------------------------------------------------------------------------------------


def test_an_unknown_way_is_refused(small_recipes: Path) -> None:
    with pytest.raises(OptionsError, match="even is 'keep', it must be 'pad', 'drop' or None"):
        mfsynth.open(small_recipes).torch(even="keep")  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [0, 2.5, "2"])
def test_a_batch_that_is_no_number_of_samples_is_refused(small_recipes: Path, batch: Any) -> None:
    with pytest.raises(OptionsError, match="batch is "):
        mfsynth.open(small_recipes).torch(batch=batch)


UNEVEN = """
from mfsynth.errors import OptionsError
(coco,) = more

def batches(even, method, workers):
    live = mfsynth.synthesize(coco, "small", shuffle=1).torch(batch=2, window=(0, 0, 8, 8), even=even)
    loader = DataLoader(live, batch_size=None, num_workers=workers, multiprocessing_context=method)
    return [batch["key"] for batch in loader]

def refusal(even):
    stream = mfsynth.open(folder).select(lambda image: image.id > 40).torch(even=even)
    try:
        stream.set_epoch(0)
        return "" if even is None else "not refused"
    except OptionsError as error:
        return str(error)

read = {str(even): [batches(even, None, 0), batches(even, "fork", 2), refusal(even)]
        for even in ("pad", "drop", None)}
"""


def test_two_ranks_share_nine_pictures_in_equally_many_steps(
    small_coco: Path, small_recipes: Path, tmp_path: Path, warm: WarmPython
) -> None:
    one, other = ranks_read(UNEVEN, warm, small_recipes, tmp_path, small_coco)

    def sizes(batches: list[list[str]]) -> list[int]:
        return [len(batch) for batch in batches]

    every = {f"{10 * k + 3:012d}-000" for k in range(9)}
    for here, there in zip(one["pad"][:2], other["pad"][:2], strict=True):
        assert sizes(here) == sizes(there)
        assert sum(sizes(here)) == 5
        assert {key for batch in here + there for key in batch} == every
    for place in (0, 1):
        assert sizes(one["drop"][place]) == sizes(other["drop"][place]) == [2, 2]
        kept = one["None"][place] + other["None"][place]
        assert sorted(key for batch in kept for key in batch) == sorted(every)
    for rank in (one, other):
        assert rank["pad"][2] == rank["drop"][2]
        assert rank["pad"][2].startswith("the number of selected samples is not known")
        assert rank["None"][2] == ""


def test_more_ranks_than_samples_are_refused_before_the_first_step(
    small_coco: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = mfsynth.synthesize(small_coco, "small").torch()
    monkeypatch.setattr("mfsynth.torch_stream._rank", lambda: (0, 10))  # ten processes would take a minute
    with pytest.raises(OptionsError, match="9 samples are too few for 10 ranks; use fewer"):
        stream.set_epoch(1)
    with pytest.raises(OptionsError, match="9 samples are too few"):
        next(iter(stream))
