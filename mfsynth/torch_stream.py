"""A stream as a torch IterableDataset. The only module of mfsynth that imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.errors import MissingExtraError, OptionsError
from mfsynth.order import share, whole_number
from mfsynth.sample import Sample, Scene
from mfsynth.stream import Stream

try:
    import torch
    import torch.distributed
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise MissingExtraError("torch", "zoo") from error

if TYPE_CHECKING:
    from collections.abc import Sequence


class TorchStream(IterableDataset[dict[str, Any]]):
    """Dictionaries of tensors from a stream; over all workers and ranks each sample comes once an epoch.

    A sample has `key`, `recipe`, `window`, and as uint8 tensors `frames` (n x 3 x H x W), `focus` (H x W)
    and `gt` (3 x H x W); `segments` (H x W) is int32. A batch has the same with one more dimension in
    front, and lists for the rest.

    Give DataLoader `batch_size=None` always: batches are made here. A loader that is to make its own
    of single samples needs `collate_fn=mfsynth.torch_stream.collate`: torch's default cannot stack recipes.
    """

    def __init__(self, stream: Stream[Any], batch: int | None) -> None:
        self.stream = stream
        self.batch = batch
        _one_opencv_thread()  # here, before a loader forks: a forked child hangs on its parent's threads
        self._epoch = torch.tensor(stream.epoch).share_memory_()  # type: ignore[no-untyped-call]  # persistent workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives.

        Raises:
            OptionsError: If it is negative.
        """
        self._epoch.fill_(whole_number("epoch", epoch))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        start, stop = share(len(self.stream), *_reader())
        _one_opencv_thread()
        items = (as_tensors(item) for item in self.stream.at(int(self._epoch)).read(start, stop))
        return items if self.batch is None else _batches(items, self.batch)


def torch_stream(stream: Stream[Any], batch: int | None) -> TorchStream:
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
        Their tensors stacked along a new first dimension, and lists of all else.

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


def _reader() -> tuple[int, int]:
    """Which reader this is, and how many there are: loader workers times ranks."""
    worker = get_worker_info()
    number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
    rank, ranks = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return rank * workers + number, ranks * workers


def _channels_first(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
