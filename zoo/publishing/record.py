"""What cards and `zoo.info` read from training.json, and how foreign text is made fit for a card."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mfsynth import schema
from zoo.errors import ZooError

_Text = Annotated[str, Meta(max_length=10_000)]
_Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Amount = Annotated[float, Meta(ge=0)]
_HINT = "remove it, or train again"
_OURS = {"options", "data", "steps"}
_MARKUP = re.compile(r"([\\`|\[\]])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class _Options(msgspec.Struct):
    pairs: _Count
    crop: _Count
    reversals: bool
    optimizer: _Text
    lr: _Amount
    schedule: _Text
    loss: _Text
    precision: _Text
    noise: tuple[_Amount, _Amount]
    frames: tuple[_Count, _Count] = (2, 2)
    unequal: _Amount = 0.0
    unbalanced: _Amount = 0.0
    ema: _Amount = 0.0
    steps: _Count = 0
    model: dict[str, Any] | None = None


class _Source(msgspec.Struct):
    source: _Text
    weight: _Amount
    images: _Count | None = None
    samples: _Count | None = None
    options: _Text = ""
    ids: _Text = ""
    shards: _Text = ""


class _Begun(msgspec.Struct):
    """Of the weights that a training began with; they may come without any record."""

    sha256: _Text = ""
    command: _Text = ""
    steps: _Count = 0
    seconds: _Amount = 0.0
    begun: _Begun | None = None


class _Training(msgspec.Struct):
    """Unknown fields are ignored on purpose: other programs may write this file; nothing depends on it."""

    options: _Options
    data: tuple[_Source, ...]
    steps: _Count
    seconds: _Amount
    device: _Text
    command: _Text = ""
    begun: _Begun | None = None


def read_training(text: bytes | None) -> dict[str, Any]:
    """What training.json says; empty if there is none, or if `mfsynth train` did not write it.

    Raises:
        ZooError: If it is malformed.
    """
    if text is None:
        return {}
    values = schema.decode(text, dict[str, Any], "training.json", error=ZooError, hint=_HINT)
    if not values.keys() >= _OURS:
        return {}
    try:
        msgspec.convert(values, _Training)
    except msgspec.ValidationError as malformed:
        raise ZooError(f"training.json is malformed: {malformed}", _HINT) from malformed
    return values


def trainings(training: dict[str, Any]) -> list[dict[str, Any]]:
    """A training and those before it, back to weights drawn at random, the last one first.

    Each has `steps`, `seconds` and `command` as far as they are recorded.
    """
    found = []
    last: dict[str, Any] | None = training or None
    while last:
        found.append(last)
        last = last.get("begun")
    return found


def plain(text: str) -> str:
    """Foreign text that shows as it is in a card: on one line, without Markdown's and HTML's signs.

    >>> plain("a|b <img src=x>")
    'a\\\\|b &lt;img src=x&gt;'
    """
    return _MARKUP.sub(r"\\\1", "".join(_ENTITIES.get(each, each) for each in one_line(text)))


def plain_in(values: Any) -> Any:
    """JSON's own types with all text made plain."""
    if isinstance(values, dict):
        return {name: plain_in(each) for name, each in values.items()}
    if isinstance(values, list):
        return [plain_in(each) for each in values]
    return plain(values) if isinstance(values, str) else values


def code(text: str) -> str:
    """Foreign text for a block of code: one line, which cannot end the block."""
    return one_line(text).replace("`", "'")


def one_line(text: str) -> str:
    """Foreign text without line breaks and whatever else moves a terminal's cursor."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
