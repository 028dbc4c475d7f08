"""Shares of an epoch: what each reader reads, and what remains after some steps of a training.

A place is an index into an epoch's order, which seed and epoch decide; a span is a range of places. Every
reader, a loader worker of a rank, takes one piece of what is to be read, so that it opens few shards. What
remains of an epoch is therefore not one span but the ends of all pieces. A few numbers give it: how many
readers there were, and how many steps they made. Any other number of readers can share it then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfsynth import schema
from mfsynth.errors import OptionsError
from mfsynth.order import Even, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

Span = tuple[int, int]
"""The first place, and the one after the last."""

FORMAT = 1
_HINT = "give what `state_dict` or `state_after` of a stream returned"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an epoch that was read with the same readers.

    Attributes:
        ranks: Number of ranks.
        workers: Number of loader workers of each.
        batch: Samples of a batch, which workers do not split; 1 if the stream makes none.
        size: Samples that a loader gives in a step, but for a worker's last.
        steps: Number of steps that each rank made, as far as it has samples.
        drop_last: Whether the loader leaves out a worker's last step if it is smaller.
    """

    ranks: int
    workers: int
    batch: int
    size: int
    steps: int
    drop_last: bool = False

    def left(self, spans: Sequence[Span], even: Even) -> list[Span]:
        """What was not read of the spans that its readers shared."""
        left: list[Span] = []
        end = 0
        for rank in range(self.ranks):
            own = rank_share(length(spans), rank, self.ranks, even)
            shares = [worker_share(own, worker, self.workers, self.batch) for worker in range(self.workers)]
            for (start, stop), read in zip(shares, self._read(shares), strict=True):
                left += cut(spans, min(start + read, stop), stop)
            end = own[1]
        return left + cut(spans, end, length(spans))  # what was dropped

    def _read(self, shares: Sequence[Span]) -> list[int]:
        """How many samples each worker of a rank gave: a loader takes a step from each in turn."""
        counts = [stop - start for start, stop in shares]
        steps = [count // self.size if self.drop_last else batches(count, self.size) for count in counts]
        rounds = min(*steps, self.steps // self.workers)
        more = [worker for worker, most in enumerate(steps) if most > rounds]
        last = set(more[: self.steps - rounds * self.workers])
        return [(rounds + (worker in last)) * self.size for worker in range(self.workers)]


@dataclass(frozen=True, slots=True)
class Reader:
    """Which reader reads, and how far it has come.

    Attributes:
        ranks: Number of ranks.
        workers: Number of loader workers of each.
        batch: Samples of a batch, which workers do not split; 1 if the stream makes none.
        worker: The worker of its rank.
        walked: How many places of its share are done, with those that turned out to be unusable.
        given: How many samples it gave.
    """

    ranks: int
    workers: int
    batch: int
    worker: int
    walked: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """A position in an epoch.

    Attributes:
        mfsynth: Version of this format.
        data: SHA-256 of what decides the samples.
        shuffle: Seed of the order.
        even: How ranks share what they cannot share evenly.
        epoch: The epoch.
        parts: What was read of it before the readers of today took their shares.
        reader: One of these readers; None stands for all, before their first sample.
    """

    mfsynth: int
    data: str
    shuffle: int | None
    even: Even
    epoch: int
    parts: tuple[Part, ...] = ()
    reader: Reader | None = None

    @staticmethod
    def of(values: Mapping[str, Any]) -> State:
        """The state that `schema.to_json` made these values of.

        Raises:
            OptionsError: If they are something else, or of a newer format.
        """
        newest = values.get("mfsynth") if hasattr(values, "get") else None
        if isinstance(newest, int) and newest > FORMAT:
            raise OptionsError(
                f"the state has format {newest}, this release reads {FORMAT}", "update mfsynth"
            )
        try:
            state = schema.from_json(values, State, "the values of the state", error=OptionsError)
        except OptionsError as error:
            raise OptionsError(f"this is not the state of a stream: {error.message}", _HINT) from error
        numbers = [(part.ranks, part.workers, part.batch, part.size, part.steps + 1) for part in state.parts]
        if state.mfsynth != FORMAT or state.epoch < 0 or any(min(each) < 1 for each in numbers):
            raise OptionsError("this is not the state of a stream: it has impossible numbers", _HINT)
        return state

    def check(self, other: State) -> None:
        """Check that another state is one of the same stream.

        Raises:
            OptionsError: If it has other samples, or another order of them.
        """
        if self.data != other.data:
            raise OptionsError(
                "the state is one of other samples", "open the same data with the same seed and options"
            )
        for name in ("shuffle", "even"):
            saved, here = getattr(self, name), getattr(other, name)
            if saved != here:
                raise OptionsError(f"the state has {name}={saved!r}, the stream {name}={here!r}", "use one")


def batches(count: int, size: int) -> int:
    """How many batches hold a number of samples; the last may be smaller."""
    return -(-count // size)


def length(spans: Iterable[Span]) -> int:
    """Number of places."""
    return sum(stop - start for start, stop in spans)


def cut(spans: Iterable[Span], start: int, stop: int) -> list[Span]:
    """The piece of a sequence of spans from one of its places, counted through, to before another.

    >>> cut([(0, 4), (10, 14)], 3, 6)
    [(3, 4), (10, 12)]
    """
    found: list[Span] = []
    before = 0
    for first, end in spans:
        low, high = max(first, first + start - before), min(end, first + stop - before)
        if low < high:
            found.append((low, high))
        before += end - first
    return found


def rank_share(count: int, rank: int, ranks: int, even: Even) -> Span:
    """A rank's share of a number of samples; with `pad`, it may end beyond the last.

    >>> [rank_share(9, rank, 2, "pad") for rank in range(2)]
    [(0, 5), (5, 10)]
    >>> [rank_share(9, rank, 2, "drop") for rank in range(2)]
    [(0, 4), (4, 8)]
    >>> [rank_share(9, rank, 2, None) for rank in range(2)]
    [(0, 4), (4, 9)]
    """
    if even is None:
        return share(count, rank, ranks)
    each = -(-count // ranks) if even == "pad" else count // ranks
    return rank * each, (rank + 1) * each


def worker_share(own: Span, worker: int, workers: int, batch: int) -> Span:
    """A worker's share of its rank's: whole batches, so that only the rank's last batch may be smaller.

    >>> [worker_share((0, 10), worker, 2, 4) for worker in range(2)]
    [(0, 4), (4, 10)]
    """
    start, stop = own
    low, high = share(batches(stop - start, batch), worker, workers)
    return min(start + low * batch, stop), min(start + high * batch, stop)


def remaining(total: int, parts: Iterable[Part], even: Even) -> list[Span]:
    """What remains to be read of an epoch after some parts of it."""
    spans = [(0, total)]
    for part in parts:
        spans = part.left(spans, even)
    return spans


def spans_of(total: int, spans: Sequence[Span], share: Span) -> list[Span]:
    """The places of a share of what remains; beyond the last come the epoch's first, over and over.

    >>> spans_of(9, [(2, 5), (7, 9)], (4, 7))
    [(8, 9), (0, 2)]
    """
    start, stop = share
    found = cut(spans, start, stop)
    for before in range(length(spans), stop, max(total, 1)):
        found += cut([(0, total)], start - before, stop - before)
    return found
