"""What a build made, in words: images left out, each reason with an example, and what was noted of others."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mfsynth.coco import exclusions, notes
from mfsynth.console import count, some
from mfsynth.shards.layout import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mfsynth.building.parts import Exclusion
    from mfsynth.coco.annotations.entries import Fault

STRICT_HINT = "--strict is on: fix it, or build without --strict"
"""The remedy for what only a strict build refuses."""
_SHOWN = 10


@dataclass(frozen=True)
class BuildReport:
    """What a build made; `print` shows it as lines.

    Attributes:
        out: The data set's folder.
        samples: In all shards.
        shards: Number of shards.
        made: Shards that this build made.
        kept: Shards that were already there.
        bytes: Size of all shards.
        seconds: How long the build took.
        left_out: Ids of the images left out, by reason.
        skipped: Number of records in the annotations that were skipped, by reason; no image is lost by it.
        closed: Shards that were asked for and not made, since none of their images can be used.
        finished: Whether the data set was already there, so that there was nothing to do.
        noted: Ids of images that are used, but not quite as they are, by a code from `mfsynth.coco.notes`.
        examples: What is wrong with the first image left out, or record skipped, by reason, if it is known.
        shard_range: First shard and the one after the last, if this is about a part of a data set.
        merged: Whether parts were merged.
    """

    out: Path | str
    samples: int
    shards: int
    made: int
    kept: int
    bytes: int
    seconds: float
    left_out: dict[str, tuple[int, ...]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    finished: bool = False
    noted: dict[str, tuple[int, ...]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    shard_range: tuple[int, int] | None = None
    merged: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        left_out = {reason: list(ids) for reason, ids in self.left_out.items()}
        noted = {code: list(ids) for code, ids in self.noted.items()}
        return asdict(self) | {"out": os.fspath(self.out), "left_out": left_out, "noted": noted}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """In words: what was made, where, how fast, and what was left out."""
        amount = f"{count(self.samples, 'sample')} in {count(self.shards, 'shard')}"
        what = f"{amount}, {self.bytes / 1e6:.1f} MB, in {self.out}"
        if self.finished:
            sealed = "already sealed: " if self.merged else ""
            told = "their sizes are right, `mfsynth verify` compares content"
            lines = [f"nothing to do: {sealed}{what}; {told}"]
        elif self.merged:
            lines = [f"merged {what}; {self.seconds:.1f} s"]
        else:
            speed = f", {_rate(self.samples / self.seconds)} samples/s" if not self.kept else ""
            kept = f"; {count(self.kept, 'shard')} kept from before" if self.kept else ""
            lines = [f"made {self._part}{what}; {self.seconds:.1f} s{speed}{kept}"]
        lines += loss_lines(self.left_out, self.skipped, self.examples)
        lines += notes.lines(self.noted)
        if self.closed:
            asked = count(self.shards + self.closed, "shard")
            lines.append(f"{asked} requested, {self.shards:,} made: no image of the others can be used")
        if self.shard_range:
            lines.append("when all parts are made, `mfsynth merge` seals the data set")
        return lines

    @property
    def _part(self) -> str:
        return "part {}:{}: ".format(*self.shard_range) if self.shard_range else ""


def _rate(rate: float) -> str:
    """Samples a second: 0 would be wrong for a slow build."""
    return f"{rate:.0f}" if rate >= 1 else f"{rate:.1g}"


def by_reason(planned: Mapping[str, Sequence[int]], found: Iterable[Exclusion]) -> dict[str, tuple[int, ...]]:
    """Ids of the images left out, by reason: those planned without, and those found unusable."""
    ids = defaultdict(list, {reason: list(ids) for reason, ids in planned.items()})
    for each in found:
        ids[each.reason].append(each.image_id)
    return {reason: tuple(sorted(ids[reason])) for reason in sorted(ids)}


def examples(
    left_out: Mapping[str, Sequence[int]], found: Iterable[Exclusion], faults: Sequence[Fault]
) -> dict[str, str]:
    """What is wrong with the first image left out, or record skipped, by reason."""
    firsts = {reason: ids[0] for reason, ids in left_out.items()}
    told = {each.reason: str(each) for each in found if firsts.get(each.reason) == each.image_id}
    return told | {fault.reason: fault.detail for fault in reversed(faults)}


def loss_lines(
    left_out: Mapping[str, Sequence[int]],
    skipped: Mapping[str, int],
    examples: Mapping[str, str],
    *,
    expected: bool = False,
) -> Iterator[str]:
    """Which images are left out, and how many records skipped, by reason, each with an example.

    Args:
        left_out: Ids of the images, by reason.
        skipped: Number of records, by reason.
        examples: What is wrong with the first of each, by reason.
        expected: Whether nothing has been made yet.
    """
    leave, skip = ("would leave out", "would skip") if expected else ("left out", "skipped")
    for reason, ids in left_out.items():
        listed = f", listed in {MANIFEST}" if len(ids) > _SHOWN and not expected else ""
        yield f"{leave} {len(ids):,}: {reason} ({exclusions.MEANING[reason]}): {some(ids, _SHOWN)}{listed}"
        yield from _example(reason, examples)
    for reason, number in skipped.items():
        records = f"{count(number, 'record')} of the annotations"
        yield f"{skip} {records}: {reason} ({exclusions.MEANING[reason]})"
        yield from _example(reason, examples)


def _example(reason: str, examples: Mapping[str, str]) -> Iterator[str]:
    if reason in examples:
        yield f"  {examples[reason]}"
