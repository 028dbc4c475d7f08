"""Batches of crops, made in loader workers; each worker's position travels with its batches."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor

from mfsynth.engine import Feed
from mfsynth.errors import MfsynthError
from zoo.errors import LoaderError
from zoo.training.crops import make_crop
from zoo.training.rendering.drafts import developed, make_draft
from zoo.training.scattered import START, Position, Scattered, T
from zoo.training.sources import Reader, SourceSpec, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from zoo.training.crops import Crop
    from zoo.training.options import Render, TrainOptions
    from zoo.training.rendering.drafts import Draft
    from zoo.training.scattered import Make

MEMORY = 512 << 20
"""Bytes of decoded images of live sources that each loader worker keeps: about four hundred of COCO's."""
_CPU = torch.device("cpu")
_POLL_SECONDS = 0.5
"""How often a training that waits for a batch checks whether to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """P crops, uint8, and their worker.

    Attributes:
        frames: F x 3 x S x S: the frames of all crops, one crop after the other.
        counts: The number of frames of each crop.
        target: P x S x S.
        gt: P x 3 x S x S.
        worker: Number of the worker.
        position: Of its stream, after this batch.
    """

    frames: Tensor
    counts: tuple[int, ...]
    target: Tensor
    gt: Tensor
    worker: int
    position: Position

    def __reduce__(self) -> tuple[Any, ...]:
        """As arrays: tensors would be fetched from the worker later, which may no longer answer."""
        arrays = (self.frames.numpy(), self.counts, self.target.numpy(), self.gt.numpy())
        return _of_arrays, (*arrays, self.worker, self.position)


def _of_arrays(
    frames: NDArray[np.uint8],
    counts: tuple[int, ...],
    target: NDArray[np.uint8],
    gt: NDArray[np.uint8],
    worker: int,
    position: Position,
) -> Batch:
    pixels, chosen, truth = map(torch.from_numpy, (frames, target, gt))
    return Batch(pixels, counts, chosen, truth, worker, position)


@dataclass(frozen=True, slots=True, eq=False)
class Drafts:
    """P crops that are not rendered yet, and their worker.

    Attributes:
        drafts: P of them.
        worker: Number of the worker.
        position: Of its stream, after this batch.
    """

    drafts: tuple[Draft, ...]
    worker: int
    position: Position

    def developed(self, device: torch.device) -> Batch:
        """The batch, rendered on a device, where its tensors are."""
        counts = tuple(len(draft.plate.moves) for draft in self.drafts)
        frames, target, gt = developed(self.drafts, device)
        return Batch(frames, counts, target, gt, self.worker, self.position)


class Batches:
    """One process's endless batches; each loader worker makes its share.

    Args:
        specs: The sources.
        options: Of the training.
        rank: This process.
        ranks: Number of processes.
        workers: Loader workers, or 1 for none.
        begun: Batches that this process has taken before; workers take turns, and continue from there.
        positions: The position of each worker's stream.
        holding: Hold out one image in twenty for validation.
        memory: Most bytes of decoded images that each worker keeps, of all live sources together.
        render: Where crops are rendered: `cpu` by the workers, `device` by who takes them.
    """

    def __init__(
        self,
        specs: Sequence[SourceSpec],
        options: TrainOptions,
        *,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 1,
        begun: int = 0,
        positions: Sequence[Position] = (),
        holding: bool = True,
        memory: int = MEMORY,
        render: Render = "cpu",
    ) -> None:
        self.specs, self.options = specs, options
        self.rank, self.ranks, self.workers = rank, ranks, workers
        self.begun, self.holding, self.render = begun, holding, render
        self.memory = memory // max(1, sum(spec.live for spec in specs))
        self.positions = positions or [Position()] * workers

    def ahead(self, turn: int) -> Iterator[Batch | Drafts]:
        """In a worker process: the batches of the worker whose turn it is now, or `turn` later."""
        torch.set_num_threads(1)
        return self.of((turn + self.begun) % self.workers)

    def of(self, worker: int) -> Iterator[Batch | Drafts]:
        """One worker's batches, without end."""
        cv2.setNumThreads(1)
        if self.render == "device":
            drafts = self._scattered(worker, make_draft)
            while True:
                yield Drafts(tuple(islice(drafts, self.options.pairs)), worker, drafts.position)
        crops = self._scattered(worker, make_crop)
        while True:
            yield batch_of([*islice(crops, self.options.pairs)], worker, crops.position)

    def _scattered(self, worker: int, make: Make[T]) -> Scattered[T]:
        """One worker's crops, made in some way."""
        reader = Reader(self.rank, self.ranks, worker, self.workers)
        sources = [
            (open_source(spec, self.options.seed, self.holding, self.memory), spec.weight)
            for spec in self.specs
        ]
        return Scattered(sources, self.options, reader, make, self.positions[worker])


class Loader:
    """The batches, made ahead by workers, or by this process if there are none. Use it in a `with`.

    Args:
        batches: What to load.
        workers: Number of worker processes.
        say: Called with a line when a worker reports nothing for a minute.
        device: Where batches are rendered that workers leave to this process.
    """

    def __init__(
        self,
        batches: Batches,
        workers: int,
        say: Callable[[str], None] = lambda _: None,
        device: torch.device = _CPU,
    ) -> None:
        self._device = device
        self._feed = Feed(batches.ahead, workers, say=say) if workers else None
        self._own = batches.of(0)

    def next(self, stopped: Callable[[], bool] = lambda: False) -> Batch | None:
        """The next batch; None if `stopped` while it was awaited.

        Raises:
            LoaderError: If it cannot be made, or its worker has died.
        """
        try:
            batch = self._taken(stopped)
            return batch.developed(self._device) if isinstance(batch, Drafts) else batch
        except MfsynthError as error:
            raise LoaderError(error.message, error.hint) from error
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise LoaderError(f"a batch could not be made: {text}") from error

    def _taken(self, stopped: Callable[[], bool]) -> Batch | Drafts | None:
        if self._feed is None:
            return next(self._own)
        while (batch := self._feed.next(_POLL_SECONDS)) is None and not stopped():
            pass
        return batch

    def __iter__(self) -> Iterator[Batch]:
        while batch := self.next():
            yield batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._feed is not None:
            self._feed.close()


def batch_of(crops: Sequence[Crop], worker: int = 0, position: Position = START) -> Batch:
    """Crops of one size as a batch of tensors."""
    frames = np.stack([frame for crop in crops for frame in crop.frames])
    return Batch(
        torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous(),
        tuple(len(crop.frames) for crop in crops),
        torch.from_numpy(np.stack([crop.target for crop in crops])),
        torch.from_numpy(np.stack([crop.gt for crop in crops])).permute(0, 3, 1, 2).contiguous(),
        worker,
        position,
    )
