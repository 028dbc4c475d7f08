"""The page's tables: means, ranks, Nemenyi's p-values, every stack."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfsynth.preview.kit.page import Cell, Table, Tables
from zoo.evaluation.ranks import Test
from zoo.evaluation.tables import best, mean_and_deviation
from zoo.metrics.measures import MEASURES

if TYPE_CHECKING:
    from zoo.evaluation.paper import Printed
    from zoo.evaluation.ranks import Ranks, Untested
    from zoo.evaluation.scores import Scores

_NONE = "–"
_TOGETHER = "all seven"


def written(measure: str, value: float) -> str:
    """A value as it is written; empty if it is not defined."""
    return "" if math.isnan(value) else MEASURES[measure].form.format(value)


def label_of(measure: str) -> str:
    """A measure's label, and whether more or less is better."""
    return f"{MEASURES[measure].label} {'↑' if MEASURES[measure].rising else '↓'}"


# --- means --------------------------------------------------------------------------------------------


def summary_table(scores: Scores, paper: Printed) -> Tables:
    """A row for each method, then the paper's other methods, then references."""
    firsts = {name: best(scores, name) for name in scores.measures}
    rows = [
        (Cell(method), *(_mean_cell(scores, name, method, firsts[name], paper) for name in scores.measures))
        for method in scores.methods
    ]
    rows += [
        (Cell(f"{method} (paper)"), *(_paper_cell(paper, method, name) for name in scores.measures))
        for method in paper
        if method not in scores.methods
    ]
    rows += [
        (Cell(name), *(_mean_cell(scores, measure, name, frozenset(), {}) for measure in scores.measures))
        for name in scores.references
    ]
    return Tables("Means", (Table("means", _heads("method", map(label_of, scores.measures)), tuple(rows)),))


def _mean_cell(scores: Scores, measure: str, method: str, first: frozenset[str], paper: Printed) -> Cell:
    values = scores.table(measure, [method])[:, 0]
    mean, deviation = (written(measure, number) for number in mean_and_deviation(values))
    count = int((~np.isnan(values)).sum())
    below = [f"of {count} stack{'' if count == 1 else 's'}"] if 0 < count < len(values) else []
    printed = _printed(paper, method, measure)
    return Cell(
        mean or _NONE,
        more=f"± {deviation}" if deviation else "",
        below=(*below, *([f"paper {printed}"] if printed else [])),
        style="best" if method in first else "",
    )


def _paper_cell(paper: Printed, method: str, measure: str) -> Cell:
    return Cell(_printed(paper, method, measure) or _NONE, style="quiet")


def _printed(paper: Printed, method: str, measure: str) -> str:
    values = paper.get(method, {}).get(measure)
    return " ± ".join(written(measure, value) for value in values) if values else ""


# --- ranks --------------------------------------------------------------------------------------------


def rank_tables(ranks: Ranks) -> tuple[Tables, Tables]:
    """Mean ranks with their tests, and the p-value of each two methods."""
    tests = {_TOGETHER: ranks.together} | {MEASURES[name].label: test for name, test in ranks.tests.items()}
    pairs = tuple(_pair_table(name, test, ranks.methods) for name, test in tests.items())
    return Tables("Mean ranks", (_rank_table(ranks, tests),)), Tables("Nemenyi's p-values in", pairs)


def _rank_table(ranks: Ranks, tests: dict[str, Test | Untested]) -> Table:
    tested = {name: test for name, test in tests.items() if isinstance(test, Test)}
    columns = {} if ranks.by_means is None else {"of means": ranks.by_means}
    columns |= {name: test.ranks for name, test in tested.items()}
    if not columns:
        return Table("ranks", _heads(f"no ranks: {_why(tests)}", []), ())
    rows = tuple(
        (Cell(ranks.methods[place]), *(_rank_cell(column, place) for column in columns.values()))
        for place in np.argsort(next(iter(columns.values())), kind="stable")
    )
    feet = tuple(_feet([tested.get(name) for name in columns]))
    return Table("ranks", _heads("method", columns), rows, feet)


def _rank_cell(column: np.ndarray, place: int) -> Cell:
    return Cell(f"{column[place]:.2f}", style="best" if column[place] == column.min() else "")


def _feet(tests: Sequence[Test | None]) -> Iterator[tuple[Cell, ...]]:
    """The rows below the ranks: one for each number of the tests."""
    lines = {
        "Friedman's χ²": [test and f"{test.statistic:.2f}" for test in tests],
        "p": [test and _probability(test.p_value) for test in tests],
        "critical difference": [test and f"{test.difference:.2f}" for test in tests],
        "stacks": [test and str(test.images) for test in tests],
        "stacks left out": [test and str(test.left_out or "") for test in tests],
    }
    for name, values in lines.items():
        if any(values):
            yield Cell(name), *(Cell(value or "") for value in values)


def _pair_table(name: str, test: Test | Untested, methods: Sequence[str]) -> Table:
    """The p-value of each two methods, the best first."""
    if not isinstance(test, Test):
        left_out = f" ({test.left_out} left out)" if test.left_out else ""
        return Table(name, (), (), note=f"not tested: {test.reason}{left_out}")
    order = [int(place) for place in np.argsort(test.ranks, kind="stable")]
    heads = [Cell(str(number), title=methods[place]) for number, place in enumerate(order, 1)]
    rows = tuple(
        (Cell(f"{number}  {methods[one]}"), *(_p_cell(test, methods, one, other) for other in order))
        for number, one in enumerate(order, 1)
    )
    note = f"bold: below {test.alpha}; methods from the best"
    return Table(name, (Cell("method"), *heads), rows, note=note)


def _p_cell(test: Test, methods: Sequence[str], one: int, other: int) -> Cell:
    if one == other:
        return Cell("·", style="quiet")
    p = float(test.nemenyi[one, other])
    text = "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
    return Cell(
        text, style="far" if p < test.alpha else "", title=f"{methods[one]} and {methods[other]}: p {text}"
    )


def _why(tests: dict[str, Test | Untested]) -> str:
    reasons = [test.reason for test in tests.values() if not isinstance(test, Test)]
    return reasons[0] if reasons else "nothing was measured"


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


# --- every stack --------------------------------------------------------------------------------------


def stack_tables(scores: Scores, shown: set[str]) -> Tables:
    """Every value: a table for each measure, stacks in rows, methods in columns; shown stacks are links."""
    tables = tuple(
        Table(MEASURES[name].label, _heads("stack", scores.methods), tuple(_stack_rows(scores, name, shown)))
        for name in scores.measures
    )
    return Tables("Measure", tables, sorts=True)


def _stack_rows(scores: Scores, measure: str, shown: set[str]) -> Iterator[tuple[Cell, ...]]:
    pick = np.max if MEASURES[measure].rising else np.min
    for image, values in zip(scores.images, scores.table(measure), strict=True):
        known = values[~np.isnan(values)]
        first = written(measure, float(pick(known))) if known.size else ""
        texts = [written(measure, float(value)) for value in values]
        cells = (Cell(text or _NONE, style="best" if text and text == first else "") for text in texts)
        yield Cell(image, scene=image if image in shown else ""), *cells


def _heads(first: str, others: Iterable[str]) -> tuple[Cell, ...]:
    return Cell(first), *map(Cell, others)
