"""Methods over pairs: fused pictures and their scores, kept by the hash of everything they depend on.

    OUT/fused/METHOD/PAIR.png           the fused picture, lossless
    OUT/fused/METHOD/PAIR.decision.png  its decision map, if there is one
    OUT/fused/METHOD/PAIR.json          its scores, and the hash; written last, so that a run can be killed

A worker takes one pair at a time and runs all methods on it, so that what the measures need of the pair is
computed once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from mfsynth import storage
from mfsynth.codecs import decode_png, encode_png
from mfsynth.engine import run_jobs
from mfsynth.errors import MfsynthError, OutputError
from mfsynth.storage import digest
from zoo import metrics
from zoo.evaluation import measure
from zoo.evaluation.data import Data, Pair
from zoo.evaluation.methods import Method
from zoo.evaluation.scores import Row, Scores
from zoo.fusing.fusion import Fused
from zoo.metrics.measures import MEASURES

if TYPE_CHECKING:
    from mfsynth.sample import Picture

FUSED = "fused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found.

    Attributes:
        scores: Of the pairs that every method was scored on.
        digests: SHA-256 of these pairs' pixels, by name.
        errors: Why pairs were left out, by name.
        kept: Number of fused pictures that an earlier run had left.
    """

    scores: Scores
    digests: dict[str, str]
    errors: dict[str, str]
    kept: int


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
    """Score methods over pairs; what an earlier run left in `out` is reused where it is still valid.

    Args:
        methods: As `parse_methods` gives them.
        data: As `open_data` gives it.
        out: Folder to fill; created if needed.
        names: Which pairs; all if empty.
        swap: Whether every pair is also fused in the other order, to measure commutativity.
        workers: Processes of one thread each.
        say: Called with a line when a worker dies.
        progress: Called with the number of pictures fused and to fuse.

    Raises:
        OutputError: If the folder cannot be made or written to.
        BuildError: If a worker died twice on a pair.
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
    total = len(names) * len(methods)
    jobs = (PairJob(name, data, methods, out, swap) for name in names)
    results = {
        job.name: result
        for job, result in run_jobs(
            score_pair,
            jobs,
            workers=min(workers, len(names)),
            say=say,
            progress=lambda done: progress(done, total),
        )
    }
    return _outcome(methods, data, names, results)


def _outcome(
    methods: tuple[Method, ...], data: Data, names: tuple[str, ...], results: dict[str, PairResult]
) -> Outcome:
    good = [name for name in names if results[name].error is None]
    errors = {name: error for name in names if (error := results[name].error) is not None}
    rows = tuple(row for name in good for row in results[name].rows)
    noise = tuple(results[name].noise for name in good)
    scores = Scores(data.title, tuple(good), tuple(method.name for method in methods), rows, noise)
    return Outcome(
        scores,
        {name: results[name].digest for name in good},
        dict(sorted((data.incomplete | errors).items())),
        sum(results[name].kept for name in good),
    )


def load_fused(out: Path, method: Method, name: str) -> tuple[Picture, NDArray[np.uint8] | None]:
    """A fused picture and its decision map, if there is one, as a run left them."""
    decision = _path(out, method, name, ".decision.png")
    picture: Picture = decode_png(_path(out, method, name, ".png").read_bytes())  # type: ignore[assignment]
    decided: Any = decode_png(decision.read_bytes()) if decision.exists() else None
    return picture, decided


# --- in the worker ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PairJob:
    """A pair and what to do with it."""

    name: str
    data: Data
    methods: tuple[Method, ...]
    out: Path
    swap: bool


@dataclass(frozen=True, slots=True)
class PairResult:
    """What was found of a pair: a row for each method, or the reason why there are none."""

    rows: tuple[Row, ...] = ()
    digest: str = ""
    noise: float = 0.0
    kept: int = 0
    error: str | None = None


def score_pair(job: PairJob, advance: Callable[[int], None]) -> PairResult:
    """Fuse and score a pair with all methods; one that cannot be read or fused is left out."""
    _one_thread()
    rows, kept, at_work = [], 0, ""
    try:
        pair = job.data.load(job.name)
        measured, hashed = measure.Measured(pair), pair.digest()
        for method in job.methods:
            at_work = f"{method.name}: "
            key = _key(method, pair, hashed, job.swap)
            values = _kept_values(job, method, key)
            kept += values is not None
            if values is None:
                values = _fuse_and_score(job, method, measured, key)
            rows.append(Row(job.name, method.name, values))
            advance(1)
    except OutputError:
        raise
    except (
        MfsynthError,
        cv2.error,
        MemoryError,
        RuntimeError,
    ) as error:  # torch has no error class of its own for this
        advance(len(job.methods) - len(rows))
        return PairResult(error=f"{at_work}{error or type(error).__name__}")
    return PairResult(tuple(rows), hashed, pair.noise, kept)


class _Kept(msgspec.Struct, frozen=True):
    """What a run keeps with a picture: the hash of what it depends on, scores, hashes of its files."""

    key: str
    values: dict[str, float | None]
    pictures: dict[str, str]


def _fuse_and_score(job: PairJob, method: Method, measured: measure.Measured, key: str) -> dict[str, float]:
    pair = measured.pair
    fused = method.fused(pair)
    swapped = method.fuse(pair.frames[::-1]).image if job.swap and method.fuses else None
    values = measured.values(fused, swapped)
    _keep(job, method, fused, values, key)
    return values


def _keep(job: PairJob, method: Method, fused: Fused, values: dict[str, float], key: str) -> None:
    """Keep picture, decision map and scores for a later run."""
    pictures = {".png": fused.image, ".decision.png": fused.decision} if method.fuses else {}
    encoded = {suffix: encode_png(picture) for suffix, picture in pictures.items() if picture is not None}
    numbers = {name: None if math.isnan(value) else value for name, value in values.items()}
    kept = _Kept(key, numbers, {suffix: digest(data) for suffix, data in encoded.items()})
    encoded[".json"] = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    try:
        for suffix, data in encoded.items():
            path = _path(job.out, method, job.name, suffix)
            storage.put(path, data, path.parent)
        if ".decision.png" not in encoded:
            _path(job.out, method, job.name, ".decision.png").unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot keep {method.name}'s picture of {job.name} in {job.out}: {error.strerror or error}",
            "make room, or give another --out; finished pictures are kept",
        ) from error


def _kept_values(job: PairJob, method: Method, key: str) -> dict[str, float] | None:
    """Scores of an earlier run, if they are of the same method, pair and measures."""
    try:
        kept = msgspec.json.decode(_path(job.out, method, job.name, ".json").read_bytes(), type=_Kept)
        whole = all(
            digest(_path(job.out, method, job.name, suffix)) == sha256
            for suffix, sha256 in kept.pictures.items()
        )
    except (OSError, ValueError):  # msgspec's errors are ValueErrors; what cannot be read is computed again
        return None
    if kept.key != key or not whole:
        return None
    return {name: math.nan if value is None else value for name, value in kept.values.items()}


def _key(method: Method, pair: Pair, hashed: str, swap: bool) -> str:
    """Hash of everything that a picture and its scores depend on."""
    identity = method.identity
    if not method.fuses:
        identity = hashlib.sha256(np.ascontiguousarray(method.fused(pair).image).data).hexdigest()
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


def _path(out: Path, method: Method, name: str, suffix: str) -> Path:
    return out / FUSED / method.folder / f"{name}{suffix}"
