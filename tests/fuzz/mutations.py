"""Ways to spoil a file: any bytes; JSON, value by value; PNG with its checksums made right again."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_EDITS = ("bit", "bit", "byte", "zeros", "cut", "remove", "repeat", "insert", "number")
_RUN = 512
_DEPTH = 100_000

DEEP = b"[" * _DEPTH
"""In every document that is nested too deeply."""

Path = tuple[Any, ...]


@st.composite
def spoiled_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after one to three edits."""
    for _ in range(draw(st.integers(1, 3))):
        if data:
            data = draw(_edit(data))
    return data


@st.composite
def _edit(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data) - 1))
    end = min(len(data), at + draw(st.integers(1, _RUN)))
    kind = draw(
        st.sampled_from(["bit", "bit", "byte", "zeros", "cut", "remove", "repeat", "insert", "number"])
    )
    if kind == "bit":
        return data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    if kind == "byte":
        return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    if kind == "zeros":
        return data[:at] + bytes(end - at) + data[end:]
    if kind == "cut":
        return data[:at]
    if kind == "remove":
        return data[:at] + data[end:]
    if kind == "repeat":
        return data[:end] + data[at:end] + data[end:]
    if kind == "insert":
        return data[:at] + draw(st.binary(min_size=1, max_size=16)) + data[at:]
    order = draw(st.sampled_from([">", "<"]))
    return data[:at] + struct.pack(order + "I", draw(st.sampled_from(_NUMBERS))) + data[at + 4 :]


# --- JSON ---------------------------------------------------------------------------------------------


class Raw(str):
    """A text that is written into JSON as it is."""

    __slots__ = ()


STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 255, 10**12, 2**31, 2**53 + 1, 2**63, 2**70, 0.5, -0.0, 1e308,
    "", "x", "0", "../../x", "/etc/passwd", "a\\b", "a\0b", "\x1b]0;x\x07", "\u202e", "x" * 5000,
    [], {}, [[]], [None], {"": None}, [0] * 5000,
    Raw("NaN"), Raw("1e999"), Raw("10" * 200), Raw('"\\ud800"'), Raw("[" * _DEPTH + "]" * _DEPTH),
    Raw("[" * _DEPTH + '{"a":' * _DEPTH + "1" + "}" * _DEPTH + "]" * _DEPTH),
)  # fmt: skip
"""Values that a program does not expect."""


@st.composite
def spoiled_document(draw: st.DrawFn, data: bytes) -> tuple[bytes, Path]:
    """A JSON document, most often with one value spoiled; the place of that value, empty for any bytes."""
    if draw(st.integers(0, 3)):
        return draw(_spoiled_value(json.loads(data)))
    return draw(spoiled_bytes(data)), ()


@st.composite
def _spoiled_value(draw: st.DrawFn, document: Any) -> tuple[bytes, Path]:
    """A document with one value replaced, removed, renamed or doubled; and the place of that value."""
    part = draw(st.sampled_from(sorted(document)))
    place = draw(st.sampled_from([(part,), *places(document[part], (part,))]))
    parent = at(document, place[:-1])
    kind = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "double", "number"]))
    if kind == "number" and isinstance(parent[place[-1]], int):
        return _written(document, place, draw(st.integers(-3, 2**65))), place
    if kind in ("replace", "number"):
        return _written(document, place, draw(st.sampled_from(STRANGE))), place
    copy = json.loads(json.dumps(document))
    parent = at(copy, place[:-1])
    value = parent[place[-1]]
    if isinstance(parent, list):
        parent[place[-1] : place[-1] + 1] = [] if kind == "remove" else [value, value]
    else:
        del parent[place[-1]]
        if kind != "remove":
            parent[f"{place[-1]}x"] = value
    return json.dumps(copy).encode(), place


def places(value: Any, before: Path = ()) -> Iterator[Path]:
    """The place of every value inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*before, name)
        yield from places(each, (*before, name))


def at(document: Any, place: Path) -> Any:
    """The value at a place."""
    for name in place:
        document = document[name]
    return document


def _written(document: Any, place: Path, value: Any) -> bytes:
    """The document's JSON, with another value at a place."""
    parent = at(document, place[:-1])
    kept = parent[place[-1]]
    parent[place[-1]] = "\0here" if isinstance(value, Raw) else value
    text = json.dumps(document)
    parent[place[-1]] = kept
    return text.replace('"\\u0000here"', value).encode() if isinstance(value, Raw) else text.encode()


# --- PNG ----------------------------------------------------------------------------------------------


@st.composite
def resealed_png(draw: st.DrawFn, data: bytes) -> bytes:
    """A PNG with one chunk's content edited and all checksums right: what a hostile program writes."""
    chunks = list(_chunks(data))
    number = draw(st.integers(0, len(chunks) - 1))
    name, content = chunks[number]
    if name == b"IDAT" and draw(st.booleans()):
        content = zlib.compress(draw(spoiled_bytes(zlib.decompress(content))))
    elif content:
        content = draw(spoiled_bytes(content))
    chunks[number] = (name, content)
    return data[:8] + b"".join(
        struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each))
        for kind, each in chunks
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 8
    while start < len(data):
        (length,) = struct.unpack_from(">I", data, start)
        yield data[start + 4 : start + 8], data[start + 8 : start + 8 + length]
        start += 12 + length
