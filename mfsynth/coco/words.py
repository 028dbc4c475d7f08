"""Values of annotations as people write them: numbers read where they are unambiguous, the rest quoted."""

from __future__ import annotations

import json
import re
from typing import Any

_DIGITS = re.compile(r"\s*[+-]?\d{1,19}(\.0*)?\s*", re.ASCII)
_SHOWN = 40


class OddRecord(ValueError):  # noqa: N818 - a fact about a record, which the caller puts into words of its own
    """A record of the annotations does not say what it should; the message says what it does say."""


def whole(value: object) -> int | None:
    """A whole number, also where it is written as 96.0 or "96"; None for anything else.

    >>> [whole(value) for value in (96, 96.0, "96", 96.5, True, None)]
    [96, 96, 96, None, None, None]
    """
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _DIGITS.fullmatch(value) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def quoted(value: Any) -> str:
    """A value as JSON, at most about forty characters of it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
