"""Methods over stacks: fused pictures and their scores, kept by the hash of everything they depend on.

A worker takes one stack at a time and runs all methods on it, so that what the measures need of the stack is
computed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from mfsynth.engine import run_jobs
from mfsynth.errors import MfsynthError, OutputError
from mfsynth.storage import digest
from zoo import metrics
from zoo.evaluation import measure
from zoo.evaluation.data import Data, Stack
from zoo.evaluation.kept import FUSED, Place, keep, kept_values, unusable_names
from zoo.evaluation.methods import Method
from zoo.evaluation.references import REFERENCES, pictures_of
from zoo.evaluation.scores import Row, Scores
from zoo.metrics.measures import MEASURES

_NAMED = 5
"""How many changed results a line names."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found.

    Attributes:
        scores: Of the stacks that every method was scored on.
        digests: SHA-256 of these stacks' pixels, by name.
        errors: Why stacks were left out, by name.
        kept: Number of fused pictures that an earlier run had left.
        changed: Those that something else than a run had changed since, which were fused and scored again.
    """

    scores: Scores
    digests: dict[str, str]
    errors: dict[str, str]
    kept: int
    changed: tuple[str, ...] = ()


def run(
    methods: tuple[Method, ...],
    data: Data,
    out: Path,
    *,
    names: tuple[str, ...] = (),
    swap: bool = True,
    workers: int = 1,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Outcome:
    """Score methods over stacks; what an earlier run left in `out` is reused where it is still valid.

    Args:
        methods: As `parse_methods` gives them.
        data: As `open_data` gives it.
        out: Folder to fill; created if needed.
        names: Which stacks; all if empty.
        swap: Whether every stack is also fused in the other order, to measure commutativity.
        workers: Processes of one thread each.
        say: Called with a line when a worker dies, or where kept results were changed.
        progress: Called with the number of pictures fused and to fuse.

    Raises:
        OutputError: If the folder cannot be made or written to.
        BuildError: If a worker died twice on a stack.
    """
    names = names or data.names
    try:
        for method in methods:
            folder = out / FUSED / method.folder
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("tmp-*"):  # by a run that was killed
                left.unlink()
    except OSError as error:
        raise OutputError(f"cannot make {out}: {error.strerror or error}") from error
    refused = unusable_names(names)
    jobs = [StackJob(name, data, methods, out, swap) for name in names if name not in refused]
    total = len(jobs) * len(methods)
    results = {
        job.name: result
        for job, result in run_jobs(
            score_stack,
            jobs,
            workers=max(1, min(workers, len(jobs))),
            say=say,
            progress=lambda done: progress(done, total),
        )
    } | {name: StackResult(error=reason) for name, reason in refused.items()}
    outcome = _outcome(methods, data, names, results)
    if outcome.changed:
        some = ", ".join(outcome.changed[:_NAMED]) + (", …" if len(outcome.changed) > _NAMED else "")
        say(f"results from before had been changed, and were computed again: {some}")
    return outcome


def _outcome(
    methods: tuple[Method, ...], data: Data, names: tuple[str, ...], results: dict[str, StackResult]
) -> Outcome:
    good = [name for name in names if results[name].error is None]
    errors = {name: error for name in names if (error := results[name].error) is not None}
    rows = tuple(row for name in good for row in results[name].rows)
    noise = tuple(results[name].noise for name in good)
    found = {row.method for row in rows}
    references = tuple(name for name in REFERENCES if name in found)
    names_of_methods = tuple(method.name for method in methods)
    scores = Scores(data.title, tuple(good), names_of_methods, rows, noise, references)
    return Outcome(
        scores,
        {name: results[name].digest for name in good},
        dict(sorted((data.incomplete | errors).items())),
        sum(results[name].kept for name in good),
        tuple(f"{method} of {name}" for name in names for method in results[name].changed),
    )


# --- in the worker ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StackJob:
    """A stack and what to do with it."""

    name: str
    data: Data
    methods: tuple[Method, ...]
    out: Path
    swap: bool


@dataclass(frozen=True, slots=True)
class StackResult:
    """What was found of a stack: a row for each method and reference, or the reason why there are none.

    `changed` names the methods whose kept pictures or scores something else than a run has changed.
    """

    rows: tuple[Row, ...] = ()
    digest: str = ""
    noise: float = 0.0
    kept: int = 0
    changed: tuple[str, ...] = ()
    error: str | None = None


def score_stack(job: StackJob, advance: Callable[[int], None]) -> StackResult:
    """Fuse and score a stack with all methods; one that cannot be read or fused is left out."""
    _one_thread()
    rows, kept, changed, at_work = [], 0, [], ""
    try:
        stack = job.data.load(job.name)
        measured, hashed = measure.Measured(stack), stack.digest()
        for method in job.methods:
            at_work = f"{method.name}: "
            key = _key(method, stack, hashed, job.swap)
            found = kept_values(Place(job.out, method, job.name), key)
            kept += found.values is not None
            changed += [method.name] if found.changed else []
            values = found.values
            if values is None:
                values = _fuse_and_score(job, method, measured, key)
            rows.append(Row(job.name, method.name, values))
            advance(1)
        at_work = ""
        for name, picture in pictures_of(stack).items():
            rows.append(Row(job.name, name, measured.against_truth(picture)))
    except OutputError:
        raise
    except (
        MfsynthError,
        cv2.error,
        MemoryError,
        RuntimeError,
    ) as error:  # torch has no error class of its own for this
        advance(max(0, len(job.methods) - len(rows)))
        return StackResult(error=f"{at_work}{error or type(error).__name__}")
    return StackResult(tuple(rows), hashed, stack.noise, kept, tuple(changed))


def _fuse_and_score(job: StackJob, method: Method, measured: measure.Measured, key: str) -> dict[str, float]:
    stack = measured.stack
    fused = method.fused(stack)
    swapped = method.swapped(stack).image if job.swap and method.fuses else None
    values = measured.values(fused, swapped)
    keep(Place(job.out, method, job.name), fused, values, key)
    return values


def _key(method: Method, stack: Stack, hashed: str, swap: bool) -> str:
    """Hash of everything that a picture and its scores depend on."""
    identity = method.identity
    if not method.fuses:
        identity = hashlib.sha256(np.ascontiguousarray(method.fused(stack).image).data).hexdigest()
    parts = [identity, hashed, str(swap), _measures()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _measures() -> str:
    """Hash of the code that measures."""
    files = [Path(measure.__file__), *sorted(Path(metrics.__file__).parent.glob("*.py"))]
    return " ".join([*map(digest, files), *MEASURES])


@cache
def _one_thread() -> None:
    """There is one worker per core: more threads would compete, and change how sums are rounded."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
