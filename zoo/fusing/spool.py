"""Layers that were taken once, to be looked at again and again, window by window: in memory or in a file."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zoo.errors import FrameError
from zoo.fusing.layer import WHOLE, Key, Layer, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from zoo.fusing.tiles import Window

MEMORY = 512 << 20
"""Bytes of layers that are kept in memory; more are kept in a file."""


@contextmanager
def spooled(
    layers: Iterable[Layer], expected: int | None = None, memory: int = MEMORY
) -> Iterator[list[View]]:
    """Layers that can be looked at while the context lasts; each is taken in its turn, and let go.

    Args:
        layers: Of one size and dtype.
        expected: How many there are, if that is known: then a file that will not fit is not begun.
        memory: The most bytes to keep in memory. More go to a file without a name in the folder for temporary
            files, which is gone with the context, or with the process.

    Raises:
        FrameError: If the file does not fit.
    """
    with ExitStack() as context:
        kept: list[View] = []
        store: _Store | None = None
        total = 0
        for layer in layers:
            total += _size(layer)
            if store is None and total > memory:
                count = max(expected or 0, len(kept) + 1)
                store = _opened(total * count // (len(kept) + 1))
                context.callback(store.close)
                kept = [store.added(each.part()) for each in kept]
            kept.append(layer if store is None else store.added(layer))
            del layer  # before the next one is read
        yield kept


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """A layer in a file, as `Layer` is one in memory."""

    file: IO[bytes]
    place: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    masked: bool
    ordered_by: Key

    def part(self, window: Window = WHOLE) -> Layer:
        """A window of it, or all, in memory."""
        pixels = self._read(self.place, self.shape, self.dtype, window)
        return Layer(pixels, self.gain, self.offset, self.mask(window))

    def mask(self, window: Window = WHOLE) -> NDArray[np.bool_] | None:
        """Where a window of it shows something; None is everywhere."""
        if not self.masked:
            return None
        place = self.place + int(np.prod(self.shape)) * self.dtype.itemsize
        return self._read(place, self.shape[:2], np.dtype(bool), window)

    def key(self) -> Key:
        """What orders it among others; nothing is read for that."""
        return self.ordered_by

    def _read(self, place: int, shape: tuple[int, ...], dtype: np.dtype[Any], window: Window) -> NDArray[Any]:
        """Copied from a map that does not outlast the call: pages of a map count as resident memory."""
        return np.array(np.memmap(self.file, dtype, "r", place, shape)[window])


@dataclass(frozen=True, slots=True)
class _Store:
    """A file that layers are added to."""

    file: IO[bytes]
    folder: str

    def added(self, layer: Layer) -> _Stored:
        """The layer in the file.

        Raises:
            FrameError: If the file does not fit.
        """
        parts = [layer.pixels] if layer.shown is None else [layer.pixels, layer.shown]
        place = self.file.tell()
        try:
            for each in parts:
                self.file.write(np.ascontiguousarray(each).data.cast("B"))
            self.file.flush()
        except OSError as error:
            raise _refused(f"cannot write to {self.folder}: {error.strerror}") from error
        masked = layer.shown is not None
        return _Stored(
            self.file, place, layer.shape, layer.dtype, layer.gain, layer.offset, masked, layer.key()
        )

    def close(self) -> None:
        """Remove the file; what is still to be written, as there was no room for it, no longer matters."""
        with suppress(OSError):
            self.file.close()


def _opened(needed: int) -> _Store:
    """A file without a name, where there is room for it."""
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise _refused(f"{folder} has {_gigabytes(free)} free, and {_gigabytes(needed)} are needed")
        return _Store(tempfile.TemporaryFile(), folder)
    except OSError as error:
        raise _refused(f"no folder takes it: {error.strerror}") from error


def _refused(reason: str) -> FrameError:
    return FrameError(
        f"prepared frames cannot be kept in a temporary file: {reason}",
        "free space there, set TMPDIR to a folder with more, or fuse fewer frames",
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _size(layer: Layer) -> int:
    return layer.pixels.nbytes + (0 if layer.shown is None else layer.shown.nbytes)
