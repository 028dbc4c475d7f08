"""`mfsynth evaluate`: methods over stacks, and a folder with everything about them.

OUT/scores.csv        every value                 OUT/index.html   all of it, on one page
OUT/means.csv         means and deviations        OUT/sheet.webp   pictures, decision maps, errors
OUT/table.md          means, the paper's as well  OUT/boxes.png    the paper's Fig. 10
OUT/ranks.md, .png    which differences are certain  OUT/noise.csv, .png   where frames differ in noise
OUT/times.md, .csv    Table III                   OUT/evaluation/  what networks' cards quote
OUT/leaderboard.md    among published methods     OUT/fused/       the pictures, kept for the next run
OUT/manifest.json     what it was made from
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfsynth.console import count, duration
from mfsynth.engine import check_guard
from mfsynth.errors import OutputError
from mfsynth.locks import locked
from mfsynth.plots import need_matplotlib
from mfsynth.storage import local_path, write
from zoo.errors import ZooError
from zoo.evaluation import leaderboard, noise, tables
from zoo.evaluation.data import open_data
from zoo.evaluation.documents import LEADERBOARD, leaderboard_document, score_documents, time_documents
from zoo.evaluation.evaluated import Evaluated, manifest_of
from zoo.evaluation.methods import parse_methods
from zoo.evaluation.options import EvaluateOptions, evaluate_command
from zoo.evaluation.ranks import rank
from zoo.evaluation.report.drawings import draw_noise, drawings
from zoo.evaluation.run import run
from zoo.store import registry

if TYPE_CHECKING:
    from zoo.evaluation.data import Data
    from zoo.evaluation.leaderboard import Published
    from zoo.evaluation.methods import Method
    from zoo.evaluation.scores import Scores

    Say = Callable[[str], None]
    Progress = Callable[[str, int, int], None]

MANIFEST = "manifest.json"
_MARK = ".evaluation"
_WRITTEN = (
    MANIFEST, "scores.csv", "means.csv", "table.md", "ranks.md", "ranks.png", "boxes.png", "sheet.webp",
    "index.html", "times.md", "times.csv", "noise.csv", "noise.png", LEADERBOARD,
    "standing.md",  # what 0.1.0 called the leaderboard
)  # fmt: skip
_LYTRO = 20


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """What an evaluation did.

    Attributes:
        scores: All values.
        errors: Why stacks were left out, by name.
        kept: Number of fused pictures that an earlier run had left.
        changed: Those that something else than a run had changed since, which were fused and scored again.
        seconds: How long it took.
        table: Means, as Markdown.
        leaderboard: Mean ranks among published methods, as Markdown; empty if that was not requested.
        out: The folder filled.
        files: Names of the files written to the output folder.
    """

    scores: Scores
    errors: dict[str, str]
    kept: int
    changed: tuple[str, ...]
    seconds: float
    table: str
    out: Path
    files: tuple[str, ...] = field(default=())
    leaderboard: str = ""

    @property
    def _named(self) -> tuple[str, ...]:
        return (*self.scores.methods, *self.scores.references)

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        means = {method: tables.means_of(self.scores, method) for method in self._named}
        return {
            "images": len(self.scores.images),
            "means": means,
            "errors": self.errors,
            "kept": self.kept,
            "changed": list(self.changed),
            "seconds": self.seconds,
            "files": list(self.files),
        }

    def lines(self) -> list[str]:
        """As lines for people."""
        pictures = len(self.scores.images) * len(self.scores.methods)
        scored = f"{count(pictures, 'picture')} scored in {duration(self.seconds)}"
        kept = f"{self.kept:,} of them kept from before"
        ranked = ["", *self.leaderboard.splitlines()] if self.leaderboard else []
        return [*self.table.splitlines(), *ranked, f"{scored}, {kept}; see {self.out / 'index.html'}"]


def evaluate(
    options: EvaluateOptions,
    out: Path,
    *,
    say: Say = lambda _: None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> EvaluateReport:
    """Evaluate methods, and write everything that the module's docstring lists.

    Args:
        options: What to evaluate, and how.
        out: Folder to fill; what an earlier run left there is reused where it is still valid.
        say: Called with a sentence about anything worth knowing.
        progress: Called with a stage's name, and the number of things done and to do.

    Raises:
        OptionsError: If methods or data make no sense.
        ZooError: If a network cannot be loaded, or no stack could be scored.
        MissingExtraError: If a package is missing.
        OutputError: If the folder holds anything else, or cannot be written to.
    """
    check_guard()
    need_matplotlib()
    options = replace(options, command=options.command or evaluate_command(options, out))
    data = open_data(options.data)
    methods = parse_methods(options.methods, options.device)
    stacks = len(data.names[: options.limit or None])
    published = leaderboard.read_published(options.against, stacks) if options.against else {}
    _check_apart(options, methods, out)
    with locked(out, "evaluation"):
        _take(out)
        return _evaluate(options, data, methods, published, out, say, progress)


def _check_apart(options: EvaluateOptions, methods: tuple[Method, ...], out: Path) -> None:
    """Outputs are never inputs.

    Raises:
        OutputError: If stacks, or pictures that others fused, are in the folder to fill.
    """
    data = local_path(options.data.partition(":")[2])
    inputs = [*([data] if data else []), *(Path(each.base) for each in methods if not each.fuses)]
    for folder in inputs:
        if folder.resolve().is_relative_to(out.resolve()):
            raise OutputError(f"{folder}, which is read, is in {out}, which is written", "give another --out")


def _take(out: Path) -> None:
    """Make the folder an evaluation's.

    Raises:
        OutputError: If it holds anything else.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).exists():
        raise OutputError(f"{out} holds something other than an evaluation", "give an empty or a new folder")
    write(out / _MARK, b"what mfsynth evaluate wrote\n")


def _evaluate(
    options: EvaluateOptions,
    data: Data,
    methods: tuple[Method, ...],
    published: Published,
    out: Path,
    say: Say,
    progress: Progress,
) -> EvaluateReport:
    started = time.monotonic()
    names = data.names[: options.limit or None]
    evaluated = _score(options, data, methods, out, names, say, progress)
    _clear(out)
    files, ranked = [], ""
    for name, content in _documents(evaluated, published, started, say, progress):
        write(out / name, content)
        files.append(name)
        ranked = content.decode() if name == LEADERBOARD else ranked
    outcome, seconds = evaluated.outcome, time.monotonic() - started
    table = tables.markdown_of(outcome.scores, evaluated.paper)
    return EvaluateReport(
        outcome.scores,
        outcome.errors,
        outcome.kept,
        outcome.changed,
        seconds,
        table,
        out,
        tuple(files),
        ranked,
    )


def _score(
    options: EvaluateOptions,
    data: Data,
    methods: tuple[Method, ...],
    out: Path,
    names: tuple[str, ...],
    say: Say,
    progress: Progress,
) -> Evaluated:
    """Fuse and score the stacks.

    Raises:
        ZooError: If none could be scored.
    """
    if data.kind == "lytro" and len(data.names) < _LYTRO:
        say(f"{len(data.names)} of Lytro's {_LYTRO} pairs are there; the paper's values are for all of them")
    outcome = run(
        methods,
        data,
        out,
        names=names,
        swap=options.swap,
        workers=options.workers,
        say=say,
        progress=lambda done, total: progress("fusing", done, total),
    )
    if not outcome.scores.images:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.errors.items())
        raise ZooError(f"no stack could be scored: {reasons}")
    if not outcome.scores.measures:
        say("nothing was measured: the ground truth is not known, and the paper's measures need pairs")
    return Evaluated(options, data, methods, outcome, out)


def _clear(out: Path) -> None:
    """Remove what an earlier run wrote; the pictures stay."""
    for name in (*_WRITTEN, *(f"evaluation/{each}.json" for each in registry.names())):
        (out / name).unlink(missing_ok=True)


def _documents(
    evaluated: Evaluated, published: Published, started: float, say: Say, progress: Progress
) -> Iterator[tuple[str, bytes]]:
    """All files, the manifest last: names and contents."""
    ranks, manifest = rank(evaluated.scores), manifest_of(evaluated)
    curves = noise.noise_curves(evaluated.scores)
    yield from score_documents(evaluated, ranks)
    if published:
        yield from leaderboard_document(evaluated, published, say)
    if evaluated.options.times:
        yield from time_documents(evaluated, say, lambda *done: progress("timing", *done))
    if curves:
        yield "noise.csv", noise.csv_of(curves).encode()
        yield "noise.png", draw_noise(f"{evaluated.data.title}: frames with noise", curves)
    yield from drawings(evaluated, ranks, manifest, progress)
    yield MANIFEST, _manifest(evaluated, manifest, time.monotonic() - started)


def _manifest(evaluated: Evaluated, manifest: dict[str, Any], seconds: float) -> bytes:
    rest = {
        "seconds": round(seconds, 1),
        "kept": evaluated.outcome.kept,
        "workers": evaluated.options.workers,
    }
    return (json.dumps(manifest | rest, indent=1, ensure_ascii=False) + "\n").encode()
