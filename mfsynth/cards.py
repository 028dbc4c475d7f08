"""Templates of the cards that the Hub shows: cards/ of the checkout, packed into the wheel."""

from __future__ import annotations

from pathlib import Path

_PACKED = Path(__file__).parent / "cards"
_CHECKOUT = Path(__file__).parents[1] / "cards"


def template(name: str) -> str:
    """A template's text, by its file name.

    >>> "card_data" in template("model.md")
    True
    """
    folder = _PACKED if _PACKED.is_dir() else _CHECKOUT
    return (folder / name).read_text("utf-8")
