"""Order and chance: random streams by name, permutations, and sharing among readers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from operator import index
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol, overload

from mfsynth.errors import OptionsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Even = Literal["pad", "drop"] | None
"""What the ranks of a training do with samples that they cannot share evenly."""


class RandomWords(Protocol):
    """What gives random words of 64 bits, one after the other, as NumPy's bit generators do."""

    @overload
    def random_raw(self) -> int: ...
    @overload
    def random_raw(self, size: int) -> NDArray[np.uint64]: ...


def stream_key(*words: object) -> bytes:
    """The key, little-endian, of the random stream named by some words: the start of their SHA-256.

    The words are joined by spaces.
    """
    return hashlib.sha256(" ".join(map(str, words)).encode()).digest()[:16]


def philox(*words: object) -> np.random.Philox:
    """The random stream named by some words, the same on every machine, as a bit generator."""
    import numpy as np

    return np.random.Philox(key=int.from_bytes(stream_key(*words), "little"))


def uniform(words: RandomWords) -> float:
    """A value from 0 to below 1, from the upper 53 bits of the next word."""
    value: float = (words.random_raw() >> 11) * 2.0**-53
    return value


def uniform_between(words: RandomWords, bounds: tuple[float, float]) -> float:
    """A value between two bounds, from the next word."""
    low, high = bounds
    return low + (high - low) * uniform(words)


@lru_cache(maxsize=8)
def permutation(count: int, purpose: str, *numbers: int) -> NDArray[np.int64]:
    """The numbers from 0 to `count` - 1 in an order fixed by purpose and numbers, on every machine.

    The array is shared and must not be written to.
    """
    import numpy as np

    words = philox("mfsynth 1", purpose, *numbers).random_raw(count)
    order = np.argsort(words, kind="stable")
    order.flags.writeable = False
    return order


def some_of(total: int, count: int, purpose: str, seed: int) -> list[int]:
    """Some of the numbers from 0 to `total` - 1, ascending, fixed by purpose and seed, or all of them.

    It takes memory for those only: what a file says of its own size may not be true.
    """
    return sorted(Random(f"mfsynth 1 {purpose} {seed}").sample(range(total), min(count, total)))


def share(total: int, reader: int, readers: int) -> tuple[int, int]:
    """The part of a range that one of several readers takes; their lengths differ by at most one.

    >>> [share(10, reader, 3) for reader in range(3)]
    [(0, 3), (3, 6), (6, 10)]
    """
    return total * reader // readers, total * (reader + 1) // readers


def whole_number(name: str, value: int) -> int:
    """The value as an int, if it is a whole number, 0 or more.

    Raises:
        OptionsError: If it is not.
    """
    try:
        number = index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise OptionsError(f"{name} is {value!r}, it must be a whole number, 0 or more")
    return number
