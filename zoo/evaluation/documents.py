"""An evaluation in numbers and words: every file of it that is text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from zoo.evaluation import leaderboard, tables, times
from zoo.evaluation.methods import NETWORK
from zoo.metrics.measures import QUALITY
from zoo.store import registry
from zoo.store.results import Result, results

if TYPE_CHECKING:
    from zoo.evaluation.evaluated import Evaluated
    from zoo.evaluation.leaderboard import Published
    from zoo.evaluation.methods import Method
    from zoo.evaluation.ranks import Ranks

LEADERBOARD = "leaderboard.md"
_TIMED = 3


def score_documents(evaluated: Evaluated, ranks: Ranks) -> Iterator[tuple[str, bytes]]:
    """The tables, and what networks' cards quote: file names and contents."""
    scores = evaluated.scores
    yield "scores.csv", tables.csv_of(scores).encode()
    yield "means.csv", tables.means_csv_of(scores).encode()
    yield "table.md", tables.markdown_of(scores, evaluated.paper).encode()
    yield "ranks.md", tables.ranks_of(ranks).encode()
    for method in evaluated.methods:
        if method.kind == NETWORK and method.base in registry.names() and method.name == method.base:
            yield f"evaluation/{method.name}.json", results(_result(evaluated, method)).to_json()


def _result(evaluated: Evaluated, method: Method) -> Result:
    scores, data = evaluated.scores, evaluated.data
    noisy = any(scores.noise)
    kind = (*data.variant, *(["noisy"] if noisy else []))
    return Result(
        data=f"{data.title}, frames with noise" if noisy else data.title,
        identity=f"coco/{data.split}" if evaluated.official else (data.split or data.title).lower(),
        kind="-".join(kind).replace(" ", "-"),
        samples=len(scores.images),
        metrics=tables.means_of(scores, method.name),
        command=evaluated.options.command,
    )


def leaderboard_document(
    evaluated: Evaluated, published: Published, say: Callable[[str], None]
) -> Iterator[tuple[str, bytes]]:
    """The leaderboard among published methods, if all stacks are pairs and were scored."""
    if not all(set(QUALITY) <= set(row.values) for row in evaluated.scores.rows):
        say("the paper's measures need pairs, so there is no leaderboard among published methods")
        return
    if evaluated.outcome.errors:
        say("stacks were left out, so there is no leaderboard among published methods")
        return
    table = leaderboard.markdown_of(evaluated.scores, published, evaluated.paper)
    yield LEADERBOARD, table.encode()


def time_documents(
    evaluated: Evaluated, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> Iterator[tuple[str, bytes]]:
    """Times of the methods that fuse, measured now."""
    methods, threads = evaluated.methods, evaluated.options.workers
    if not any(method.fuses for method in methods):
        say("pictures that others fused have no times")
        return
    stacks = [evaluated.data.load(name) for name in evaluated.scores.images[:_TIMED]]
    taken = times.time_methods(methods, stacks, threads=threads, say=say, progress=progress)
    if not taken:
        return
    yield "times.csv", times.csv_of(taken).encode()
    frames = len(stacks[0].frames)
    note = times.conditions(methods, threads, frames)
    yield "times.md", times.markdown_of(taken, note, None if frames == 2 else {}).encode()
