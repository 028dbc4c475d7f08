"""Methods ranked among published ones, by their mean rank over the paper's measures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mfsynth import schema
from zoo.errors import ZooError
from zoo.evaluation.paper import Printed
from zoo.evaluation.scores import Scores
from zoo.evaluation.tables import line, mean_and_deviation
from zoo.metrics.measures import MEASURES, QUALITY

Published = dict[str, dict[str, list[float]]]
"""By method and measure: a value for each pair, in the pairs' order."""


def read_published(path: Path, pairs: int) -> Published:
    """Per-pair values of published methods.

    Args:
        path: JSON: a list of values, in the pairs' order, by method and measure.
        pairs: How many values each list must have.

    Raises:
        ZooError: If the file cannot be read, or holds something else.
    """
    hint = "write {method: {measure: [values]}}"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ZooError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    published = schema.decode(
        text, Published, f"{path} holds no published values: it", error=ZooError, hint=hint
    )
    if not published:
        raise ZooError(f"{path} is empty", hint)
    for method, measures in published.items():
        if missing := [name for name in QUALITY if name not in measures]:
            raise ZooError(f"{path} lacks {', '.join(missing)} of {method}")
        if any(len(values) != pairs for values in measures.values()):
            raise ZooError(
                f"{path} does not have a value of {method} for each of the {pairs} pairs that were scored",
                "evaluate the pairs that it was made from",
            )
    return published


def markdown_of(scores: Scores, published: Published, paper: Printed) -> str:
    """Means of the paper's measures and the mean of their ranks, the best first; ours in bold.

    The paper's own values are included for methods that have no published ones.
    """
    means: dict[str, list[float]] = {
        f"**{method}**": [mean_and_deviation(scores.table(name, [method])[:, 0])[0] for name in QUALITY]
        for method in scores.methods
    }
    means |= {
        method: [float(np.mean(values[name])) for name in QUALITY] for method, values in published.items()
    }
    means |= {
        f"{method} (the paper)": [values[name][0] for name in QUALITY]
        for method, values in paper.items()
        if method not in published
    }
    return _table({method: values for method, values in means.items() if not np.isnan(values).any()})


def _table(means: Mapping[str, list[float]]) -> str:
    from scipy.stats import rankdata

    table = np.array(list(means.values()))
    ranks = rankdata(-table, axis=0).mean(axis=1)  # more is better in all of these
    lines = [line(["method", *(MEASURES[name].label for name in QUALITY), "mean rank"])]
    lines.append(line(["---", *["---:"] * (len(QUALITY) + 1)]))
    for rank, (method, values) in sorted(zip(ranks, means.items(), strict=True)):
        lines.append(line([method, *(f"{value:.4f}" for value in values), f"{rank:.1f}"]))
    return "\n".join(lines) + "\n"
