"""One worker process: how it starts, what is heard of it, and how it ends."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.process
import os
import pickle
import signal
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfsynth.engine.guard import NAME, failed_start
from mfsynth.errors import BuildError, MfsynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess

END_SECONDS = 5.0
"""How long a process may take to end before it is killed, and how long before it is given up."""
SILENT_SECONDS = 60.0
"""How long a worker may report nothing before a line says so; then twice as long, and so on."""
CONTEXT: SpawnContext | ForkServerContext = multiprocessing.get_context("spawn")
"""How workers start: never by a fork of a program's process, which OpenCV's threads do not survive."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STATES = {
    "T": "it is stopped; `kill -CONT {pid}` resumes it",
    "t": "a debugger holds it",
    "D": "it is waiting for a disk or a network",
}
"""What Linux says a process is doing, where that is worth a word."""


class Silence:
    """How long nothing has been heard: a while is worth a line, then twice as long, and so on."""

    def __init__(self) -> None:
        self.broken()

    def broken(self) -> None:
        """Something was heard."""
        self._since, self._patience = time.monotonic(), SILENT_SECONDS

    def too_long(self) -> str | None:
        """What to say of a silence that is worth a line now; else None."""
        seconds = time.monotonic() - self._since
        if seconds < self._patience:
            return None
        self._patience *= 2
        return f"has reported nothing for {seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's first message: it has imported what it needs."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker's work raised an error."""

    error: Exception


class Worker:
    """A worker process, seen from the parent.

    Args:
        serve: A module's function, called in the process with its end of the pipe and `args`.
        args: What it needs; they are pickled.

    Attributes:
        pipe: The parent's end.

    Raises:
        BuildError: If it cannot be started.
    """

    def __init__(self, serve: Callable[..., None], *args: object) -> None:
        self._started, self.owner = False, os.getpid()
        try:
            self.pipe, theirs = CONTEXT.Pipe()
            self._process: BaseProcess = CONTEXT.Process(
                target=_serve, args=(theirs, serve, args), daemon=True, name=NAME
            )
            with signals_put_off():
                self._process.start()
                _living.add(self)
        except OSError as error:
            raise BuildError(
                f"cannot start a worker: {error.strerror or error}", "try fewer --workers"
            ) from error
        theirs.close()  # so that the pipe ends when the worker does
        self._silence = Silence()

    def send(self, message: object) -> None:
        """Send a message; if the process has died, `receive` will tell."""
        self._silence.broken()
        with suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> Any:
        """The next message, which may be a `Failed`; None if the process has ended."""
        self._silence.broken()
        try:
            message = self.pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        self._started = True
        self._silence.broken()
        return message

    def silence(self) -> str | None:
        """What to say of a worker that has been silent for too long; None if it has not."""
        silence = self._silence.too_long()
        state = _STATES.get(_state(self._process.pid), "").format(pid=self._process.pid) if silence else ""
        return f"{silence} ({state})" if state else silence

    def death(self) -> str:
        """What a process died of that has closed its pipe.

        Raises:
            BuildError: If it never got to work.
        """
        self._process.join(END_SECONDS)
        code = self._process.exitcode
        if code is None:
            self.kill()
            return "it closed its pipe"
        if code > 0 and not self._started:
            raise failed_start(code)
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process at once, even one that is stopped; it holds nothing that could be lost."""
        self._process.kill()

    def join(self, seconds: float) -> bool:
        """Wait until the process has ended; whether it has."""
        self._process.join(max(seconds, 0))
        ended = self._process.exitcode is not None
        if ended:
            _living.discard(self)
        return ended

    def give_up(self) -> str:
        """Wait for this process no longer, not even when Python exits; the line that says so."""
        _living.discard(self)
        getattr(multiprocessing.process, "_children", set()).discard(self._process)
        return f"worker process {self._process.pid} does not end even when killed: " + (
            _STATES.get(_state(self._process.pid), "").format(pid=self._process.pid) or "the system holds it"
        )


_living: set[Worker] = set()


def end(workers: Iterable[Worker], say: Callable[[str], None]) -> None:
    """Wait until processes have ended that were killed, or whose pipes were closed: never for long."""
    left = list(workers)
    for _ in range(2):
        until = time.monotonic() + END_SECONDS
        left = [worker for worker in left if not worker.join(until - time.monotonic())]
        for worker in left:
            worker.kill()
    for worker in left:
        say(worker.give_up())


@atexit.register  # before multiprocessing's own, which asks politely and then waits without a limit
def _end_all() -> None:
    mine = [worker for worker in _living if worker.owner == os.getpid()]  # a fork's are its parent's
    for worker in mine:
        worker.kill()
    end(mine, lambda _: None)


@contextmanager
def signals_put_off() -> Iterator[None]:
    """Put off SIGINT and SIGTERM until the block ends. Processes started in it never see one of either.

    They inherit the mask. A Ctrl-C goes to the whole group, and so do the signals of a cluster; the parent
    ends its workers, and a training still needs them for its last step.
    """
    resource_tracker.ensure_running()  # else the first worker would start it, and that resets the mask
    came: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        # another thread, such as a progress bar's, may take the signal despite this one's mask
        handlers = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number))}
        for number in handlers:
            signal.signal(number, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for caught in came:
        signal.raise_signal(caught)


def _state(pid: int | None) -> str:
    """A process's state, as Linux's letter; nothing elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


# --- in the worker ------------------------------------------------------------------------------------


def _serve(pipe: Connection[Any, Any], serve: Callable[..., None], args: tuple[object, ...]) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent has closed the pipe
        pipe.send(Ready())
        serve(pipe, *args)


def portable(error: Exception) -> Exception:
    """The error in a form that can be sent to the parent; one that is not ours includes its traceback."""
    if isinstance(error, MfsynthError):
        return error
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - pickling may raise anything
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
