"""Shares of an epoch, as arithmetic: whoever reads, and wherever it stops, every place comes once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfsynth import schema, shares
from mfsynth.errors import OptionsError, SourceError
from mfsynth.order import Even, permutation
from mfsynth.reading import Reading, check_reader
from mfsynth.shares import Part, Reader, State

EVENS: tuple[Even, ...] = ("pad", "drop", None)
SIZES = st.integers(1, 6)


@dataclass
class Numbers:
    """A stream of numbers, some of which are skipped as unusable pictures are."""

    total: int
    shuffle: int | None = None
    skipped: frozenset[int] = frozenset()
    epoch: int = 0
    selects: bool = False
    fingerprint: str = "numbers"

    def __len__(self) -> int:
        return self.total

    def at(self, epoch: int) -> Self:
        return replace(self, epoch=epoch)

    def numbered(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        order: Any = range(self.total)
        if self.shuffle is not None:
            order = permutation(self.total, "order", self.shuffle, self.epoch).tolist()
        places = enumerate(order[start:stop], start)
        return ((place, number) for place, number in places if number not in self.skipped)


def readings(
    stream: Numbers, even: Even, ranks: int, workers: int, batch: int = 1, parts: tuple[Part, ...] = ()
) -> list[list[Reading]]:
    """The worker's readings of each rank."""
    return [
        [
            Reading(stream, even, stream.epoch, parts, rank, Reader(ranks, workers, batch, worker))
            for worker in range(workers)
        ]
        for rank in range(ranks)
    ]


def steps_of(readers: list[Reading], size: int, drop_last: bool = False) -> Iterator[list[int]]:
    """A rank's steps, as a loader gives them: from each worker in turn, until all are at their end."""
    sources: list[Iterator[Any]] = [iter(reading) for reading in readers]
    while sources:
        for source in tuple(sources):
            step = list(islice(source, size))
            if step and not (drop_last and len(step) < size):
                yield step
            else:
                sources.remove(source)


def taken(ranks: list[list[Reading]], size: int, steps: int, drop_last: bool = False) -> list[int]:
    """What all ranks get in so many steps."""
    return [
        number
        for readers in ranks
        for step in islice(steps_of(readers, size, drop_last), steps)
        for number in step
    ]


def every(ranks: list[list[Reading]]) -> list[list[list[int]]]:
    """What each worker of each rank reads."""
    return [[list(reading) for reading in readers] for readers in ranks]  # type: ignore[misc]


@settings(deadline=None)
@given(
    total=st.integers(1, 60), ranks=SIZES, workers=SIZES, batch=SIZES, shuffle=st.none() | st.integers(0, 9)
)
def test_every_rank_makes_equally_many_steps(
    total: int, ranks: int, workers: int, batch: int, shuffle: int | None
) -> None:
    stream = Numbers(total, shuffle)
    for even in EVENS:
        steps = [list(steps_of(readers, batch)) for readers in readings(stream, even, ranks, workers, batch)]
        times = Counter(number for rank in steps for step in rank for number in step)
        if even is None:
            assert times == Counter(range(total))
            continue
        assert {tuple(map(len, rank)) for rank in steps} == {tuple(map(len, steps[0]))}
        assert all(len(step) == batch for step in steps[0][: -1 if workers == 1 else 0])
        order = [number for _, number in stream.numbered(0, total)]
        if even == "pad":
            padded = order * (ranks + 1)
            assert times == Counter(padded[: -(-total // ranks) * ranks])
        else:
            assert times == Counter(order[: total // ranks * ranks])


@settings(deadline=None)
@given(total=st.integers(0, 60), ranks=SIZES, workers=SIZES, batch=SIZES)
def test_the_number_of_batches_does_not_depend_on_workers(
    total: int, ranks: int, workers: int, batch: int
) -> None:
    for even in EVENS:
        for rank, readers in enumerate(readings(Numbers(total), even, ranks, workers, batch)):
            start, stop = shares.rank_share(total, rank, ranks, even)
            assert len(list(steps_of(readers, batch))) == shares.batches(stop - start, batch)


@st.composite
def _parts(draw: st.DrawFn) -> Part:
    batch = draw(SIZES)
    return Part(
        ranks=draw(SIZES),
        workers=draw(st.integers(1, 4)),
        batch=batch,
        size=batch if batch > 1 else draw(SIZES),
        steps=draw(st.integers(0, 12)),
        drop_last=batch == 1 and draw(st.booleans()),
    )


@settings(deadline=None)
@given(
    total=st.integers(0, 60),
    parts=st.lists(_parts(), max_size=3),
    ranks=SIZES,
    workers=SIZES,
    even=st.sampled_from(EVENS),
)
def test_an_epoch_goes_on_with_any_number_of_readers(
    total: int, parts: list[Part], ranks: int, workers: int, even: Even
) -> None:
    """Read in parts, each with other readers, loaders and numbers of steps, then to its end."""
    stream, seen = Numbers(total, 5), Counter[int]()
    for number, part in enumerate(parts):
        readers = readings(stream, even, part.ranks, part.workers, part.batch, tuple(parts[:number]))
        seen += Counter(taken(readers, part.size, part.steps, part.drop_last))
    left = shares.length(shares.remaining(total, parts, even))
    last = every(readings(stream, even, ranks, workers, parts=tuple(parts)))
    seen += Counter(number for rank in last for worker in rank for number in worker)
    if even is None:
        assert seen == Counter(range(total))
    elif even == "drop":
        assert set(seen.values()) <= {1}
        assert total - seen.total() == left % ranks
    else:
        assert set(seen) == set(range(total))
        assert seen.total() - total <= sum(part.ranks for part in parts) + ranks


@settings(deadline=None)
@given(
    data=st.data(),
    total=st.integers(1, 40),
    ranks=SIZES,
    workers=SIZES,
    batch=SIZES,
    even=st.sampled_from(EVENS),
)
def test_a_reader_goes_on_where_it_stopped(
    data: st.DataObject, total: int, ranks: int, workers: int, batch: int, even: Even
) -> None:
    """Wherever it stops, even while it makes up for what is skipped."""
    skipped = data.draw(st.frozensets(st.integers(0, total - 1), max_size=total - 1))
    stream = Numbers(total, 3, skipped)
    rank, worker = data.draw(st.integers(0, ranks - 1)), data.draw(st.integers(0, workers - 1))
    start = Reader(ranks, workers, batch, worker)
    whole = list(Reading(stream, even, 0, (), rank, start))
    first = Reading(stream, even, 0, (), rank, start)
    stop = data.draw(st.integers(0, len(whole)))
    before: list[Any] = list(islice(first, stop))
    assert first.reader.given == stop
    assert before + list(Reading(stream, even, 0, (), rank, first.reader)) == whole


@settings(deadline=None)
@given(data=st.data(), ranks=st.integers(2, 4), workers=st.integers(1, 4), total=st.integers(4, 40))
def test_what_is_skipped_is_made_up_for(data: st.DataObject, ranks: int, workers: int, total: int) -> None:
    skipped = data.draw(st.frozensets(st.integers(0, total - 1), max_size=total - 1))
    parts = every(readings(Numbers(total, 3, skipped), "pad", ranks, workers))
    counts = [[len(part) for part in rank] for rank in parts]
    assert all(each == counts[0] for each in counts)
    assert {number for rank in parts for part in rank for number in part} == set(range(total)) - skipped


@pytest.mark.parametrize("even", EVENS)
def test_one_rank_repeats_and_drops_nothing(even: Even) -> None:
    [parts] = every(readings(Numbers(9, 1, frozenset({2, 5})), even, 1, 4))
    assert sorted(number for part in parts for number in part) == [0, 1, 3, 4, 6, 7, 8]


def test_an_epoch_without_a_usable_sample_is_refused() -> None:
    with pytest.raises(SourceError, match="none of the samples"):
        every(readings(Numbers(4, None, frozenset(range(4))), "pad", 2, 1))


# --- states -------------------------------------------------------------------------------------------

STATE = State(
    1, "f" * 64, 2**31, "drop", 10**6, (Part(64, 16, 32, 32, 10**6),), Reader(64, 16, 32, 15, 10**9, 10**9)
)


def test_a_state_of_a_newer_format_says_so() -> None:
    with pytest.raises(OptionsError, match="the state has format 2, this release reads 1; update mfsynth"):
        State.of({"mfsynth": 2, "data": "d", "more": 1})


def test_a_state_is_small_and_survives_json() -> None:
    values = schema.to_json(STATE)
    assert State.of(json.loads(json.dumps(values))) == STATE
    assert len(json.dumps(values)) < 400


@pytest.mark.parametrize(
    "values",
    [
        {}, None, 7, {"epoch": 1}, {"mfsynth": 0}, {"epoch": "1"}, {"epoch": -1}, {"even": "keep"},
        {"more": 1}, {"parts": [{"ranks": 1}]}, {"parts": [schema.to_json(Part(0, 1, 1, 1, 1))]},
        {"parts": [schema.to_json(Part(1, 1, 1, 1, -1))]}, {"reader": 3},
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused(values: Any) -> None:
    if isinstance(values, dict) and values and values != {"epoch": 1}:
        values = schema.to_json(STATE) | values
    with pytest.raises(OptionsError, match=r"this is not the state of a stream: .*; give what `state_dict`"):
        State.of(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "0" * 64}, "the state is one of other samples; open the same data"),
        ({"shuffle": None}, "the state has shuffle=None, the stream shuffle=2147483648; use one"),
        ({"even": "pad"}, "the state has even='pad', the stream even='drop'"),
    ],
)
def test_a_state_of_another_stream_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        replace(STATE, **change).check(STATE)


@pytest.mark.parametrize("name", ["ranks", "workers", "batch", "worker"])
def test_a_position_of_another_reader_is_refused(name: str) -> None:
    here = Reader(2, 3, 4, 1)
    check_reader(replace(here, walked=5), here)
    with pytest.raises(OptionsError, match=rf"the state has {name}=9, here it is \d; resume with the same"):
        check_reader(replace(here, **{name: 9}), here)
