"""Batches of crops, made in spawned loader workers; each worker's position travels with its batches."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mfsynth.errors import MfsynthError
from zoo.training.crops import Crop, draws, make_crop
from zoo.training.sources import Mixture, Reader, SourceSpec, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.training.options import TrainOptions


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a reader's stream: samples drawn, and epoch and place in each source."""

    drawn: int = 0
    places: list[list[int]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops, uint8: frames P x 2 x 3 x S x S, focus P x S x S, gt P x 3 x S x S; and their worker."""

    frames: Tensor
    focus: Tensor
    gt: Tensor
    worker: int
    position: Position


class Batches(IterableDataset["Batch | MfsynthError"]):
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
    ) -> None:
        self.specs, self.options = specs, options
        self.rank, self.ranks, self.workers = rank, ranks, workers
        self.begun, self.holding = begun, holding
        self.positions = positions or [Position()] * workers

    def __iter__(self) -> Iterator[Batch | MfsynthError]:
        """Batches; an error ends them, as an item: if raised in a worker, it would arrive only as text."""
        try:
            yield from self._batches()
        except MfsynthError as error:
            yield error

    def _batches(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        info = get_worker_info()
        worker = ((info.id if info else 0) + self.begun) % self.workers
        reader = Reader(self.rank, self.ranks, worker, self.workers)
        sources = [(open_source(spec, self.options.seed, self.holding), spec.weight) for spec in self.specs]
        position = self.positions[worker]
        mixture = Mixture(sources, self.options.seed, reader, position.places)
        drawn = position.drawn
        while True:
            crops = []
            for _ in range(self.options.pairs):
                rng = draws("crop", self.options.seed, reader.number, drawn)
                crops.append(make_crop(mixture.next(drawn), self.options, rng))
                drawn += 1
            yield batch_of(crops, worker, Position(drawn, [list(each) for each in mixture.position]))


def loader(batches: Batches, workers: int) -> Iterator[Batch]:
    """The batches, made ahead by spawned workers, or by this process if there are none.

    Raises:
        MfsynthError: An error in a worker, when its turn comes.
    """
    settings: dict[str, Any] = {}
    if workers:
        settings = {"multiprocessing_context": "spawn", "prefetch_factor": 4}
    with _signals_put_off():
        items = iter(DataLoader(batches, batch_size=None, num_workers=workers, **settings))
    return map(_batch_or_error, items)


def _batch_or_error(item: Batch | MfsynthError) -> Batch:
    if isinstance(item, MfsynthError):
        raise item
    return item


@contextmanager
def _signals_put_off() -> Iterator[None]:
    """Workers started inside never see SIGINT and SIGTERM, which the training handles: it saves first."""
    resource_tracker.ensure_running()  # starting it later would lift the block
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def batch_of(crops: Sequence[Crop], worker: int = 0, position: Position = Position()) -> Batch:
    """Crops of one size as a batch of tensors."""
    frames = np.stack([np.stack(crop.frames) for crop in crops])
    return Batch(
        torch.from_numpy(frames).permute(0, 1, 4, 2, 3).contiguous(),
        torch.from_numpy(np.stack([crop.focus for crop in crops])),
        torch.from_numpy(np.stack([crop.gt for crop in crops])).permute(0, 3, 1, 2).contiguous(),
        worker,
        position,
    )
