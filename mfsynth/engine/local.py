"""Jobs in processes of this machine: each is tried once more if its worker dies."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic

from mfsynth.engine.guard import check_guard
from mfsynth.engine.jobs import ANSWER_SECONDS, TRIES, R, T, died_twice
from mfsynth.engine.worker import Failed, Worker, end, portable, signals_put_off

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mfsynth.engine.jobs import Advance

_REPORT_SECONDS = 0.2
_TICK_SECONDS = 1.0


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Local:
    """The engine of one machine: this one."""

    def run(
        self,
        work: Callable[[T, Advance], R],
        jobs: Sequence[T],
        *,
        workers: int,
        say: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> list[tuple[T, R]]:
        """Run jobs in worker processes."""
        crew = min(workers or usable_cores(), len(jobs))
        return run_jobs(work, jobs, workers=crew, say=say, progress=progress)

    def everywhere(
        self, look: Callable[[], R], *, say: Callable[[str], None], seconds: float = ANSWER_SECONDS
    ) -> list[tuple[str, R]]:
        """Nothing: there is no other machine."""
        return []


def run_jobs(
    work: Callable[[T, Advance], R],
    jobs: Iterable[T],
    *,
    workers: int,
    say: Callable[[str], None],
    progress: Callable[[int], None],
) -> list[tuple[T, R]]:
    """Run jobs in worker processes; `Engine.run` says more.

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
        with signals_put_off():
            for number in range(workers):
                crew.append(_Worker(work, number))
        while busy := [worker for worker in crew if worker.has_job or worker.take(waiting)]:
            for worker in _ready(busy):
                reply = worker.reply()
                if reply is None:
                    worker.revive(say)
                elif isinstance(reply, _Done):
                    finished += worker.advanced
                    done.append((worker.finish(), reply.result))
            for worker in busy:
                worker.watch(say)
            progress(finished + sum(worker.advanced for worker in crew))
    except BaseException:
        for worker in crew:
            worker.process.kill()
        raise
    finally:
        for worker in crew:
            worker.process.pipe.close()  # one that waits for a job ends by itself
        end([worker.process for worker in crew], say)
    return done


def _ready(busy: list[_Worker[T, R]]) -> list[_Worker[T, R]]:
    pipes = wait([worker.process.pipe for worker in busy], _TICK_SECONDS)
    return [worker for worker in busy if worker.process.pipe in pipes]


@dataclass(frozen=True, slots=True)
class _Advanced:
    count: int


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any


class _Worker(Generic[T, R]):
    """A worker process and its job, seen from the parent."""

    def __init__(self, work: Callable[[T, Advance], R], number: int) -> None:
        self._work, self._number = work, number
        self._job: T | None = None
        self._deaths = 0
        self.advanced = 0
        self.process = Worker(_serve, work)

    @property
    def has_job(self) -> bool:
        """Whether it has a job."""
        return self._job is not None

    @property
    def _doing(self) -> str:
        return self._job.name if self._job is not None else "nothing"

    def take(self, waiting: Iterator[T]) -> bool:
        """Take the next job; False if there is none."""
        self._job = next(waiting, None)
        self._deaths = 0
        if self._job is not None:
            self._send()
        return self.has_job

    def _send(self) -> None:
        self.advanced = 0
        self.process.send(self._job)

    def reply(self) -> object:
        """The next message; None if the worker died. Raises what the job raised."""
        message = self.process.receive()
        if isinstance(message, Failed):
            raise message.error
        if isinstance(message, _Advanced):
            self.advanced += message.count
        return message

    def finish(self) -> T:
        """The job, now done."""
        job, self._job, self.advanced = self._job, None, 0
        if job is None:
            raise RuntimeError("a worker finished a job that it did not have")
        return job

    def revive(self, say: Callable[[str], None]) -> None:
        """Start the process again with the same job, or give up if it has died too often."""
        cause = self.process.death()
        self._deaths += 1
        if self._deaths >= TRIES:
            raise died_twice(self._doing, cause)
        say(f"the worker on {self._doing} died ({cause}); trying once more")
        self.process.pipe.close()
        end([self.process], say)
        with signals_put_off():
            self.process = Worker(_serve, self._work)
        self._send()

    def watch(self, say: Callable[[str], None]) -> None:
        """Say so if it has reported nothing for long."""
        silence = self.process.silence() if self.has_job else None
        if silence:
            say(f"worker {self._number + 1} {silence}; it is working on {self._doing}")


# --- in the worker ------------------------------------------------------------------------------------


def _serve(pipe: Connection[Any, Any], work: Callable[[T, Advance], R]) -> None:
    """Do one job after another until the pipe is closed."""
    while True:
        job = pipe.recv()
        reporter = _Reporter(pipe)
        try:
            result = work(job, reporter.advance)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
            pipe.send(Failed(portable(error)))
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
