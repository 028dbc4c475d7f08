"""A stream as a torch IterableDataset. The only module of mfsynth that imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from multiprocessing.context import get_spawning_popen
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth import schema, shares
from mfsynth.engine import check_importing, check_script
from mfsynth.errors import MissingExtraError, OptionsError, UnknownLengthError
from mfsynth.order import Even, whole_number
from mfsynth.reading import Readable, Reading, check_reader
from mfsynth.sample import Sample, Scene
from mfsynth.shares import Part, Reader, Span, State

try:
    import torch
    import torch.distributed
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise MissingExtraError("torch", "fuse") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch.utils.data import DataLoader


class TorchStream(IterableDataset[dict[str, Any]]):
    """Dictionaries of tensors from a stream; over all workers and ranks, each sample comes once per epoch.

    Where ranks would make different numbers of steps, `even` repeats or drops samples; see `Stream.torch`.

    A sample has `key`, `recipe`, `window`, and as uint8 tensors `frames` (n x 3 x H x W), `gt` (3 x H x W),
    `focus`, `nearest` and `certain` (H x W each); `segments` (H x W) is int32. A batch has the same with
    one more dimension in front, and lists for the rest.

    Always give DataLoader `batch_size=None`: batches are made here. A loader that makes its own batches of
    single samples needs `collate_fn=mfsynth.torch_stream.collate`: torch's default cannot stack recipes.

    The rank is that of torch.distributed in the process that iterates the loader; initialize it before.

    To go on in the middle of an epoch, with the same batches, use torchdata's StatefulDataLoader: its
    `state_dict` holds the `state_dict` of this stream in each worker. To go on with other numbers of ranks or
    workers, or without torchdata, save `state_after(loader, steps)` and give it to `load_state_dict`.
    """

    def __init__(self, stream: Readable, batch: int | None, even: Even) -> None:
        self.stream = stream
        self.batch = batch
        self.even = even
        self._rank: tuple[int, int] | None = None
        self._start: State | None = None
        self._resumed: State | None = None
        self._reading: Reading | None = None
        _one_opencv_thread()  # before a loader forks: a forked child hangs on its parent's threads
        self._epoch = torch.tensor(stream.epoch).share_memory_()  # type: ignore[no-untyped-call]  # persistent workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives: all of it, or what a loaded state leaves of it.

        Raises:
            OptionsError: If it is negative, or the ranks cannot make the same number of steps.
            BuildError: If a worker process imports a script that calls this without the guard.
        """
        check_importing()  # training loops call this; a worker that imports the script must not run one
        self._check(self._ranks()[1])
        self._epoch.fill_(whole_number("epoch", epoch))
        if self._resumed and self._resumed.epoch != epoch:
            self._resumed = None

    def __len__(self) -> int:
        """Number of batches that this rank gives in the epoch, or of samples if the stream makes no batches.

        After `load_state_dict` of what `state_after` returned, it is the number that is left of that epoch.
        It holds for any number of workers. With one rank, or if `even` is None, live samples that are skipped
        are missing.

        Raises:
            UnknownLengthError: If there is a selection of a data set. It is a TypeError and an OptionsError.
            OptionsError: If the ranks cannot make the same number of steps.
        """
        rank, ranks = self._ranks()
        self._check(ranks)
        if self.stream.selects:
            raise UnknownLengthError("the number of selected samples is not known")
        left = shares.length(self._remaining(int(self._epoch)))
        start, stop = shares.rank_share(left, rank, ranks, self.even)
        return shares.batches(stop - start, self.batch or 1)

    def __getstate__(self) -> dict[str, Any]:
        """The state for a spawned worker: with the rank, as torch.distributed is not initialized there."""
        if get_spawning_popen():  # for a worker; one that is forked is not sent anything
            check_script()
        rank = _rank()
        self._check((rank or (0, 1))[1])
        return self.__dict__ | {"_rank": rank, "_reading": None}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        _one_opencv_thread()
        self._reading = self._begin()
        items = (as_tensors(item) for item in self._reading)
        return items if self.batch is None else _batches(items, self.batch)

    def state_dict(self) -> dict[str, Any]:
        """How far the last iteration has come in this process: that of a loader worker, if there are any.

        It has some hundred bytes, whatever the size of the data. The same number of ranks and workers goes on
        from there, with the samples of an undisturbed epoch in the same batches. All ranks may load the state
        of one rank, as they make the same steps; if live samples were skipped, each needs its own.

        Raises:
            OptionsError: If nothing of the stream was read in this process.
        """
        if self._reading is None:
            raise OptionsError(
                "this process has read nothing of the stream: its loader's workers do",
                "use `state_after`, or the `state_dict` of torchdata's StatefulDataLoader",
            )
        return schema.to_json(self._state(self._reading.epoch, self._reading.parts, self._reading.reader))

    def state_after(self, loader: DataLoader[Any], steps: int) -> dict[str, Any]:
        """The position in this epoch after some steps of a loader, to go on with any number of readers.

        What remains is shared anew, so that every sample still comes once in the epoch, whatever number of
        ranks and workers reads on. It is the same on every rank, so one of them saves it.

        Live samples that were skipped are not counted: with any, as many others may come twice.

        Args:
            loader: What reads this stream, in each rank alike.
            steps: How many times it was asked in this epoch, by each rank; after a `load_state_dict`, since
                then. More than an epoch has stand for all of it.

        Raises:
            OptionsError: If there is a selection, or workers that need not take turns (`in_order=False`).
        """
        if self.stream.selects:
            raise OptionsError(
                "a selection does not tell how many places its samples had in the order",
                "build a data set of the selected samples, or use torchdata's StatefulDataLoader",
            )
        part = self._part(loader, whole_number("steps", steps))
        epoch = int(self._epoch)
        return schema.to_json(self._state(epoch, self._parts(epoch) + ((part,) if steps else ())))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` or `state_after` was called.

        What `state_after` returned holds for every later iteration of that epoch, until `set_epoch` chooses
        another; load it before the loader starts. What `state_dict` returned is for the next iteration only,
        unless `set_epoch` chooses another epoch; torchdata's StatefulDataLoader loads it in its workers.

        Raises:
            OptionsError: If it is not a state, or one of other data, another seed or other options.
        """
        saved = State.of(state)
        saved.check(self._state(saved.epoch))
        if saved.reader is None:
            self._start, self._resumed = saved, None
            self._epoch.fill_(saved.epoch)
        else:
            self._resumed = saved

    def _begin(self) -> Reading:
        rank, ranks = self._ranks()
        self._check(ranks)
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        reader = Reader(ranks, workers, self.batch or 1, worker)
        saved, self._resumed = self._resumed, None
        if saved and saved.reader:
            check_reader(saved.reader, reader)
            return self._read(saved.epoch, saved.parts, rank, saved.reader)
        epoch = int(self._epoch)
        return self._read(epoch, self._parts(epoch), rank, reader)

    def _read(self, epoch: int, parts: tuple[Part, ...], rank: int, reader: Reader) -> Reading:
        return Reading(self.stream.at(epoch), self.even, epoch, parts, rank, reader)

    def _state(self, epoch: int, parts: tuple[Part, ...] = (), reader: Reader | None = None) -> State:
        seed = None if self.stream.shuffle is None else int(self.stream.shuffle)  # it may be one of NumPy's
        return State(shares.FORMAT, self._data, seed, self.even, epoch, parts, reader)

    def _part(self, loader: DataLoader[Any], steps: int) -> Part:
        """What a loader has read after some steps."""
        workers = max(loader.num_workers, 1)
        if workers > 1 and not loader.in_order:
            raise OptionsError("with in_order=False, workers do not take turns", "omit in_order=False")
        ranks = self._ranks()[1]
        if self.batch is None:
            return Part(ranks, workers, 1, loader.batch_size or 1, steps, loader.drop_last)
        return Part(ranks, workers, self.batch, self.batch, steps)

    @cached_property
    def _data(self) -> str:
        return self.stream.fingerprint

    def _parts(self, epoch: int) -> tuple[Part, ...]:
        """What was read of an epoch before its readers of today begin."""
        return self._start.parts if self._start and self._start.epoch == epoch else ()

    def _remaining(self, epoch: int) -> list[Span]:
        return shares.remaining(len(self.stream), self._parts(epoch), self.even)

    def _ranks(self) -> tuple[int, int]:
        """The rank and the number of ranks; in a spawned worker, those of the process that started it."""
        return _rank() or (self._rank if get_worker_info() else None) or (0, 1)

    def _check(self, ranks: int) -> None:
        """Raise if the ranks cannot make the same number of steps."""
        if ranks == 1 or self.even is None:
            return
        if self.stream.selects:
            raise OptionsError(
                "the number of selected samples is not known, so ranks could make different numbers of steps",
                "build a data set of the selected samples, or use .torch(even=None) and let ranks join",
            )
        if len(self.stream) < ranks:
            raise OptionsError(f"{len(self.stream)} samples are too few for {ranks} ranks", "use fewer ranks")


def torch_stream(stream: Readable, batch: int | None, even: Even = "pad") -> TorchStream:
    """Wrap a stream.

    Raises:
        OptionsError: If the batch is not a positive whole number, or `even` is not known.
    """
    if batch is not None and whole_number("batch", batch) < 1:
        raise OptionsError(f"batch is {batch}, it must be positive")
    if even not in ("pad", "drop", None):
        raise OptionsError(f"even is {even!r}, it must be 'pad', 'drop' or None")
    return TorchStream(stream, batch, even)


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
