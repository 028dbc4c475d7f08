"""A stream as a torch IterableDataset. The only module of mfsynth that imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from multiprocessing.context import get_spawning_popen
from typing import TYPE_CHECKING, Any, Protocol, Self, get_args

import cv2
import numpy as np

from mfsynth.engine import check_importing, check_script
from mfsynth.errors import MissingExtraError, OptionsError, SourceError
from mfsynth.order import Uneven, even, share, whole_number
from mfsynth.sample import Sample, Scene

try:
    import torch
    import torch.distributed
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise MissingExtraError("torch", "fuse") from error

if TYPE_CHECKING:
    from collections.abc import Sequence


class Readable(Protocol):
    """What a TorchStream reads: samples or scenes in an epoch's order, any range of it at a time."""

    epoch: int

    @property
    def selects(self) -> bool:
        """Whether a selection leaves out places that `len` counts."""

    def __len__(self) -> int:
        """Number of places in an epoch."""

    def at(self, epoch: int) -> Self:
        """The same in another epoch."""

    def read(self, start: int, stop: int) -> Iterator[Sample | Scene]:
        """The items from one place to another."""


class TorchStream(IterableDataset[dict[str, Any]]):
    """Dictionaries of tensors from a stream; over all workers and ranks, each sample comes once per epoch.

    Where ranks would make different numbers of steps, `uneven` repeats or drops samples; see `Stream.torch`.

    A sample has `key`, `recipe`, `window`, and as uint8 tensors `frames` (n x 3 x H x W), `gt` (3 x H x W),
    `focus`, `nearest` and `certain` (H x W each); `segments` (H x W) is int32. A batch has the same with
    one more dimension in front, and lists for the rest.

    Always give DataLoader `batch_size=None`: batches are made here. A loader that makes its own batches of
    single samples needs `collate_fn=mfsynth.torch_stream.collate`: torch's default cannot stack recipes.

    The rank is that of torch.distributed in the process that iterates the loader; initialize it before.
    """

    def __init__(self, stream: Readable, batch: int | None, uneven: Uneven) -> None:
        self.stream = stream
        self.batch = batch
        self.uneven = uneven
        self._rank: tuple[int, int] | None = None
        _one_opencv_thread()  # before a loader forks: a forked child hangs on its parent's threads
        self._epoch = torch.tensor(stream.epoch).share_memory_()  # type: ignore[no-untyped-call]  # persistent workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives.

        Raises:
            OptionsError: If it is negative, or the ranks cannot make the same number of steps.
            BuildError: If a worker process imports a script that calls this without the guard.
        """
        check_importing()  # training loops call this; a worker that imports the script must not run one
        self._check(_rank())
        self._epoch.fill_(whole_number("epoch", epoch))

    def __getstate__(self) -> dict[str, Any]:
        """The state for a spawned worker: with the rank, as torch.distributed is not initialized there."""
        if get_spawning_popen():  # for a worker; one that is forked is not sent anything
            check_script()
        rank = _rank()
        self._check(rank)
        return self.__dict__ | {"_rank": rank}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        _one_opencv_thread()
        items = (as_tensors(item) for item in self._items())
        return items if self.batch is None else _batches(items, self.batch)

    def _items(self) -> Iterator[Sample | Scene]:
        worker = get_worker_info()
        rank = _rank() or (self._rank if worker else None) or (0, 1)
        self._check(rank)
        stream = self.stream.at(int(self._epoch))
        return shared(stream, self.uneven, rank, (worker.id, worker.num_workers) if worker else (0, 1))

    def _check(self, rank: tuple[int, int] | None) -> None:
        """Raise if the ranks cannot make the same number of steps."""
        _, ranks = rank or (0, 1)
        if even(len(self.stream), ranks, self.uneven) is None:
            return
        if self.stream.selects:
            raise OptionsError(
                "the number of selected samples is not known, so ranks could make different numbers of steps",
                'build a data set of the selected samples, or use .torch(uneven="keep") and let ranks join',
            )
        if len(self.stream) < ranks:
            raise OptionsError(f"{len(self.stream)} samples are too few for {ranks} ranks", "use fewer ranks")


def torch_stream(stream: Readable, batch: int | None, uneven: Uneven = "repeat") -> TorchStream:
    """Wrap a stream.

    Raises:
        OptionsError: If the batch is not positive, or `uneven` is not known.
    """
    if batch is not None and batch < 1:
        raise OptionsError(f"batch is {batch}, it must be positive")
    if uneven not in get_args(Uneven):
        raise OptionsError(f"uneven is {uneven!r}, it must be one of {', '.join(get_args(Uneven))}")
    return TorchStream(stream, batch, uneven)


def as_tensors(item: Sample | Scene) -> dict[str, Any]:
    """A sample's or scene's arrays as tensors, pictures channels first."""
    if isinstance(item, Scene):
        return {
            "key": item.key,
            "gt": _channels_first(item.picture),
            "segments": torch.from_numpy(item.segments.astype(np.int32)),
            "recipe": item.recipe,
        }
    return {
        "key": item.key,
        "frames": torch.stack([_channels_first(frame) for frame in item.frames]),
        "focus": _own(item.focus),
        "gt": _channels_first(item.gt),
        "nearest": _own(item.nearest),
        "certain": _own(item.certain),
        "segments": torch.from_numpy(item.segments.astype(np.int32)),
        "recipe": item.recipe,
        "window": item.window,
    }


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack samples with equal windows into a batch: a `collate_fn` for loaders that make their own.

    Args:
        samples: Dictionaries as a stream without `batch` yields them.

    Returns:
        Their tensors stacked along a new first dimension, and lists of everything else.

    Raises:
        OptionsError: If their sizes differ.
    """
    sizes = {tuple(sample["gt"].shape[1:]) for sample in samples}
    if len(sizes) > 1:
        raise OptionsError(
            f"samples of sizes {sorted(sizes)} do not stack into a batch", "choose a window of one size"
        )
    columns = {name: [sample[name] for sample in samples] for name in samples[0]}
    return {
        name: torch.stack(column) if isinstance(column[0], torch.Tensor) else column
        for name, column in columns.items()
    }


def _batches(items: Iterator[dict[str, Any]], size: int) -> Iterator[dict[str, Any]]:
    waiting: list[dict[str, Any]] = []
    for item in items:
        waiting.append(item)
        if len(waiting) == size:
            yield collate(waiting)
            waiting = []
    if waiting:
        yield collate(waiting)


def shared(
    stream: Readable, uneven: Uneven, rank: tuple[int, int], worker: tuple[int, int]
) -> Iterator[Sample | Scene]:
    """What one reader reads of a stream's epoch: a worker's part of its rank's share.

    Args:
        stream: What all readers share.
        uneven: What to do where the ranks' shares are uneven.
        rank: The rank, and the number of ranks.
        worker: The worker of this rank, and the number of its workers.

    Raises:
        SourceError: If no sample can be read at all.
    """
    start, stop = share(len(stream), *rank)
    wanted = even(len(stream), rank[1], uneven)
    # the same for all ranks, so that workers with the same number make the same number of batches
    low, high = share(stop - start if wanted is None else wanted, *worker)
    places = start + low, min(start + high, stop)
    missing = high - low
    for item in stream.read(*places):
        missing -= 1
        yield item
    if wanted is not None:
        yield from _again(stream, missing, places, (start, stop), (0, len(stream)))


def _again(stream: Readable, count: int, *places: tuple[int, int]) -> Iterator[Sample | Scene]:
    """A number of items from the first of these places, over and over; from the next if there are none."""
    for start, stop in places:
        found = True
        while count and found:
            found = False
            for item in islice(stream.read(start, stop), count):
                count, found = count - 1, True
                yield item
    if count:
        raise SourceError("none of the samples of this epoch can be used")


def _one_opencv_thread() -> None:
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


def _rank() -> tuple[int, int] | None:
    """This process's rank and the number of ranks; None if torch.distributed is not initialized."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return None


def _own(values: np.ndarray) -> torch.Tensor:
    """A tensor with memory of its own: `certain` of format 1 has none, and `nearest` is `focus`."""
    return torch.from_numpy(np.array(values, order="C"))


def _channels_first(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
