"""Registrations between the frames of one stack, each prepared once it is asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from zoo.alignment.graph import Link
from zoo.alignment.pictures import pyramid
from zoo.alignment.register import Found, find, find_near, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.alignment.pictures import Frame, Pyramid
    from zoo.alignment.similarity import Similarity

_HELD = 8
"""The most frames that are held prepared at a time."""


class Search:
    """Registrations between the frames of a stack, by their numbers.

    Attributes:
        prepared: A frame, prepared; the last few are held.
        factor: By which the frames' sides are divided to register them.
        size: Height and width of what is registered.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.prepared: Callable[[int], Pyramid] = lru_cache(_HELD)(lambda number: pyramid(frames[number]))
        self.factor = self.prepared(0).factor
        self.size: tuple[int, int] = self.prepared(0).gray.shape
        self._linked: set[frozenset[int]] = set()
        self._best: dict[int, Found] = {}

    def textured(self, number: int) -> bool:
        """Whether there is something to register a frame by."""
        return self.prepared(number).textured

    def match(self, number: int, others: Sequence[int]) -> list[Link]:
        """A frame's link to the first of others that it matches, wherever it lies; else nothing."""
        for other in others:
            found = find(self.prepared(other), self.prepared(number))
            for each in (other, number):
                self._best[each] = max(self._best.get(each, found), found, key=lambda one: one.likeness)
            if found.good:
                return [self._link(other, number, found)]
        return []

    def confirm(self, number: int, others: Sequence[int], guesses: Mapping[int, Similarity]) -> list[Link]:
        """A frame's links to those of others that it matches about where it is thought to lie.

        Pairs that are linked already are omitted.
        """
        links = []
        for other in others:
            if other == number or frozenset((other, number)) in self._linked:
                continue
            guess = guesses[number].relative_to(guesses[other])
            found = find_near(self.prepared(other), self.prepared(number), guess)
            if found.good:
                links.append(self._link(other, number, found))
        return links

    def why_not(self, number: int) -> str:
        """Why a frame is not among those that match, as what follows "the frame"."""
        if not self.textured(number):
            return "has too little texture to align by"
        found = self._best.get(number)
        if found is None or found.good:
            return "does not match most of the frames"
        return reason(found, "the frames near it")

    def _link(self, other: int, number: int, found: Found) -> Link:
        self._linked.add(frozenset((other, number)))
        return Link(other, number, found.move, 1 / found.error**2)
