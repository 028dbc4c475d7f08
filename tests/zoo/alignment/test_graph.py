"""Placing frames by pairs of them."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.alignment.graph import Link, chained, connected, solved
from zoo.alignment.similarity import IDENTITY, Similarity

SIZE = (300, 400)


def far(one: Similarity, other: Similarity) -> float:
    return one.relative_to(other).displacement(*SIZE)


def truth(number: int) -> list[Similarity]:
    random = np.random.default_rng(4)
    return [IDENTITY] + [
        Similarity(1 + 0.002 * k, random.normal(0, 1), *random.normal(0, 5, 2)) for k in range(1, number)
    ]


def pairs(places: list[Similarity], distances: tuple[int, ...] = (1, 2, 4)) -> list[Link]:
    return [
        Link(k - distance, k, places[k].relative_to(places[k - distance]))
        for k in range(len(places))
        for distance in distances
        if distance <= k
    ]


def test_exact_pairs_give_exact_places() -> None:
    places = truth(9)
    found = solved(pairs(places), 4, *SIZE)
    for number, place in enumerate(places):
        assert far(found[number], place.relative_to(places[4])) < 1e-6
    chain = chained(pairs(places, (1,)), 4)
    assert all(far(chain[number], found[number]) < 1e-6 for number in range(9))


def test_a_false_pair_hardly_matters() -> None:
    places = truth(9)
    links = pairs(places)
    links[7] = Link(links[7].first, links[7].second, Similarity(1.01, 2.0, 30.0, -10.0))
    found = solved(links, 0, *SIZE)
    assert max(far(found[number], place) for number, place in enumerate(places)) < 0.2


def test_errors_average_out() -> None:
    random = np.random.default_rng(8)
    places = truth(30)

    def noisy(link: Link) -> Link:
        off = Similarity(1.0, 0.0, *random.normal(0, 0.1, 2))
        return Link(link.first, link.second, off.after(link.move))

    chain, more = [], []
    for _ in range(5):
        links = [noisy(link) for link in pairs(places)]
        chain.append(
            far(chained([each for each in links if each.second - each.first == 1], 0)[29], places[29])
        )
        more.append(far(solved(links, 0, *SIZE)[29], places[29]))
    assert np.mean(more) < 0.7 * np.mean(chain)


def test_groups_are_what_links_join() -> None:
    links = [Link(0, 1, IDENTITY), Link(5, 3, IDENTITY), Link(3, 4, IDENTITY)]
    assert connected(links, range(7)) == [[3, 4, 5], [0, 1], [2], [6]]
    assert solved([], 3, *SIZE) == {3: IDENTITY}
    assert chained(links, 4).keys() == {3, 4, 5}


@pytest.mark.parametrize("reference", [0, 2])
def test_weights_count(reference: int) -> None:
    links = [Link(0, 1, IDENTITY), Link(1, 2, IDENTITY), Link(0, 2, Similarity(1.0, 0.0, 0.03, 0.0), 1e6)]
    found = solved(links, reference, *SIZE)
    assert found[2].relative_to(found[0]).dx == pytest.approx(0.03, abs=1e-3)
