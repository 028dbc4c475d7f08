"""The paper's printed values, to compare with. The numbers are in paper.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

Table = Literal["synthetic", "lytro"]
Printed = dict[str, dict[str, tuple[float, float]]]
"""Mean and sample standard deviation by method and measure."""


class _Paper(msgspec.Struct, frozen=True):
    synthetic: Printed
    lytro: Printed
    seconds: dict[str, dict[int, float]]


@cache
def _paper() -> _Paper:
    text = Path(__file__).with_name("paper.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Paper, strict=False)


def printed(kind: str) -> Printed:
    """What the paper prints for data of a kind: Table II for `lytro`, Table I for `shards`, else nothing.

    Table I's hundred pairs were drawn as ours are, but are different ones.

    >>> printed("lytro")["gff"]["q_mi"]
    (1.0932, 0.1209)
    """
    tables = {"lytro": _paper().lytro, "shards": _paper().synthetic}
    return tables.get(kind, {})


def seconds() -> dict[str, dict[int, float]]:
    """Table III: seconds per pair, by method and the side of the square pictures."""
    return _paper().seconds
