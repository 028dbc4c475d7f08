"""What a check of a data set found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mfsynth.console import count

TOLERATED_SHARE = 1e-5
"""Share of a frame's values that may differ by one gray level on another kind of processor.

The same share of a map's pixels may differ, by any amount: they are chosen by comparing the frames' errors.
"""
_TOUCHED = 9
"""Blocks of 16 x 16 pixels that a JPEG changes at most where one value before it differs: colors are stored
for 16 x 16 pixels and smoothed a little beyond them, and the picture need not begin with a whole block."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a data set: in which shard, and what."""

    shard: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is rendered again: values compared, values that differ, and by how many gray levels at most."""

    values: int = 0
    differing: int = 0
    largest: int = 0

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(
            self.values + other.values,
            self.differing + other.differing,
            max(self.largest, other.largest),
        )

    @property
    def tolerable(self) -> bool:
        """Whether frames differ within what float rounding explains."""
        return self.largest <= 1 and self.few(self.differing)

    def few(self, differing: int) -> bool:
        """Whether so many differing values are few among those compared; one always is."""
        return differing <= max(1, TOLERATED_SHARE * self.values)

    def few_blocks(self, differing: int) -> bool:
        """Whether so many differing blocks of JPEGs follow from a few differing values before them."""
        return self.few(-(-differing // _TOUCHED))


@dataclass(frozen=True)
class Verification:
    """What a check of a whole data set found; `print` shows it as lines.

    Attributes:
        location: The data set's folder.
        shards: Number of shards.
        samples: In all shards.
        seed: The seed that chose the samples that were rendered again.
        rendered: How many samples were rendered again.
        comparison: Of the frames that were rendered with those stored.
        targets: Of the maps `nearest` and `certain`, which sets of recipes of format 2 have.
        problems: What is wrong; empty for a data set that is whole.
        repaired: What was wrong with shards that were then made again.
        empty_shards: Shards without samples, which 0.1.0 wrote where no picture could be used.
    """

    location: str
    shards: int
    samples: int
    seed: int
    rendered: int
    comparison: Comparison
    targets: Comparison = field(default_factory=Comparison)
    problems: tuple[Problem, ...] = field(default_factory=tuple)
    repaired: tuple[Problem, ...] = field(default_factory=tuple)
    empty_shards: tuple[str, ...] = ()

    @property
    def bad_shards(self) -> tuple[str, ...]:
        """Names of the shards with problems."""
        return tuple(dict.fromkeys(problem.shard for problem in self.problems if problem.shard))

    def after(self, before: Verification) -> Verification:
        """This result, with what an earlier one found in the shards that were made again in between."""
        return replace(self, repaired=tuple(problem for problem in before.problems if problem.shard))

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self) | {"ok": self.ok}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def problem_lines(self) -> list[str]:
        """The problems in words, one per line."""
        return [f"{problem.shard} {problem.text}".strip() for problem in self.problems]

    def lines(self) -> list[str]:
        """In words."""
        if self.problems:
            advice = "`mfsynth verify --repair` rebuilds the bad shards" if self.bad_shards else ""
            problems = count(len(self.problems), "problem")
            return [*self.problem_lines(), f"{self.location}: {problems}. {advice}".strip()]
        compared = self.comparison
        again = f"all drawn again, {self.rendered:,} rendered again (--seed {self.seed})"
        if compared.values:
            again += f": {compared.differing:,} of {count(compared.values, 'value')} differ"
            again += f", by up to {compared.largest}" if compared.differing else ""
        if self.targets.values:
            again += (
                f", and {self.targets.differing:,} of {count(self.targets.values, 'pixel')} of the targets"
            )
        amount = f"{count(self.samples, 'sample')} in {count(self.shards, 'shard')}"
        return [f"{self.location} is intact: {amount}, {again}", *self._empty_lines()]

    def _empty_lines(self) -> list[str]:
        if not self.empty_shards:
            return []
        hold = "holds" if len(self.empty_shards) == 1 else "hold"
        return [
            f"{', '.join(self.empty_shards)} {hold} no samples, which other readers and `mfsynth publish` "
            "refuse: build it again"
        ]
