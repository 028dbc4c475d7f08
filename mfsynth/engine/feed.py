"""Endless streams: each worker makes items ahead of time, and they are taken from the workers in turn."""

from __future__ import annotations

import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from mfsynth.engine.guard import check_guard
from mfsynth.engine.worker import Failed, Ready, Worker, end, portable, signals_put_off
from mfsynth.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

R = TypeVar("R")


class Feed(Generic[R]):
    """Items that workers make ahead of time. Close it, or use it in a `with`.

    Args:
        make: Called in each worker with the worker's number; yields its items without end. It is pickled.
        workers: Number of processes.
        ahead: Number of items of each worker that may wait for their turn.
        say: Called with a line when a worker that is waited for reports nothing for a minute.

    Raises:
        BuildError: If a worker cannot be started.
    """

    def __init__(
        self,
        make: Callable[[int], Iterator[R]],
        workers: int,
        *,
        ahead: int = 4,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        check_guard()
        self._say, self._turn = say, 0
        self._lines: list[_Line] = []
        try:
            with signals_put_off():
                for number in range(workers):
                    self._lines.append(_Line(Worker(_serve, make, number), ahead))
        except BaseException:
            self.close()
            raise

    def next(self, seconds: float) -> R | None:
        """The next item, from the worker whose turn it is; None if it has not come after some seconds.

        Raises:
            BuildError: If the worker has died.
            Exception: Whatever `make` raised.
        """
        line = self._lines[self._turn]
        name = f"loader worker {self._turn + 1} of {len(self._lines)}"
        message = line.take(seconds)
        if message is _NOTHING:
            if silence := line.worker.silence():
                self._say(f"{name} {silence}")
            return None
        if message is None:
            raise BuildError(f"{name} died ({line.worker.death()})", "out of memory? free some")
        if isinstance(message, Failed):
            raise message.error
        self._turn = (self._turn + 1) % len(self._lines)
        item: R = message
        return item

    def close(self) -> None:
        """End the workers, whatever they do."""
        for line in self._lines:
            line.worker.kill()
        end([line.worker for line in self._lines], self._say)
        for line in self._lines:
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_NOTHING = object()


class _Line:
    """One worker's items in the parent: a thread reads them as they come, but not too many ahead."""

    def __init__(self, worker: Worker, ahead: int) -> None:
        self.worker = worker
        self._items: SimpleQueue[Any] = SimpleQueue()
        self._room, self._closed = threading.Semaphore(ahead), False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            self._room.acquire()
            if self._closed:
                return
            message = self.worker.receive()
            if isinstance(message, Ready):
                self._room.release()
                continue
            self._items.put(message)
            if message is None:
                return

    def take(self, seconds: float) -> Any:
        """The next message; `_NOTHING` if none has come after some seconds."""
        try:
            message = self._items.get(timeout=seconds)
        except Empty:
            return _NOTHING
        self._room.release()
        return message

    def close(self) -> None:
        """End the thread, now that its process has ended, and close the pipe."""
        self._closed = True
        self._room.release()
        self._thread.join(1)
        if not self._thread.is_alive():  # else the process could not be ended
            self.worker.pipe.close()


# --- in the worker ------------------------------------------------------------------------------------


def _serve(pipe: Connection[Any, Any], make: Callable[[int], Iterator[R]], number: int) -> None:
    """Make items and send them; the pipe holds back a worker whose items are not taken."""
    try:
        for item in make(number):
            pipe.send(item)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        with suppress(OSError):  # it may be that the parent has closed the pipe
            pipe.send(Failed(portable(error)))
