"""Frozen dataclasses to JSON and back, so that formats can grow.

A field that a release adds has a default and says since when it exists:
`field(default=…, metadata=since("0.2.0"))`. At its default such a field is not written, so that files,
fingerprints and hashes of older releases stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from mfsynth.errors import MfsynthError

T = TypeVar("T")

_SINCE = "since"


def since(release: str) -> dict[str, str]:
    """A dataclass field's metadata: the release that added it."""
    return {_SINCE: release}


def to_json(value: Any) -> dict[str, Any]:
    """A dataclass as JSON's own types, without fields of later releases that are at their default."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(value)))
    for each in fields(value):
        if _SINCE in each.metadata and getattr(value, each.name) == _default(each):
            del plain[each.name]
    return plain


def from_json(
    values: Mapping[str, Any], kind: type[T], what: str, *, error: type[MfsynthError], release: str = ""
) -> T:
    """A dataclass from JSON's own types; fields that are absent take their defaults.

    Args:
        values: By field.
        kind: The dataclass.
        what: What the values are, for errors, such as "the build options".
        error: What is raised.
        release: The release that wrote the values, if known.

    Raises:
        MfsynthError: Of the kind `error`: a field is unknown, missing without a default, or of a wrong type.
    """
    unknown = sorted(set(values) - {each.name for each in fields(kind)})  # type: ignore[arg-type]
    if unknown:
        writer = f"they were written by mfsynth {release}: " if release else ""
        raise error(f"{what} have unknown fields: {', '.join(unknown)}", f"{writer}update mfsynth")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as malformed:
        raise error(f"{what} are malformed: {malformed}") from malformed


def _default(each: Any) -> Any:
    return each.default if each.default is not MISSING else each.default_factory()
