"""Who runs the jobs: the processes of this machine.

Workers are spawned, never forked: OpenCV's threads do not survive a fork. A worker that dies takes its
own job with it and no other; that job is tried once more. Workers do not outlive their parent.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from mfsynth.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.sharedctypes import Synchronized

_POLL_SECONDS = 0.2
_TRIES = 2


class Task(Protocol):
    """A piece of work that can be pickled; its name appears in messages."""

    @property
    def name(self) -> str:
        """What a message calls it."""


T = TypeVar("T", bound=Task)
R = TypeVar("R")


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    work: Callable[[T, Callable[[int], None]], R],
    tasks: Iterable[T],
    *,
    workers: int,
    say: Callable[[str], None],
    progress: Callable[[int], None],
) -> Iterator[tuple[T, R]]:
    """Run tasks in worker processes and yield results as they come.

    Args:
        work: A function of a module; called with a task and a function that it tells of its advance.
        tasks: Taken one by one, few ahead of the workers.
        workers: Number of processes.
        say: Told when a worker dies.
        progress: Told of the advance of all tasks together, several times a second.

    Raises:
        BuildError: If a task's worker died twice.
        Exception: Whatever `work` raised.
    """
    from pebble import ProcessExpired, ProcessPool

    context = multiprocessing.get_context("spawn")
    advance = context.Value("q", 0)
    waiting = iter(tasks)
    pool = ProcessPool(workers, initializer=_begin, initargs=(advance,), context=context)
    running: dict[Future[R], tuple[T, int]] = {}
    try:
        while True:
            for task in islice(waiting, 2 * workers - len(running)):
                running[pool.schedule(_call, args=(work, task))] = (task, 1)
            if not running:
                break
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            progress(advance.value)
            for future in done:
                task, attempt = running.pop(future)
                try:
                    result = future.result()
                except ProcessExpired as error:
                    _check_death(task, attempt, error.exitcode, say)
                    running[pool.schedule(_call, args=(work, task))] = (task, attempt + 1)
                else:
                    yield task, result
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _check_death(task: Task, attempt: int, exit_code: int | None, say: Callable[[str], None]) -> None:
    """Say that a worker died, or give up if its task was tried often enough."""
    cause = f"signal {-exit_code}" if exit_code and exit_code < 0 else f"exit code {exit_code}"
    if attempt >= _TRIES:
        raise BuildError(
            f"the worker that made {task.name} died twice ({cause})",
            "out of memory? try fewer --workers; finished shards are kept",
        )
    say(f"the worker that made {task.name} died ({cause}); trying once more")


# --- in the worker ------------------------------------------------------------------------------------

_advance: Synchronized[int] | None = None


def _begin(advance: Synchronized[int]) -> None:
    global _advance
    _advance = advance
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _call(work: Callable[[T, Callable[[int], None]], R], task: T) -> R:
    return work(task, _add)


def _add(count: int) -> None:
    if _advance is not None:
        with _advance.get_lock():
            _advance.value += count
