"""Frozen dataclasses to JSON and back, so that formats can grow.

A field that a release adds has a default and names that release:
`field(default=…, metadata=since("0.2.0"))`. At its default such a field is not written, so that files,
fingerprints and hashes of older releases stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.errors import MfsynthError

T = TypeVar("T")

_SINCE = "since"
_LONGEST = 300


def decode(text: bytes, kind: type[T], what: str, *, error: type[MfsynthError], hint: str = "") -> T:
    """JSON as a dataclass, a struct or plain values, whatever is wrong with the text.

    Args:
        text: UTF-8.
        kind: What to make of it, such as a dataclass or `dict[str, Any]`.
        what: Which document, for errors.
        error: What is raised.
        hint: What to do about a broken document.

    Raises:
        MfsynthError: Of the kind `error`: the text is not JSON, is nested too deeply, or is not of that kind.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as broken:
        raise error(f"{what} is malformed: {_brief(broken)}", hint) from broken
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise error(f"{what} is not JSON: {_brief(broken)}", hint) from broken
    except RecursionError as broken:
        raise error(f"{what} is nested too deeply", hint) from broken


def since(release: str) -> dict[str, str]:
    """A dataclass field's metadata: the release that added it."""
    return {_SINCE: release}


def to_json(value: Any) -> dict[str, Any]:
    """A dataclass as JSON's own types, without fields of later releases that are at their default.

    The same holds for dataclasses inside it.
    """
    plain: dict[str, Any] = json.loads(json.dumps(_plain(value)))
    return plain


def encode(value: Any) -> bytes:
    """A dataclass as one line of JSON, without fields of later releases that are at their default."""
    kind: type = type(value)
    if not _has_grown(kind):
        return msgspec.json.encode(value)  # recipes are many
    return msgspec.json.encode(_plain(value))


def from_json(
    values: Mapping[str, Any], kind: type[T], what: str, *, error: type[MfsynthError], release: str = ""
) -> T:
    """A dataclass from JSON's own types; fields that are absent take their defaults.

    Args:
        values: By field.
        kind: The dataclass; fields may be dataclasses, too.
        what: What the values are, for errors, in the plural, such as "the build options".
        error: What is raised.
        release: The release that wrote the values, if known.

    Raises:
        MfsynthError: Of the kind `error`: a field is unknown, missing without a default, or of a wrong type.
    """
    check_fields(values, kind, what, error=error, release=release)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as malformed:
        raise error(f"{what} are malformed: {_brief(malformed)}") from malformed


def check_fields(
    values: object, kind: type, what: str, *, error: type[MfsynthError], release: str = ""
) -> None:
    """Check that JSON's own types have no fields that a dataclass, or one inside it, lacks.

    msgspec ignores such fields, but the release that added them would give other results.

    Args:
        values: As decoded.
        kind: The dataclass.
        what: What the values are, for errors.
        error: What is raised.
        release: The release that wrote the values, if known.

    Raises:
        MfsynthError: Of the kind `error`, naming the fields.
    """
    unknown = sorted(set(_unknown(values, inspect.type_info(kind))))
    if unknown:
        writer = f"written by mfsynth {release}: " if release else ""
        raise error(f"unknown fields in {what}: {', '.join(map(_shown, unknown))}", f"{writer}update mfsynth")


def _brief(error: Exception) -> str:
    """What is wrong, on one short line: the text of an error may quote the document."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def _shown(name: str) -> str:
    """A field's name in a message: short, and on one line."""
    return name[:80] if name.isprintable() else f"{name[:80]!r}"


def defaults(kind: type) -> dict[str, Any]:
    """The defaults of a dataclass's fields, by name, as JSON's own types; fields without one are omitted."""
    found = {each.name: _default(each) for each in fields(kind)}
    plain: dict[str, Any] = json.loads(
        json.dumps({name: _plain(value) for name, value in found.items() if value is not MISSING})
    )
    return plain


def _default(each: Any) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


@cache
def _has_grown(kind: type) -> bool:
    """Whether a dataclass, or one inside it, has fields of later releases."""
    return any(
        _SINCE in each.metadata for inner in _dataclasses(inspect.type_info(kind)) for each in fields(inner)
    )


def _dataclasses(kind: inspect.Type) -> Iterator[type]:
    if isinstance(kind, inspect.DataclassType):
        yield kind.cls
        for each in kind.fields:
            yield from _dataclasses(each.type)
    elif isinstance(kind, inspect.VarTupleType):
        yield from _dataclasses(kind.item_type)
    elif isinstance(kind, inspect.UnionType):
        for kind_of_it in kind.types:
            yield from _dataclasses(kind_of_it)


def _unknown(values: object, kind: inspect.Type, path: str = "") -> Iterator[str]:
    if isinstance(kind, inspect.DataclassType) and isinstance(values, Mapping):
        known = {each.name: each.type for each in kind.fields}
        for name, value in values.items():
            if name in known:
                yield from _unknown(value, known[name], f"{path}{name}.")
            else:
                yield f"{path}{name}"
    elif isinstance(kind, inspect.VarTupleType) and isinstance(values, list):
        for value in values:
            yield from _unknown(value, kind.item_type, path)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _unknown(values, each, path)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {
            each.name: _plain(getattr(value, each.name)) for each in fields(value) if _is_written(value, each)
        }
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _is_written(value: Any, each: Any) -> bool:
    if _SINCE not in each.metadata:
        return True
    return bool(getattr(value, each.name) != _default(each))
