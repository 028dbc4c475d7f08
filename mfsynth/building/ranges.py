"""Ranges of shards: what one job of an array makes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

from mfsynth.errors import OptionsError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEXT = re.compile(r"(\d{1,12}):(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardRange:
    """The shards from `first` (included) to `stop` (excluded).

    Raises:
        OptionsError: If there are none.
    """

    first: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.stop:
            raise OptionsError(
                f"--shard-range {self} has no shards", "A:B is from A (included) to B (excluded), from 0"
            )

    def __str__(self) -> str:
        return f"{self.first}:{self.stop}"

    @staticmethod
    def of(pair: tuple[int, int]) -> ShardRange:
        """The range that two numbers give.

        Raises:
            OptionsError: If they are not two whole numbers, or give none.
        """
        try:
            first, stop = map(index, pair)
        except (TypeError, ValueError):
            raise OptionsError(f"shard_range is {pair!r}, it must be two whole numbers") from None
        return ShardRange(first, stop)

    @staticmethod
    def parse(text: str) -> ShardRange:
        """The range that "A:B" names.

        >>> ShardRange.parse("4:8")
        ShardRange(first=4, stop=8)

        Raises:
            OptionsError: If the text names none.
        """
        match = _TEXT.fullmatch(text)
        if not match:
            raise OptionsError(f"--shard-range is {text!r}, it must be A:B, such as 0:16")
        return ShardRange(int(match[1]), int(match[2]))

    @property
    def numbers(self) -> range:
        """The shards' numbers."""
        return range(self.first, self.stop)

    def overlaps(self, other: ShardRange) -> bool:
        """Whether some shard is in both."""
        return self.first < other.stop and other.first < self.stop


def ranges_of(numbers: Iterable[int]) -> list[ShardRange]:
    """The fewest ranges that hold these ascending numbers and no others.

    >>> [str(each) for each in ranges_of([0, 1, 2, 7])]
    ['0:3', '7:8']
    """
    found: list[ShardRange] = []
    for number in numbers:
        if found and found[-1].stop == number:
            found[-1] = ShardRange(found[-1].first, number + 1)
        else:
            found.append(ShardRange(number, number + 1))
    return found
