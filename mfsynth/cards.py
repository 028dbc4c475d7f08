"""Templates of the cards that the Hub shows: the checkout's cards/, which is packed into the wheel."""

from __future__ import annotations

from pathlib import Path

_PACKED = Path(__file__).parent / "cards"
_CHECKOUT = Path(__file__).parents[1] / "cards"


def template(name: str) -> str:
    """The text of a template, by its file name.

    >>> "card_data" in template("model.md")
    True
    """
    folder = _PACKED if _PACKED.is_dir() else _CHECKOUT
    return (folder / name).read_text("utf-8")
