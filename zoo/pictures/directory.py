"""Directories of TIFF and EXIF, whose values are kept as the bytes that they are.

TIFF 6.0, section 2; BigTIFF has the same fields with 64 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

BYTE, ASCII, SHORT, LONG, UNDEFINED = 1, 2, 3, 4, 7
_SIZES = dict.fromkeys((BYTE, ASCII, 6, UNDEFINED), 1) | dict.fromkeys((SHORT, 8), 2)
_SIZES |= dict.fromkeys((LONG, 9, 11, 13), 4) | dict.fromkeys((5, 10, 12, 16, 17, 18), 8)
"""Bytes of one value of each type."""
_ROW = 12
"""Bytes of an entry in a classic directory."""
_LARGEST = 1 << 26
"""The most bytes of a directory's values that are read, so that broken counts cost no memory."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory.

    Args:
        kind: The values' type, by TIFF's number.
        value: The values' bytes, in the file's byte order.
        offset: Where in the file they are.
    """

    kind: int
    value: bytes
    offset: int = 0

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.value) // _SIZES[self.kind]


def header(order: str, first: int) -> bytes:
    """A classic TIFF's first eight bytes, with the first directory's offset."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first)


def shorts(order: str, values: Iterable[int]) -> Entry:
    """An entry of 16-bit numbers."""
    listed = tuple(values)
    return Entry(SHORT, struct.pack(f"{order}{len(listed)}H", *listed))


def longs(order: str, values: Iterable[int]) -> Entry:
    """An entry of 32-bit numbers."""
    listed = tuple(values)
    return Entry(LONG, struct.pack(f"{order}{len(listed)}I", *listed))


def number(entry: Entry, order: str) -> int:
    """An entry's first value as a whole number, such as the offset of another directory."""
    size = _SIZES[entry.kind]
    return int.from_bytes(entry.value[:size], "little" if order == "<" else "big")


def read_directory(file: BinaryIO, order: str, at: int, *, big: bool = False) -> dict[int, Entry]:
    """Read the directory at an offset. Entries that are broken, too long or of unknown types are omitted.

    Args:
        file: A TIFF, or EXIF data, which is a TIFF structure.
        order: Byte order, as `struct` spells it.
        at: The directory's offset.
        big: Whether it is a BigTIFF.
    """
    head, form = (order + "Q", order + "HHQ8s") if big else (order + "H", order + "HHI4s")
    file.seek(at)
    table = file.read(struct.calcsize(head))
    if len(table) < struct.calcsize(head):
        return {}
    (count,) = struct.unpack(head, table)
    size = struct.calcsize(form)
    rows = file.read(size * min(count, 4096))
    found, left = {}, _LARGEST
    for start in range(0, len(rows) - size + 1, size):
        tag, kind, values, field = struct.unpack_from(form, rows, start)
        length = values * _SIZES.get(kind, 0)
        if not 0 < length <= left:
            continue
        inside = length <= len(field)
        where = at + len(table) + start + size - len(field)
        if not inside:
            (where,) = struct.unpack(order + ("Q" if big else "I"), field)
            file.seek(where)
            field = file.read(length)
            left -= len(field)
        if len(field) >= length:
            found[tag] = Entry(kind, field[:length], where)
    return found


def packed(entries: Mapping[int, Entry], order: str, at: int, placed: Collection[int] = frozenset()) -> bytes:
    """A classic directory that lies at an even offset, with no other after it, and behind it its long values.

    Args:
        entries: By their tags.
        order: Byte order, as `struct` spells it.
        at: The directory's offset.
        placed: Tags whose values are in the file already, at their entries' offsets.
    """
    start = at + 2 + _ROW * len(entries) + 4
    rows, values = [struct.pack(order + "H", len(entries))], bytearray()
    for tag, entry in sorted(entries.items()):
        field = entry.value.ljust(4, b"\0")
        if len(entry.value) > 4:
            here = tag not in placed
            field = struct.pack(order + "I", start + len(values) if here else entry.offset)
            values += (entry.value + bytes(len(entry.value) % 2)) if here else b""
        rows.append(struct.pack(order + "HHI", tag, entry.kind, entry.count) + field)
    return b"".join((*rows, bytes(4), values))
