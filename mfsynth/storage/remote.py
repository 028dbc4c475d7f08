"""A remote file as a stream that goes on after broken connections, from the byte where they broke."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from mfsynth.locations import shown
from mfsynth.storage.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

    from mfsynth.storage.patience import Patience

READ_AHEAD = 8 << 20
"""Bytes that seeking forward reads over rather than asking again."""


class Source(Protocol):
    """A remote file that can be read from any byte on, again and again."""

    location: str

    @property
    def size(self) -> int | None:
        """Its size in bytes, once it has been opened, if it is known."""

    def pieces(self, start: int) -> Iterator[bytes]:
        """What follows from a byte on.

        Raises:
            Setback: If another try may help.
            ShardError: If the file is not the one that was opened before.
            Exception: Of any other kind, if another try would not help.
        """


class RemoteFile(io.RawIOBase):
    """A source as a file. It is opened at once, and again wherever reading has arrived if that fails.

    Raises:
        Setback: As the source, for the last of several tries in a row.
    """

    def __init__(self, source: Source, patience: Patience) -> None:
        super().__init__()
        self.source, self.patience = source, patience
        self._at = 0
        self._pieces: Iterator[bytes] | None = None
        self._rest = memoryview(self._next())

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True: a little forward by reading on, else by another request."""
        return True

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte; nothing is requested before it is read."""
        target = offset + (0 if whence == io.SEEK_SET else self._at if whence == io.SEEK_CUR else self._end())
        if target < 0:
            raise ValueError(f"{shown(self.source.location)} has no byte {target}")
        while self._at < target <= self._at + READ_AHEAD and self._fill():
            self._take(target - self._at)
        if self._at != target:
            self._stop()
            self._at = target
        return target

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, at least in part; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if not self._fill():
            return 0
        part = self._take(len(view))
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._stop()
        super().close()

    def _end(self) -> int:
        if self.source.size is None:
            raise io.UnsupportedOperation("the size is not known")
        return self.source.size

    def _fill(self) -> bool:
        """Whether there is something to take."""
        if not self._rest:
            self._rest = memoryview(self._next())
        return bool(self._rest)

    def _take(self, size: int) -> memoryview:
        part, self._rest = self._rest[:size], self._rest[size:]
        self._at += len(part)
        return part

    def _next(self) -> bytes:
        return patiently(self._piece, shown(self.source.location), self.patience)

    def _piece(self) -> bytes:
        if self._pieces is None:
            self._pieces = self.source.pieces(self._at)
        try:
            return next(self._pieces, b"")
        except BaseException:
            self._pieces = None
            raise

    def _stop(self) -> None:
        self._rest = memoryview(b"")
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.close()  # type: ignore[attr-defined]
