"""What is common to all engines: jobs, and who runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar

from mfsynth.errors import BuildError

Advance = Callable[[int], None]
EngineName = Literal["local", "ray"]

TRIES = 2
"""How often a job may take its worker down with it."""
ANSWER_SECONDS = 600.0
"""How long another machine may take to answer: a busy one takes minutes to start a worker."""


class Job(Protocol):
    """A piece of work that can be pickled; its name appears in messages."""

    @property
    def name(self) -> str:
        """What a message calls it."""


T = TypeVar("T", bound=Job)
R = TypeVar("R")


class Engine(Protocol):
    """Who runs jobs, and where. It never decides what comes out of them."""

    def run(
        self,
        work: Callable[[T, Advance], R],
        jobs: Sequence[T],
        *,
        workers: int,
        say: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> list[tuple[T, R]]:
        """Run jobs; none runs any longer when this returns or raises.

        Args:
            work: A module's function; called with a job and a function to report its progress to.
            jobs: Taken one by one, as workers become free.
            workers: Number of jobs that run at once; 0 takes every core.
            say: Called with a line when a worker dies, or reports nothing for a minute.
            progress: Called with the progress of all jobs together, about once a second.

        Returns:
            Each job with its result, in the order in which they ended. (Not one by one: whatever ends the
            caller in between, such as a signal, would leave the workers at work.)

        Raises:
            BuildError: If a worker cannot be started, or a job's worker died twice.
            Exception: Whatever `work` raised.
        """

    def everywhere(
        self, look: Callable[[], R], *, say: Callable[[str], None], seconds: float = ANSWER_SECONDS
    ) -> list[tuple[str, R]]:
        """What a function returns on every other machine that may be given jobs, with the machine's name.

        Args:
            look: It is pickled, should not take long, and may run twice on a machine.
            say: Called with a line when a machine does not answer for a minute.
            seconds: How long to wait for all answers.

        Raises:
            BuildError: If a machine cannot run it, or does not answer.
        """


def died_twice(job: str, cause: str) -> BuildError:
    """The error for a job that took down its worker as often as it may."""
    return BuildError(
        f"the worker on {job} died twice ({cause})",
        "out of memory? try fewer --workers; what is finished is kept",
    )
