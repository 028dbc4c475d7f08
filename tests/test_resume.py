"""A stream goes on in the middle of an epoch: with torchdata's loader, and with other numbers of readers."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

import mfsynth
from mfsynth import ImageInfo
from mfsynth.errors import OptionsError, UnknownLengthError
from mfsynth.order import Even
from mfsynth.torch_stream import TorchStream, collate


def stream_of(folder: Path, batch: int | None = None, even: Even = "pad", seed: int = 3) -> TorchStream:
    stream = mfsynth.open(folder, shuffle=seed, window=(0, 0, 8, 8))
    return stream.torch(batch=batch, even=even)


def loader_of(stream: TorchStream, workers: int, size: int | None = None, kind: Any = DataLoader) -> Any:
    return kind(
        stream,
        batch_size=size,
        collate_fn=collate if size else None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )


def keys(batches: Any) -> list[list[str]]:
    return [batch["key"] for batch in batches]


def ranks_are(monkeypatch: pytest.MonkeyPatch, rank: int, ranks: int) -> None:
    monkeypatch.setattr("mfsynth.torch_stream._rank", lambda: (rank, ranks))


@pytest.fixture
def stateful() -> Any:
    return pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader


# --- the same readers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by_loader", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_loader_made_anew_gives_the_same_batches(
    small_recipes: Path, stateful: Any, workers: int, by_loader: bool
) -> None:
    batch, size = (None, 4) if by_loader else (4, None)
    whole = keys(loader_of(stream_of(small_recipes, batch), workers, size))
    for stop in (0, 1, 3, len(whole), None):
        loader = loader_of(stream_of(small_recipes, batch), workers, size, stateful)
        before = keys(islice(loader, stop))
        state = pickle.dumps(loader.state_dict())
        del loader  # and its workers
        assert len(state) < 1000 + 1000 * workers

        stream = stream_of(small_recipes, batch)
        loader = loader_of(stream, workers, size, stateful)
        loader.load_state_dict(pickle.loads(state))
        if stop is not None:  # otherwise the epoch was over, as its loop ended
            assert before + keys(loader) == whole
        stream.set_epoch(1)
        again = stream_of(small_recipes, batch)
        again.set_epoch(1)
        assert keys(loader) == keys(loader_of(again, workers, size))


def test_live_synthesis_goes_on_too(small_coco: Path, stateful: Any) -> None:
    def stream() -> TorchStream:
        return mfsynth.synthesize(small_coco, "small", shuffle=2, epoch=4).scenes().torch()

    loader = loader_of(stream(), 0, None, stateful)
    before = keys(islice(loader, 5))
    other = loader_of(stream(), 0, None, stateful)
    other.load_state_dict(loader.state_dict())
    assert before + keys(other) == keys(stream())


def test_a_selection_goes_on_too(small_recipes: Path) -> None:
    stream = mfsynth.open(small_recipes, shuffle=1).scenes().select(wanted).torch()
    reading = iter(stream)
    before = keys(islice(reading, 4))
    state = stream.state_dict()
    rest = keys(reading)
    stream.load_state_dict(state)
    assert keys(stream) == rest
    assert keys(stream) == before + rest  # a state is for one iteration
    stream.load_state_dict(state)
    stream.set_epoch(1)
    assert len(keys(stream)) == 6
    assert sorted(map(str, before + rest)) == [f"{id:012d}-{v:03d}" for id in (3, 43, 83) for v in (0, 1)]


def wanted(image: ImageInfo) -> bool:
    return image.id in (3, 43, 83)


# --- other readers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "workers", "later"), [(None, 2, 1), (3, 2, 0), (None, 0, 2)])
def test_other_workers_read_what_remains(
    small_recipes: Path, size: int | None, workers: int, later: int
) -> None:
    batch = None if size else 4
    stream = stream_of(small_recipes, batch)
    stream.set_epoch(2)
    loader = loader_of(stream, workers, size)
    seen = keys(islice(loader, 2))
    state = stream.state_after(loader, 2)
    del loader

    stream = stream_of(small_recipes, batch)
    stream.load_state_dict(state)
    stream.set_epoch(2)
    loader = loader_of(stream, later, size)
    left = -(-(18 - sum(map(len, seen))) // (batch or 1))
    assert len(stream) == left
    seen += keys(islice(loader, 1))
    state = stream.state_after(loader, 1)  # again, in the same epoch
    del loader

    stream = stream_of(small_recipes, 3)  # batches of another size, too
    stream.load_state_dict(state)
    seen += keys(loader_of(stream, 2))
    assert sorted(key for batch in seen for key in batch) == every(small_recipes)
    stream.set_epoch(3)
    assert len(stream) == 6
    assert sorted(key for batch in keys(loader_of(stream, 0)) for key in batch) == every(small_recipes)


def every(folder: Path) -> list[str]:
    return [scene.key for scene in mfsynth.open(folder).scenes()]


@pytest.mark.parametrize("even", ["pad", "drop", None])
def test_other_ranks_read_what_remains(
    small_recipes: Path, even: Even, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, states, lengths = Counter[str](), [], set()
    for rank in range(2):
        ranks_are(monkeypatch, rank, 2)
        stream = stream_of(small_recipes, 2, even)
        loader = loader_of(stream, 0)
        seen.update(key for batch in keys(islice(loader, 2)) for key in batch)
        states.append(stream.state_after(loader, 2))
    assert states[0] == states[1]
    for rank in range(4):  # they share ten samples
        ranks_are(monkeypatch, rank, 4)
        stream = stream_of(small_recipes, None, even)
        stream.load_state_dict(states[0])
        rest = keys(loader_of(stream, 0))
        assert len(rest) == len(stream)
        lengths.add(len(rest))
        seen.update(map(str, rest))
    assert lengths == {"pad": {3}, "drop": {2}, None: {2, 3}}[even]
    assert seen.total() == {"pad": 20, "drop": 16, None: 18}[even]
    assert even == "drop" or sorted(seen) == every(small_recipes)


# --- lengths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_a_length_is_the_number_of_steps(
    small_recipes: Path, workers: int, recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ranks, even, batch, expected in [
        (1, "pad", 4, [5]),
        (1, "drop", None, [18]),
        (4, "pad", 2, [3, 3, 3, 3]),
        (4, "drop", 2, [2, 2, 2, 2]),
        (4, None, 4, [1, 2, 1, 2]),
    ]:
        for rank in range(ranks):
            ranks_are(monkeypatch, rank, ranks)
            loader = loader_of(stream_of(small_recipes, batch, even), workers)  # type: ignore[arg-type]
            assert len(loader) == len(list(loader)) == expected[rank]
    told = [str(each.message) for each in recwarn]
    assert not [each for each in told if "Length of IterableDataset" in each], told


def test_a_selection_has_no_length(small_recipes: Path) -> None:
    stream = mfsynth.open(small_recipes).scenes().select(wanted).torch()
    with pytest.raises(UnknownLengthError, match="the number of selected samples is not known"):
        len(stream)
    assert len(list(stream)) == 6
    with pytest.raises(OptionsError, match="a selection does not tell how many places"):
        stream.state_after(loader_of(stream, 0), 2)


# --- states that do not fit ---------------------------------------------------------------------------


def test_a_process_that_reads_nothing_has_no_state(small_recipes: Path) -> None:
    stream = stream_of(small_recipes)
    with pytest.raises(OptionsError, match=r"has read nothing of the stream.*; use `state_after`, or"):
        stream.state_dict()


def test_states_of_other_streams_are_refused(
    small_recipes: Path, small_pairs: Path, small_coco: Path
) -> None:
    stream = stream_of(small_recipes, 4)
    state = stream.state_after(loader_of(stream, 0), 1)
    live = [mfsynth.synthesize(small_coco, "small", seed).torch() for seed in (0, 1)]
    for other, given, message in [
        (stream_of(small_pairs, 4), state, "one of other samples"),
        (live[0], live[1].state_after(loader_of(live[1], 0), 1), "one of other samples"),
        (stream_of(small_recipes, 4, seed=4), state, "the state has shuffle=3, the stream shuffle=4"),
        (stream_of(small_recipes, 4, "drop"), state, "the state has even='pad', the stream even='drop'"),
        (stream, {"_snapshot": {}}, "this is not the state of a stream: unknown fields"),
    ]:
        with pytest.raises(OptionsError, match=message):
            other.load_state_dict(given)


def test_a_readers_state_needs_the_same_readers(small_recipes: Path) -> None:
    stream = stream_of(small_recipes, 4)
    next(iter(stream))
    state = stream.state_dict()
    other = stream_of(small_recipes, 3)
    other.load_state_dict(state)
    with pytest.raises(OptionsError, match="the state has batch=4, here it is 3; resume with the same"):
        iter(other)
    stream.load_state_dict(state)
    with pytest.raises(OptionsError, match="the state has workers=1, here it is 2"):
        list(loader_of(stream, 2))


def test_workers_out_of_turn_have_no_common_position(small_recipes: Path) -> None:
    stream = stream_of(small_recipes)
    with pytest.raises(OptionsError, match="with in_order=False, workers do not take turns"):
        stream.state_after(DataLoader(stream, batch_size=None, num_workers=2, in_order=False), 1)
