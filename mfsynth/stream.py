"""What `open` and `synthesize` have in common: an order of samples, windows, sharing among readers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from copy import copy
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from mfsynth.order import Even, whole_number
from mfsynth.sample import ImageInfo, Sample, Scene, Window

if TYPE_CHECKING:
    from mfsynth.torch_stream import TorchStream

WindowRule = Window | tuple[int, int, int, int] | Callable[[Scene], Window | tuple[int, int, int, int]]
"""A fixed window, or a function that chooses one for each scene, by its focus map for instance."""

Keep = Callable[[ImageInfo], bool]
"""Whether a stream keeps the samples of an image."""

Item = TypeVar("Item", Sample, Scene)


class Stream(ABC, Generic[Item]):
    """Samples (or scenes: see `scenes`) in an order; iterate over it as often as you like.

    Attributes:
        epoch: Which epoch iteration gives.
        shuffle: Seed of the order; None keeps the data set's own.
        window: The part of each scene that is rendered; None renders all of it.
        renders: Whether iteration yields Samples, or Scenes.
    """

    def __init__(self, *, epoch: int, shuffle: int | None, window: WindowRule | None) -> None:
        self.epoch = whole_number("epoch", epoch)
        self.shuffle = shuffle
        self.window = check_rule(window)
        self.renders = True

    @abstractmethod
    def __len__(self) -> int:
        """Number of places in an epoch; skipped samples keep their places."""

    @property
    def selects(self) -> bool:
        """Whether a selection leaves out places that `len` counts."""
        return False

    @abstractmethod
    def numbered(self, start: int, stop: int) -> Iterator[tuple[int, Item]]:
        """The samples from one place in this epoch's order to another, each with its place.

        Readers that share the range from 0 to `len` between them see every sample once.
        """

    @abstractmethod
    def scenes(self) -> Stream[Scene]:
        """The same stream, yielding Scenes (picture, segments, recipe) that are not rendered."""

    @abstractmethod
    def select(self, keep: Keep) -> Self:
        """The same stream with only the images for which `keep` returns True; no other picture is decoded.

        A selection of a selection keeps what both keep.
        """

    def read(self, start: int, stop: int) -> Iterator[Item]:
        """The samples from one place in this epoch's order to another."""
        return (item for _, item in self.numbered(start, stop))

    def __iter__(self) -> Iterator[Item]:
        return self.read(0, len(self))

    def at(self, epoch: int) -> Self:
        """The same stream in another epoch.

        Raises:
            OptionsError: If the epoch is negative.
        """
        other = copy(self)
        other.epoch = whole_number("epoch", epoch)
        return other

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256, as hex text, of what decides the samples and their places, but for `shuffle` and epoch."""

    def torch(
        self, *, batch: int | None = None, window: WindowRule | None = None, even: Even = "pad"
    ) -> TorchStream:
        """A torch IterableDataset over this stream: dictionaries of tensors, shared among workers and ranks.

        Every rank makes the same number of steps in every epoch; otherwise distributed training would wait
        forever for the rank that has fewer. With one rank, nothing is repeated or dropped.

        Give DataLoader `batch_size=None` with it, with or without `batch`; or omit `batch` and give
        DataLoader `batch_size=N` and `collate_fn=mfsynth.torch_stream.collate`.

        A training that stops in the middle of an epoch goes on with the next sample: see `state_dict` and
        `state_after` of what this returns.

        Args:
            batch: Samples per batch, which must have equal windows; None yields single samples.
            window: Overrides the stream's own window.
            even: Where samples cannot be shared evenly among the ranks of torch.distributed: `pad` repeats
                the first samples of the epoch's order, `drop` leaves out its last, and None gives every
                sample once, in different numbers of steps. With `pad` and `drop`, a rank reads samples
                again in place of live ones that are skipped.

        Raises:
            MissingExtraError: If torch is not installed.
            OptionsError: If the batch is not positive, or the window or `even` is not one. Later, before
                the first step: if there are more ranks than samples, or several ranks share a selection of a
                data set, whose number of samples is not known, unless `even` is None.
        """
        from mfsynth.torch_stream import torch_stream

        other = copy(self)
        other.window = check_rule(window) or self.window
        return torch_stream(other, batch, even)

    def window_of(self, scene: Scene) -> Window | None:
        """The window that this stream's rule gives for a scene."""
        rule = self.window(scene) if callable(self.window) else self.window
        return None if rule is None else Window.of(rule)


def check_rule(window: WindowRule | None) -> WindowRule | None:
    """The rule, a fixed window as a Window.

    Raises:
        OptionsError: If it is neither four whole numbers nor a function.
    """
    return window if window is None or callable(window) else Window.of(window)
