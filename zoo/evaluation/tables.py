"""Scores as text: a CSV of every value, Markdown tables of means."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.evaluation.paper import Printed
from zoo.evaluation.ranks import Ranks, Test, Untested
from zoo.evaluation.scores import Scores
from zoo.metrics.measures import MEASURES


def csv_of(scores: Scores) -> str:
    """Every value in full precision, a line for each image and method; empty where it is not defined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    noise = dict(zip(scores.images, scores.noise, strict=True)) if any(scores.noise) else {}
    writer.writerow(["image", "method", *(["noise"] if noise else []), *scores.measures])
    for row in scores.rows:
        values = [row.values.get(name, np.nan) for name in scores.measures]
        known = [repr(noise[row.image])] if noise else []
        writer.writerow(
            [row.image, row.method, *known, *("" if np.isnan(v) else repr(float(v)) for v in values)]
        )
    return text.getvalue()


def mean_and_deviation(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation of the values that are defined; NaN where there are too few."""
    defined = np.asarray(values, np.float64)
    defined = defined[~np.isnan(defined)]
    mean = float(defined.mean()) if defined.size else np.nan
    return mean, float(defined.std(ddof=1)) if defined.size > 1 else np.nan


def means_of(scores: Scores, method: str) -> dict[str, float]:
    """A method's mean of every measure that it has."""
    means = {name: _mean(scores, name, method) for name in scores.measures}
    return {name: mean for name, mean in means.items() if not np.isnan(mean)}


def markdown_of(scores: Scores, paper: Printed) -> str:
    """Mean ± sample standard deviation, measures down and methods across, the best in bold.

    Under a measure stand the paper's values, where it has some. A mean that leaves images out, since the
    measure is not defined for them, says over how many it was taken.
    """
    lines = [line(["", *scores.methods]), line(["---"] * (len(scores.methods) + 1))]
    for name in scores.measures:
        lines.append(line([MEASURES[name].label, *_cells(scores, name)]))
        printed = [_printed(paper, method, name) for method in scores.methods]
        if any(printed):
            lines.append(line(["*paper*", *printed]))
    return "\n".join(lines) + "\n"


def best(scores: Scores, measure: str) -> frozenset[str]:
    """The methods with the best mean of a measure; none where all are equal."""
    means = {method: _mean(scores, measure, method) for method in scores.methods}
    defined = {method: mean for method, mean in means.items() if not np.isnan(mean)}
    if len(set(defined.values())) < 2:
        return frozenset()
    first = (max if MEASURES[measure].rising else min)(defined.values())
    return frozenset(method for method, mean in defined.items() if mean == first)


def ranks_of(ranks: Ranks) -> str:
    """Mean ranks, methods down and measures across, from the best; below it whether they differ at all."""
    tested = {name: test for name, test in ranks.tests.items() if isinstance(test, Test)}
    columns: dict[str, Any] = {} if ranks.by_means is None else {"of means": ranks.by_means}
    if isinstance(ranks.together, Test):
        columns["all seven"] = ranks.together.ranks
    columns |= {MEASURES[name].label: test.ranks for name, test in tested.items()}
    if not columns or len(ranks.methods) < 2:
        return "Too few methods or pairs to rank.\n"
    order = np.argsort(next(iter(columns.values())), kind="stable")
    lines = [line(["mean rank", *columns]), line(["---"] * (len(columns) + 1))]
    for place in order:
        lines.append(line([ranks.methods[place], *(f"{column[place]:.2f}" for column in columns.values())]))
    tests = {"all seven": ranks.together, **{MEASURES[name].label: test for name, test in tested.items()}}
    probabilities = [_probability(tests.get(name)) for name in columns]
    differences = [
        f"{test.difference:.2f}" if isinstance(test := tests.get(name), Test) else "" for name in columns
    ]
    pairs = [str(test.images) if isinstance(test := tests.get(name), Test) else "" for name in columns]
    lines += [line(["*Friedman p*", *probabilities]), line(["*critical difference*", *differences])]
    lines.append(line(["*pairs ranked*", *pairs]))
    untested = [
        f"{MEASURES[name].label}: {test.reason}."
        for name, test in ranks.tests.items()
        if not isinstance(test, Test)
    ]
    return "\n".join([*lines, *(["", *untested] if untested else [])]) + "\n"


def _probability(test: Test | Untested | None) -> str:
    return f"{test.p_value:.1e}" if isinstance(test, Test) else ""


def _cells(scores: Scores, measure: str) -> list[str]:
    first = best(scores, measure)
    cells = []
    for method in scores.methods:
        values = scores.table(measure, [method])[:, 0]
        mean, deviation = mean_and_deviation(values)
        if np.isnan(mean):
            cells.append("–")
            continue
        form = MEASURES[measure].form
        text = form.format(mean) + ("" if np.isnan(deviation) else f" ± {form.format(deviation)}")
        count = int((~np.isnan(values)).sum())
        text += f" ({count} of {len(values)})" if count < len(values) else ""
        cells.append(f"**{text}**" if method in first else text)
    return cells


def _mean(scores: Scores, measure: str, method: str) -> float:
    return mean_and_deviation(scores.table(measure, [method])[:, 0])[0]


def _printed(paper: Printed, method: str, measure: str) -> str:
    values = paper.get(method, {}).get(measure)
    return f"*{values[0]:.4f} ± {values[1]:.4f}*" if values else ""


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
