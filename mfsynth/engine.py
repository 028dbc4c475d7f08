"""Who runs the jobs: the processes of this machine.

Workers are spawned, never forked: OpenCV's threads do not survive a fork. Each has its own pipe and shares
no lock with the others, so a worker that is killed at any moment takes only its own job with it (a pool's
common queue stays locked forever if the worker that holds its lock dies). The job is tried once more.
Workers do not outlive their parent.

A spawned worker imports the script that started it. Without a guard the script reaches the same call again
there; the worker then exits with a code of its own, and its parent explains what to do.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mfsynth.errors import BuildError, MfsynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.context import SpawnProcess

    Advance = Callable[[int], None]

GUARD = 'put the call under `if __name__ == "__main__":`'
_NAME = "mfsynth worker"
_UNGUARDED = 87
"""Exit code of a worker that reached a call for workers while it imported the script."""
_TRIES = 2
_REPORT_SECONDS = 0.2


class Job(Protocol):
    """A piece of work that can be pickled; its name appears in messages."""

    @property
    def name(self) -> str:
        """What a message calls it."""


T = TypeVar("T", bound=Job)
R = TypeVar("R")


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    work: Callable[[T, Advance], R],
    jobs: Iterable[T],
    *,
    workers: int,
    say: Callable[[str], None],
    progress: Callable[[int], None],
) -> list[tuple[T, R]]:
    """Run jobs in worker processes.

    Args:
        work: A module's function; called with a job and a function to report its progress to.
        jobs: Taken one by one, as workers become free.
        workers: Number of processes.
        say: Called with a line when a worker dies.
        progress: Called with the progress of all jobs together, several times a second.

    Returns:
        Each job with its result, in the order in which they ended. (Not one by one: whatever ends the caller
        in between, such as a signal, would leave the workers at work.)

    Raises:
        BuildError: If a worker cannot be started, or a job's worker died twice.
        Exception: Whatever `work` raised.
    """
    check_guard()
    waiting = iter(jobs)
    crew: list[_Worker[T, R]] = []
    done: list[tuple[T, R]] = []
    finished = 0
    try:
        with _interrupts_put_off():
            for _ in range(workers):
                crew.append(_Worker(work))
        while busy := [worker for worker in crew if worker.has_job or worker.take(waiting)]:
            for worker in _ready(busy):
                reply = worker.reply()
                if reply is None:
                    worker.revive(say)
                elif isinstance(reply, _Done):
                    finished += worker.advanced
                    done.append((worker.finish(), reply.result))
            progress(finished + sum(worker.advanced for worker in crew))
    finally:
        for worker in crew:
            worker.stop()
    return done


def check_guard() -> None:
    """Check, before work that needs worker processes, that this is not a worker importing the script.

    One of our workers exits here, and its parent explains why.

    Raises:
        BuildError: If another library's worker, such as a torch loader's, is importing the script.
    """
    if os.name != "posix":
        raise BuildError(f"mfsynth runs on Linux and macOS, not on {sys.platform}", "on Windows, use WSL")
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):  # what multiprocessing itself checks before it starts one
        return
    if process.name.startswith(_NAME):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_UNGUARDED)
    raise BuildError("a worker process imported this script and would run it from the start", GUARD)


def _ready(busy: list[_Worker[T, R]]) -> list[_Worker[T, R]]:
    pipes = wait([worker.pipe for worker in busy])
    return [worker for worker in busy if worker.pipe in pipes]


@dataclass(frozen=True, slots=True)
class _Ready:
    """The worker's first message: it has imported what it needs."""


@dataclass(frozen=True, slots=True)
class _Advanced:
    count: int


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class _Worker(Generic[T, R]):
    """A worker process and its job, seen from the parent."""

    def __init__(self, work: Callable[[T, Advance], R]) -> None:
        self._work = work
        self._job: T | None = None
        self._deaths = 0
        self.advanced = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready = False
        try:
            self.pipe, theirs = context.Pipe()
            self._process: SpawnProcess = context.Process(
                target=_serve, args=(theirs, self._work), daemon=True, name=_NAME
            )
            self._process.start()
        except OSError as error:
            raise BuildError(
                f"cannot start a worker: {error.strerror or error}", "try fewer --workers"
            ) from error
        theirs.close()  # so that the pipe ends when the worker does

    @property
    def has_job(self) -> bool:
        """Whether it has a job."""
        return self._job is not None

    def take(self, waiting: Iterator[T]) -> bool:
        """Take the next job; False if there is none."""
        self._job = next(waiting, None)
        self._deaths = 0
        if self._job is not None:
            self._send()
        return self.has_job

    def _send(self) -> None:
        self.advanced = 0
        with suppress(OSError):  # it died; reply() will find out
            self.pipe.send(self._job)

    def reply(self) -> _Ready | _Advanced | _Done | None:
        """The next message; None if the worker died. Raises what the job raised."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        if isinstance(message, _Failed):
            raise message.error
        if isinstance(message, _Advanced):
            self.advanced += message.count
        self._ready = True
        reply: _Ready | _Advanced | _Done = message
        return reply

    def finish(self) -> T:
        """The job, now done."""
        job, self._job, self.advanced = self._job, None, 0
        if job is None:
            raise RuntimeError("a worker finished a job that it did not have")
        return job

    def revive(self, say: Callable[[str], None]) -> None:
        """Start the process again with the same job, or give up if it has died too often."""
        self._process.join()
        code = self._process.exitcode or 0
        if code > 0 and not self._ready:
            raise _failed_start(code)
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        name = self._job.name if self._job is not None else "nothing"
        self._deaths += 1
        if self._deaths >= _TRIES:
            raise BuildError(
                f"the worker on {name} died twice ({cause})",
                "out of memory? try fewer --workers; what is finished is kept",
            )
        say(f"the worker on {name} died ({cause}); trying once more")
        self.pipe.close()
        with _interrupts_put_off():
            self._start()
        self._send()

    def stop(self) -> None:
        """End the process: at once if it has a job, else by closing its pipe."""
        self.pipe.close()
        if self.has_job:
            self._process.terminate()
        self._process.join()


def _failed_start(code: int) -> BuildError:
    """The error for a worker that exited before its first message; it would do so again."""
    if code == _UNGUARDED:
        return BuildError("a worker process imported this script and reached the call that started it", GUARD)
    return BuildError(
        f"a worker exited while it was starting (exit code {code}); see its output above",
        f"if this is a script: {GUARD}",
    )


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Put off SIGINT until the block ends. Processes started in it never see one: they inherit the mask.

    A Ctrl-C goes to the whole group; a worker would answer with a traceback from the middle of its imports.
    """
    if os.name != "posix":
        yield
        return
    resource_tracker.ensure_running()  # else the first worker would start it, and that resets the mask
    came: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    # another thread, such as a progress bar's, may take the signal despite this one's mask
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if in_main else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if in_main:
            signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


# --- in the worker ------------------------------------------------------------------------------------


def _serve(pipe: Connection[Any, Any], work: Callable[[T, Advance], R]) -> None:
    """Do one job after another until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent has closed the pipe
        pipe.send(_Ready())
        while True:
            job = pipe.recv()
            reporter = _Reporter(pipe)
            try:
                result = work(job, reporter.advance)
            except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
                pipe.send(_Failed(_portable(error)))
            else:
                reporter.report()
                pipe.send(_Done(result))


class _Reporter:
    """Reports progress to the parent, a few times a second."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe, self._count, self._last = pipe, 0, time.monotonic()

    def advance(self, count: int) -> None:
        self._count += count
        if time.monotonic() - self._last > _REPORT_SECONDS:
            self.report()

    def report(self) -> None:
        self._pipe.send(_Advanced(self._count))
        self._count, self._last = 0, time.monotonic()


def _portable(error: Exception) -> Exception:
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
