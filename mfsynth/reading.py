"""What one of several readers reads of a stream's epoch, from where it stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self

from mfsynth import shares
from mfsynth.errors import OptionsError, SourceError
from mfsynth.sample import Sample, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.order import Even
    from mfsynth.shares import Part, Reader, Span


class Readable(Protocol):
    """What a TorchStream reads: samples or scenes in an epoch's order, any range of it at a time."""

    epoch: int
    shuffle: int | None

    @property
    def selects(self) -> bool:
        """Whether a selection leaves out places that `len` counts."""

    @property
    def fingerprint(self) -> str:
        """What decides the samples and their places, but for `shuffle` and epoch."""

    def __len__(self) -> int:
        """Number of places in an epoch."""

    def at(self, epoch: int) -> Self:
        """The same in another epoch."""

    def numbered(self, start: int, stop: int) -> Iterator[tuple[int, Sample | Scene]]:
        """The items from one place to another, each with its place."""


class Reading:
    """What one reader reads of a stream's epoch: its share, again where samples of it are skipped.

    Args:
        stream: What all readers share, in its epoch.
        even: How ranks share what they cannot share evenly.
        epoch: Which epoch.
        parts: What was read of it before the readers took their shares.
        rank: The reader's rank.
        reader: The reader, and where it begins.
    """

    def __init__(
        self, stream: Readable, even: Even, epoch: int, parts: tuple[Part, ...], rank: int, reader: Reader
    ) -> None:
        self.stream, self.epoch, self.parts, self.reader = stream, epoch, parts, reader
        total = len(stream)
        spans = shares.remaining(total, parts, even)
        own = shares.rank_share(shares.length(spans), rank, reader.ranks, even)
        share = shares.worker_share(own, reader.worker, reader.workers, reader.batch)
        self._spans = shares.spans_of(total, spans, share)
        self._promised = share[1] - share[0] if reader.ranks > 1 and even else 0

    def __iter__(self) -> Iterator[Sample | Scene]:
        """The items from here on; `reader` says how far it has come.

        Raises:
            SourceError: If there are to be items, and none can be used.
        """
        before = 0
        for start, stop in self._walk():
            first = start + max(self.reader.walked - before, 0)
            for place, item in self.stream.numbered(first, stop) if first < stop else ():
                self.reader = replace(
                    self.reader, walked=before + place - start + 1, given=self.reader.given + 1
                )
                yield item
                if self.reader.given == self._promised:
                    return
            before += stop - start

    def _walk(self) -> Iterator[Span]:
        """The spans of the share; while items are missing, all of the order from there on, over and over."""
        yield from self._spans
        before, total = shares.length(self._spans), len(self.stream)
        while self.reader.given < self._promised:
            first = self._spans[0][0]
            yield first, total
            yield 0, first
            if self.reader.walked <= before:
                raise SourceError("none of the samples of this epoch can be used")
            before += total


def check_reader(saved: Reader, here: Reader) -> None:
    """Check that a reader's position is that of the same reader here.

    Raises:
        OptionsError: If there are other numbers of readers, or it is another one.
    """
    for name in ("ranks", "workers", "batch", "worker"):
        if getattr(saved, name) != getattr(here, name):
            raise OptionsError(
                f"the state has {name}={getattr(saved, name)}, here it is {getattr(here, name)}",
                "resume with the same numbers, or from a state that `state_after` returned",
            )
