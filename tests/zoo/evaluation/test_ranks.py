"""Against published examples: Demšar (2006), the documentation of scikit-posthocs."""

import sys

import numpy as np
import pytest

from mfsynth.errors import MissingExtraError
from zoo.evaluation.ranks import (
    Test,
    Untested,
    cliques,
    critical_difference,
    friedman,
    image_ranks,
    rank,
    rank_of_means,
)
from zoo.evaluation.scores import Row, Scores

# Demšar's table 6: the AUC of four classifiers on fourteen data sets. Of the last but one he ranks +cf
# before +m+cf, though both are printed as 0.975.
CLASSIFIERS = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ]
)  # fmt: skip


def scores(tables, methods=("a", "b", "c")):
    """Scores from an images x methods table for each measure."""
    count = len(next(iter(tables.values())))
    rows = tuple(
        Row(f"{k}", method, {name: float(table[k][m]) for name, table in tables.items()})
        for k in range(count)
        for m, method in enumerate(methods)
    )
    return Scores("pairs", tuple(f"{k}" for k in range(count)), tuple(methods), rows)


def test_demsars_example():
    found = friedman(-AUC, CLASSIFIERS)
    assert isinstance(found, Test)
    assert found.ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert (found.images, found.left_out) == (14, 0)
    # He prints 9.28; SciPy corrects for ties, here one of all four methods and three of two.
    assert found.statistic * (1 - (60 + 3 * 6) / (14 * 60)) == pytest.approx(9.28, abs=5e-3)
    assert found.p_value < 0.05
    assert found.difference == pytest.approx(1.25, abs=5e-3)
    assert cliques(found) == [(3, 1, 2, 0)]


def test_demsars_example_at_a_tenth():
    """C4.5 is worse than +m and than +m+cf, and +cf belongs to both groups."""
    found = friedman(-AUC, CLASSIFIERS, alpha=0.1)
    assert isinstance(found, Test)
    assert found.difference == pytest.approx(1.12, abs=5e-3)
    assert cliques(found) == [(3, 1, 2), (2, 0)]
    differ = {
        (first, second) for first in range(4) for second in range(first) if found.nemenyi[first, second] < 0.1
    }
    assert differ == {(1, 0), (3, 0)}


@pytest.mark.parametrize(
    ("methods", "alpha", "quantile"),
    [(2, 0.05, 1.960), (3, 0.05, 2.343), (10, 0.05, 3.164), (10, 0.1, 2.920)],
)
def test_critical_values_are_demsars(methods, alpha, quantile):
    images = 30
    expected = quantile * np.sqrt(methods * (methods + 1) / 6 / images)
    assert critical_difference(methods, images, alpha) == pytest.approx(expected, rel=5e-4)


BLOCKS = np.array([[31, 27, 24], [31, 28, 31], [45, 29, 46], [21, 18, 48], [42, 36, 46], [32, 17, 40]], float)


def test_example_of_scikit_posthocs():
    """Its documented matrix, and the p-values that its tests hold."""
    found = friedman(BLOCKS, ("a", "b", "c"))
    assert isinstance(found, Test)
    assert found.ranks == pytest.approx([13.5 / 6, 7 / 6, 15.5 / 6])
    expected = [[1, 0.1432, 0.8320], [0.1432, 1, 0.0380], [0.8320, 0.0380, 1]]
    np.testing.assert_allclose(found.nemenyi, expected, atol=5e-3)


@pytest.mark.parametrize(
    ("losses", "above_diagonal"),
    [
        (BLOCKS, [0.14553486869064602, 0.8322292181161419, 0.03760991481961706]),
        (
            -AUC,
            [
                0.08867270928888271, 0.9561771752218107, 0.0741847950687442, 0.2592280701547286,
                0.999859449385133, 0.22669688602641525,
            ],
        ),
    ],
)  # fmt: skip
def test_p_values_are_those_of_scikit_posthocs(losses, above_diagonal):
    """Frozen from `posthoc_nemenyi_friedman` of scikit-posthocs 0.17.1."""
    count = losses.shape[1]
    found = friedman(losses, tuple("abcd")[:count])
    assert isinstance(found, Test)
    expected = np.ones((count, count))
    expected[np.triu_indices(count, 1)] = above_diagonal
    expected = np.minimum(expected, expected.T)
    np.testing.assert_allclose(found.nemenyi, expected, rtol=1e-9)


def test_p_values_and_critical_difference_agree():
    rng = np.random.default_rng(5)
    found = friedman(rng.normal(size=(12, 6)) + 0.6 * np.arange(6), tuple("abcdef"))
    assert isinstance(found, Test)
    apart = np.abs(found.ranks[:, None] - found.ranks) > found.difference
    np.testing.assert_array_equal(apart, found.nemenyi < found.alpha)
    assert apart.any()


def test_ranks_by_hand():
    """More is better in Q_MI, less in swap; ties share; a picture that lacks a value is left out."""
    given = scores(
        {
            "q_mi": [[3, 2, 1], [2, 2, 1], [5, np.nan, 6]],
            "swap_mean": [[3, 2, 1], [3, 2, 1], [1, 1, 1]],
        }
    )
    np.testing.assert_array_equal(image_ranks(given, "q_mi"), [[1, 2, 3], [1.5, 1.5, 3], [np.nan] * 3])
    np.testing.assert_array_equal(image_ranks(given, "swap_mean"), [[3, 2, 1], [3, 2, 1], [2, 2, 2]])
    np.testing.assert_array_equal(image_ranks(given, "q_mi", ["c", "a"]), [[2, 1], [2, 1], [1, 2]])
    test = rank(given).tests["q_mi"]
    assert isinstance(test, Test)
    assert (test.images, test.left_out, list(test.ranks)) == (2, 1, [1.25, 1.75, 3])


def test_a_picture_counts_once_for_all_measures():
    given = scores(
        {"q_mi": [[3, 2, 1]] * 4, "q_g": [[3, 2, 1]] * 4, "q_s": [[1, 2, 3]] * 4, "psnr": [[1, 2, 3]] * 4}
    )
    together = rank(given).together
    assert isinstance(together, Test)
    assert together.images == 4
    assert list(together.ranks) == [1, 2, 3]


def test_ranks_of_means_by_hand():
    """`a` wins in most pictures, but `b` on average: ranks of 2, 1, 3 in Q_MI and of 1, 2.5, 2.5 in Q_CB."""
    given = scores(
        {
            "q_mi": [[3, 2, 1], [3, 2, 1], [0, 9, 1]],
            "q_cb": [[3, 2, 2]] * 3,
            "psnr": [[1, 2, 3]] * 3,
        }
    )
    ranks = rank_of_means(given)
    assert ranks is not None
    assert list(ranks) == [1.5, 1.75, 2.75]


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (np.ones((5, 2)), "at least 3 methods"),
        (np.array([[1.0, 2, 3]]), "at least 2 pictures"),
        (np.full((4, 3), np.nan), "no picture has a value of every method"),
        (np.ones((4, 3)), "tie in every picture"),
        (np.empty((0, 3)), "at least 2 pictures"),
    ],
)
def test_what_cannot_be_tested_says_why(losses, reason):
    found = friedman(losses, tuple("abc")[: losses.shape[1]])
    assert isinstance(found, Untested)
    assert reason in found.reason


def test_scores_without_the_papers_measures_have_no_ranks_of_means():
    given = rank(scores({"psnr": [[1, 2, 3], [1, 3, 2]]}))
    assert given.by_means is None
    assert isinstance(given.together, Untested)
    assert isinstance(given.tests["psnr"], Test)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtraError, match=r"scipy is not installed.*\[evaluate\]"):
        friedman(-AUC, CLASSIFIERS)
