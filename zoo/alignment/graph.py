"""The places of many frames from registrations between pairs of them: a small least-squares problem.

A similarity is z -> a z + b in complex numbers. That frame j lies by (m, t) relative to frame i then means
a_j = m a_i and b_j = m b_i + t: linear in what is not known, so that no iteration is needed but for weights.
Weights follow Huber (Robust Estimation of a Location Parameter, 1964), by which a false pair pulls no harder
than others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.alignment.similarity import IDENTITY, Similarity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Complex = NDArray[np.complex128]

_HUBER = 0.05
"""Pairs that disagree by more than this many pixels at a corner count less."""

_ITERATIONS = 50
_CONVERGED = 1e-4


@dataclass(frozen=True, slots=True)
class Link:
    """A registration of two frames of a stack.

    Args:
        first: A frame's number.
        second: Another's.
        move: Where the second lies relative to the first.
        weight: How much it counts; positive.
    """

    first: int
    second: int
    move: Similarity
    weight: float = 1.0


def connected(links: Iterable[Link], numbers: Iterable[int]) -> list[list[int]]:
    """Groups of frames that links join, the largest first; of equal ones, that with the lowest number."""
    groups = {number: [number] for number in numbers}
    for link in links:
        one, other = groups[link.first], groups[link.second]
        if one is not other:
            one.extend(other)
            groups.update(dict.fromkeys(other, one))
    distinct = {id(group): sorted(group) for group in groups.values()}
    return sorted(distinct.values(), key=lambda group: (-len(group), group[0]))


def chained(links: Iterable[Link], reference: int) -> dict[int, Similarity]:
    """Where the frames that are joined to a reference lie relative to it, by the first links there."""
    poses = {reference: IDENTITY}
    waiting = list(links)
    while ready := [link for link in waiting if link.first in poses or link.second in poses]:
        for link in ready:
            if link.second not in poses:
                poses[link.second] = link.move.after(poses[link.first])
            elif link.first not in poses:
                poses[link.first] = IDENTITY.relative_to(link.move).after(poses[link.second])
        waiting = [link for link in waiting if link not in ready]
    return poses


def solved(links: Sequence[Link], reference: int, height: int, width: int) -> dict[int, Similarity]:
    """Where every frame lies relative to one of them, to agree best with all links.

    Args:
        links: Between frames that they join to the reference, directly or not.
        reference: The number of the frame that the others are relative to.
        height: Of the frames, in pixels.
        width: Of the frames, in pixels.
    """
    if not links:
        return {reference: IDENTITY}
    center = complex((width - 1) / 2, (height - 1) / 2)
    radius = abs(center)
    numbers = sorted({number for link in links for number in (link.first, link.second)} - {reference})
    columns = {number: column for column, number in enumerate(numbers)}
    linear, shift = np.array([_about(link.move, center) for link in links]).T
    rows = np.zeros((len(links), len(numbers)), np.complex128)
    goals = np.stack([np.zeros_like(shift), shift], axis=1)
    for row, link in enumerate(links):
        for number, factor in ((link.second, 1), (link.first, -linear[row])):
            if number == reference:
                goals[row, 0] -= factor  # the reference's own a is 1 and its b is 0
            else:
                rows[row, columns[number]] += factor
    solution = _robust(rows, goals, np.array([link.weight for link in links]), radius)
    poses = {number: _from(solution[columns[number]], center) for number in numbers}
    return poses | {reference: IDENTITY}


def _robust(rows: Complex, goals: Complex, prior: NDArray[np.float64], radius: float) -> Complex:
    """Iteratively reweighted least squares."""
    weights, before = prior, np.zeros((rows.shape[1], 2), np.complex128)
    for _ in range(_ITERATIONS):
        weighted = rows.conj().T * weights
        solution = np.asarray(np.linalg.solve(weighted @ rows, weighted @ goals), np.complex128)
        if _pixels(solution - before, radius).max() < _CONVERGED:
            break
        far = _pixels(rows @ solution - goals, radius)
        weights, before = prior * np.minimum(1, _HUBER / np.maximum(far, 1e-9)), solution
    return solution


def _pixels(difference: Complex, radius: float) -> NDArray[np.float64]:
    return np.asarray(radius * np.abs(difference[:, 0]) + np.abs(difference[:, 1]), np.float64)


def _about(move: Similarity, center: complex) -> tuple[complex, complex]:
    """The move in complex numbers, with both frames' centers as their origins."""
    (cos, _, dx), (sin, _, dy) = move.matrix
    linear = complex(cos, sin)
    return linear, complex(dx, dy) + (linear - 1) * center


def _from(pose: Complex, center: complex) -> Similarity:
    linear, shift = pose
    moved = shift - (linear - 1) * center
    angle = math.degrees(math.atan2(linear.imag, linear.real))
    return Similarity(float(abs(linear)), angle, float(moved.real), float(moved.imag))
