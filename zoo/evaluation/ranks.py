"""Which methods are better, and whether there are enough pictures to say so: ranks, and two tests.

Ranks count from 1, the best; methods that tie share the mean of their places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfsynth.errors import MissingExtraError
from zoo.evaluation.scores import Scores
from zoo.metrics.measures import MEASURES, QUALITY, part_of

if TYPE_CHECKING:
    from types import ModuleType

ALPHA = 0.05
"""How often equally good methods may seem to differ."""

_FEWEST_METHODS, _FEWEST_IMAGES = 3, 2

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """Whether methods differ in a measure, every picture being one observation.

    Attributes:
        methods: Their names.
        ranks: Each one's mean rank over the pictures, methods float64.
        images: How many pictures were ranked.
        left_out: How many were not, because some method has no value there.
        statistic: Friedman's chi-squared.
        p_value: How probable a value at least as large is if all methods are equally good.
        difference: Mean ranks that are further apart than this differ significantly (Nemenyi).
        alpha: At this level.
        nemenyi: The p-value of each two methods, methods x methods float64; 1 on the diagonal.
    """

    __test__ = False  # for pytest: this is not a test case

    methods: tuple[str, ...]
    ranks: Table
    images: int
    left_out: int
    statistic: float
    p_value: float
    difference: float
    alpha: float
    nemenyi: Table


@dataclass(frozen=True, slots=True)
class Untested:
    """Why there is no test.

    Attributes:
        reason: What is missing, for people.
        left_out: How many pictures lack a value of some method.
    """

    reason: str
    left_out: int


_NO_PAIRS = Untested("the paper's measures need pairs", 0)


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Everything about the methods' order.

    Attributes:
        methods: Their names, in the order of every array.
        by_means: The mean over the paper's measures of the rank among the methods' means, as published
            tables have it; None where a method has no value in one of them.
        together: One test over all of the paper's measures: a picture's methods are ranked by their mean rank
            in them. A picture counts once, because its measures are not independent.
        tests: A test for each measure of whole pictures.
    """

    methods: tuple[str, ...]
    by_means: Table | None
    together: Test | Untested
    tests: dict[str, Test | Untested]


def rank(scores: Scores, methods: Sequence[str] = (), alpha: float = ALPHA) -> Ranks:
    """Rank methods, and test whether they differ.

    Args:
        scores: What was measured.
        methods: Those to compare, all if empty. A method's rank depends on which others there are.
        alpha: The tests' level.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    chosen = tuple(methods) or scores.methods
    whole = [measure for measure in scores.measures if not part_of(measure)]
    ranked = {measure: image_ranks(scores, measure, chosen) for measure in whole}
    quality = [ranked[measure] for measure in QUALITY if measure in ranked]
    return Ranks(
        methods=chosen,
        by_means=rank_of_means(scores, chosen),
        together=friedman(np.mean(quality, axis=0), chosen, alpha) if quality else _NO_PAIRS,
        tests={measure: friedman(table, chosen, alpha) for measure, table in ranked.items()},
    )


def image_ranks(scores: Scores, measure: str, methods: Sequence[str] = ()) -> Table:
    """The methods' ranks in every picture, images x methods; NaN throughout where one has no value.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    return _ranked(_losses(scores, measure, methods))


def rank_of_means(scores: Scores, methods: Sequence[str] = ()) -> Table | None:
    """Mean over the paper's measures of the rank among the methods' means, methods float64.

    Means are over the pictures for which every method has a value. None where a measure has no such picture.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    tables = [_losses(scores, measure, methods) for measure in QUALITY if measure in scores.measures]
    whole = [table[~np.isnan(table).any(axis=1)] for table in tables]
    if not whole or not all(len(table) for table in whole):
        return None
    ranks: Table = _ranked(np.array([table.mean(axis=0) for table in whole])).mean(axis=0)
    return ranks


def friedman(losses: Table, methods: Sequence[str], alpha: float = ALPHA) -> Test | Untested:
    """Friedman's test, and Nemenyi's of each two methods.

    Args:
        losses: Images x methods float64, less is better; pictures with a NaN are left out.
        methods: The columns' names.
        alpha: The level of the critical difference.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    whole = losses[~np.isnan(losses).any(axis=1)]
    left_out = len(losses) - len(whole)
    ranks = _ranked(whole)
    if reason := _hindrance(ranks, len(losses)):
        return Untested(reason, left_out)
    found = _stats().friedmanchisquare(*whole.T)
    means = ranks.mean(axis=0)
    return Test(
        methods=tuple(methods),
        ranks=means,
        images=len(whole),
        left_out=left_out,
        statistic=float(found.statistic),
        p_value=float(found.pvalue),
        difference=critical_difference(len(methods), len(whole), alpha),
        alpha=alpha,
        nemenyi=nemenyi(means, len(whole)),
    )


def critical_difference(methods: int, images: int, alpha: float = ALPHA) -> float:
    """How far apart mean ranks must be to differ significantly, after Demšar (2006).

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    return float(_stats().studentized_range.ppf(1 - alpha, methods, np.inf)) * _unit(methods, images)


def nemenyi(ranks: Table, images: int) -> Table:
    """Nemenyi's p-value of each two methods from their mean ranks, methods x methods; 1 on the diagonal.

    The studentized range of the ranks' differences, at infinitely many degrees of freedom.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """
    count = len(ranks)
    spread = np.abs(ranks[:, None] - ranks) / _unit(count, images)
    p_values: Table = _stats().studentized_range.sf(spread, count, np.inf)
    return p_values


def _unit(methods: int, images: int) -> float:
    """The difference of two mean ranks that is 1 in the studentized range, after Demšar (2006)."""
    return math.sqrt(methods * (methods + 1) / (12 * images))


def cliques(test: Test) -> list[tuple[int, ...]]:
    """The largest groups of methods of which no two differ significantly, as indices, the best first.

    Methods that differ from all others are in no group.
    """
    order = np.argsort(test.ranks, kind="stable")
    ranks = test.ranks[order]
    groups: list[tuple[int, ...]] = []
    reached = 0
    for first in range(len(order)):
        end = int(np.searchsorted(ranks, ranks[first] + test.difference, side="right"))
        if end > max(reached, first + 1):
            groups.append(tuple(int(each) for each in order[first:end]))
        reached = max(reached, end)
    return groups


def _losses(scores: Scores, measure: str, methods: Sequence[str]) -> Table:
    """A measure, negated if needed so that less is better."""
    table = scores.table(measure, methods)
    return -table if MEASURES[measure].rising else table


def _ranked(losses: Table) -> Table:
    """Ranks within each row; NaN throughout where one is NaN."""
    ranked: Table = _stats().rankdata(losses, axis=1, nan_policy="propagate") if losses.size else losses
    return ranked


def _hindrance(ranks: Table, images: int) -> str:
    """Why whole pictures' ranks cannot be tested; empty if they can."""
    if ranks.shape[1] < _FEWEST_METHODS:
        return f"a test needs at least {_FEWEST_METHODS} methods"
    if images and not len(ranks):
        return "no picture has a value of every method"
    if len(ranks) < _FEWEST_IMAGES:
        return f"a test needs at least {_FEWEST_IMAGES} pictures"
    if (ranks == ranks[:, :1]).all():
        return "all methods tie in every picture"
    return ""


def _stats() -> ModuleType:
    try:
        return import_module("scipy.stats")
    except ImportError as error:
        raise MissingExtraError("scipy", "evaluate") from error
