"""A stream as a torch IterableDataset. The only module of mfsynth that imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, Self

import cv2
import numpy as np

from mfsynth.engine import check_guard
from mfsynth.errors import MissingExtraError, OptionsError
from mfsynth.order import share, whole_number
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

    def __len__(self) -> int:
        """Number of places in an epoch."""

    def at(self, epoch: int) -> Self:
        """The same in another epoch."""

    def read(self, start: int, stop: int) -> Iterator[Sample | Scene]:
        """The items from one place to another."""


class TorchStream(IterableDataset[dict[str, Any]]):
    """Dictionaries of tensors from a stream; over all workers and ranks, each sample comes once per epoch.

    A sample has `key`, `recipe`, `window`, and as uint8 tensors `frames` (n x 3 x H x W), `focus` (H x W)
    and `gt` (3 x H x W); `segments` (H x W) is int32. A batch has the same with one more dimension in
    front, and lists for the rest.

    Always give DataLoader `batch_size=None`: batches are made here. A loader that makes its own batches of
    single samples needs `collate_fn=mfsynth.torch_stream.collate`: torch's default cannot stack recipes.

    The rank is that of torch.distributed in the process that iterates the loader; initialize it before.
    """

    def __init__(self, stream: Readable, batch: int | None) -> None:
        self.stream = stream
        self.batch = batch
        self._rank: tuple[int, int] | None = None
        _one_opencv_thread()  # before a loader forks: a forked child hangs on its parent's threads
        self._epoch = torch.tensor(stream.epoch).share_memory_()  # type: ignore[no-untyped-call]  # persistent workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives.

        Raises:
            OptionsError: If it is negative.
            BuildError: If a worker process imports a script that calls this without the guard.
        """
        check_guard()  # training loops call this; a loader's worker that imports the script must not run one
        self._epoch.fill_(whole_number("epoch", epoch))

    def __getstate__(self) -> dict[str, Any]:
        """The state for a spawned worker: with the rank, as torch.distributed is not initialized there."""
        return self.__dict__ | {"_rank": _rank()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        start, stop = share(len(self.stream), *self._reader())
        _one_opencv_thread()
        items = (as_tensors(item) for item in self.stream.at(int(self._epoch)).read(start, stop))
        return items if self.batch is None else _batches(items, self.batch)

    def _reader(self) -> tuple[int, int]:
        """Which reader this is, and how many there are: loader workers times ranks."""
        worker = get_worker_info()
        if worker is None:
            return _rank() or (0, 1)
        rank, ranks = _rank() or self._rank or (0, 1)
        return rank * worker.num_workers + worker.id, ranks * worker.num_workers


def torch_stream(stream: Readable, batch: int | None) -> TorchStream:
    """Wrap a stream.

    Raises:
        OptionsError: If the batch is not positive.
    """
    if batch is not None and batch < 1:
        raise OptionsError(f"batch is {batch}, it must be positive")
    return TorchStream(stream, batch)


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
        "focus": torch.from_numpy(np.ascontiguousarray(item.focus)),
        "gt": _channels_first(item.gt),
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


def _one_opencv_thread() -> None:
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


def _rank() -> tuple[int, int] | None:
    """This process's rank and the number of ranks; None if torch.distributed is not initialized."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return None


def _channels_first(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
