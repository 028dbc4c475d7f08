"""Which loose files belong together, by their names only."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NUMBERED = re.compile(r"(?P<stack>.*?)[-_ .]*(?:\((?P<bracketed>\d+)\)|(?P<plain>\d+))")
_LETTERED = re.compile(r"(?P<stack>.+?)(?:[-_ .]+|(?<=\d))(?P<letter>[A-Za-z])")
_CAMERA = re.compile(
    r"""
    [-_\d]+                                                   # only numbers: 0001, 100_0001, 20260131_120000
    | _?(?:IMG|MG|DSC[NF]?|[CKS]?IMG|DJI|GOPR|G[HX]|MVIMG|PXL|PANO|PICT|SAM|SDIM|WP|BURST)[-_]?E?\d{4,}[-_\d]*
    | [A-Z]\d{7}                                              # P1010001, R0010001, L1000001
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Loose files, each in exactly one place.

    Attributes:
        stacks: Two or more frames each, by the stack's name, in the order of their numbers.
        cameras: Files with names that a camera gives, or only numbers, which do not tell scenes apart.
        single: All others: nothing at the end of the name says that there are more.
    """

    stacks: dict[str, tuple[Path, ...]]
    cameras: tuple[Path, ...]
    single: tuple[Path, ...]


def grouped(paths: Iterable[Path]) -> Grouped:
    """Group files whose names differ only in a number or a single letter at the end.

    A number may follow anything: `bee-1`, `bee_02`, `bee3`, `bee (4)`. A letter must follow a separator
    (hyphen, underscore, space, dot) or a digit: `leaf-A`, `moss12b`, but not `near` or `far`.
    """
    named: dict[str, list[tuple[int, str, Path]]] = defaultdict(list)
    cameras, single = [], []
    for path in sorted(paths, key=as_counted):
        if _CAMERA.fullmatch(path.stem):
            cameras.append(path)
        elif (label := _label(path.stem)) is None:
            single.append(path)
        else:
            stack, number, letter = label
            named[stack].append((number, letter, path))
    stacks = {}
    for stack, frames in named.items():
        in_order = tuple(path for _, _, path in sorted(frames, key=lambda frame: frame[:2]))
        if len(in_order) > 1:
            stacks[stack] = in_order
        else:
            single += in_order
    return Grouped(stacks, tuple(cameras), tuple(sorted(single, key=as_counted)))


def as_counted(path: Path) -> list[tuple[int, str]]:
    """A sort key that orders numbers in names by value: 2 before 10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"(\d+)", path.name)]


def _label(stem: str) -> tuple[str, int, str] | None:
    """The stack that a name belongs to, and its number or letter there; None if it has neither."""
    if match := _NUMBERED.fullmatch(stem):
        number = int(match["bracketed"] or match["plain"])
        return (match["stack"], number, "") if match["stack"] else None
    if match := _LETTERED.fullmatch(stem):
        return match["stack"], -1, match["letter"].lower()
    return None
