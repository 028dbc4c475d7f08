"""Scores as text: CSV of every value and of means, Markdown tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

import numpy as np

from zoo.evaluation.paper import Printed
from zoo.evaluation.ranks import Ranks, Test
from zoo.evaluation.references import REFERENCES
from zoo.evaluation.scores import Row, Scores
from zoo.metrics.measures import MEASURES, PARTS, part_of

_NONE = "–"


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


def scores_of(text: str, data: str) -> Scores:
    """The scores that `csv_of` wrote; a value that was not measured comes back as not defined.

    Args:
        text: The CSV.
        data: The data's name, for people.
    """
    lines = list(csv.DictReader(io.StringIO(text)))
    noise = {line["image"]: float(line["noise"]) for line in lines if "noise" in line}
    images = tuple(dict.fromkeys(line["image"] for line in lines))
    names = tuple(dict.fromkeys(line["method"] for line in lines))
    methods = tuple(name for name in names if name not in REFERENCES)
    references = tuple(name for name in names if name in REFERENCES)
    rows = tuple(
        Row(
            line["image"],
            line["method"],
            {name: float(line[name] or "nan") for name in MEASURES if name in line},
        )
        for line in lines
    )
    levels = tuple(noise[image] for image in images) if noise else ()
    return Scores(data, images, methods, rows, levels, references)


def means_csv_of(scores: Scores) -> str:
    """A line for each method or reference and measure: mean, sample standard deviation, number of images."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "measure", "mean", "sd", "images"])
    for method in (*scores.methods, *scores.references):
        for name in scores.measures:
            values = scores.table(name, [method])[:, 0]
            numbers = mean_and_deviation(values)
            known = ["" if np.isnan(number) else repr(number) for number in numbers]
            writer.writerow([method, name, *known, int((~np.isnan(values)).sum())])
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


def markdown_of(scores: Scores, paper: Printed, measures: Sequence[str] = ()) -> str:
    """Means, methods in rows, measures in columns, the best in bold; below each, what the paper prints.

    References come last, never in bold, and only where a measure has their values.

    A mean that leaves out images for which the measure is not defined says how many it was taken over.
    An arrow marks the measures for which less is better. What is measured only where some frame holds the
    truth, and only where none does, follows in tables of its own.

    Args:
        scores: What was measured.
        paper: What the paper prints for such data.
        measures: Those to show, all if empty.
    """
    lines: list[str] = []
    for end, words in {"": "", **PARTS}.items():
        names = [name for name in measures or scores.measures if part_of(name) == end]
        if names:
            lines += ["", f"{words[:1].upper()}{words[1:]}:", ""] if words else []
            lines += _table(scores, names, paper)
    return "\n".join(lines) + "\n"


def _table(scores: Scores, measures: Sequence[str], paper: Printed) -> list[str]:
    firsts = {name: best(scores, name) for name in measures}
    lines = [line(["", *map(_head, measures)]), line(["---", *["---:"] * len(measures)])]
    for method in scores.methods:
        lines.append(line([method, *(_cell(scores, name, method, firsts[name]) for name in measures)]))
        printed = [_printed(paper, method, name) for name in measures]
        if any(printed):
            lines.append(line(["*paper*", *printed]))
    bounds = {
        each: [_cell(scores, name, each, frozenset()) for name in measures] for each in scores.references
    }
    return lines + [line([each, *cells]) for each, cells in bounds.items() if set(cells) != {_NONE}]


def best(scores: Scores, measure: str) -> frozenset[str]:
    """The methods with the best mean of a measure; none where all are equal."""
    means = {method: _mean(scores, measure, method) for method in scores.methods}
    defined = {method: mean for method, mean in means.items() if not np.isnan(mean)}
    if len(set(defined.values())) < 2:
        return frozenset()
    first = (max if MEASURES[measure].rising else min)(defined.values())
    return frozenset(method for method, mean in defined.items() if mean == first)


def ranks_of(ranks: Ranks) -> str:
    """Mean ranks, methods in rows, measures in columns, best first; below, whether they differ at all."""
    tests = {"all seven": ranks.together} | {MEASURES[name].label: test for name, test in ranks.tests.items()}
    tested = {label: test for label, test in tests.items() if isinstance(test, Test)}
    columns = {} if ranks.by_means is None else {"of means": ranks.by_means}
    columns |= {label: test.ranks for label, test in tested.items()}
    if not columns or len(ranks.methods) < 2:
        return "Too few methods or stacks to rank.\n"
    lines = [line(["mean rank", *columns]), line(["---", *["---:"] * len(columns)])]
    for place in np.argsort(next(iter(columns.values())), kind="stable"):
        lines.append(line([ranks.methods[place], *(f"{column[place]:.2f}" for column in columns.values())]))
    lines += [
        line([head, *(form(tested[label]) if label in tested else "" for label in columns)])
        for head, form in _FEET.items()
    ]
    untested = [
        f"{MEASURES[name].label}: {test.reason}."
        for name, test in ranks.tests.items()
        if not isinstance(test, Test)
    ]
    return "\n".join([*lines, *(["", *untested] if untested else [])]) + "\n"


_FEET: dict[str, Callable[[Test], str]] = {
    "*Friedman p*": lambda test: f"{test.p_value:.1e}",
    "*critical difference*": lambda test: f"{test.difference:.2f}",
    "*stacks ranked*": lambda test: str(test.images),
}
"""The rows below the ranks."""


def _head(measure: str) -> str:
    """A measure's label; what part of the picture it is of is said above the table."""
    return MEASURES[measure.removesuffix(part_of(measure))].label + ("" if MEASURES[measure].rising else " ↓")


def _cell(scores: Scores, measure: str, method: str, first: frozenset[str]) -> str:
    values = scores.table(measure, [method])[:, 0]
    count = int((~np.isnan(values)).sum())
    if not count:
        return _NONE
    text = MEASURES[measure].form.format(mean_and_deviation(values)[0])
    text += f" ({count} of {len(values)})" if count < len(values) else ""
    return f"**{text}**" if method in first else text


def _mean(scores: Scores, measure: str, method: str) -> float:
    return mean_and_deviation(scores.table(measure, [method])[:, 0])[0]


def _printed(paper: Printed, method: str, measure: str) -> str:
    values = paper.get(method, {}).get(measure)
    return f"*{values[0]:.4f}*" if values else ""


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table; what a cell holds cannot end it, nor become HTML."""
    plain = (" ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(plain)} |"
