"""A zip's directory, read so that a fault in one member costs that member only.

The standard library's reader gives up on the whole archive when one member needs another version of the
format, is not named in UTF-8, or lies about its size.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import IO, TYPE_CHECKING

from mfsynth import limits, storage
from mfsynth.coco.finding.files import DEFLATED, LOCAL_HEADER, STORED, FileRef, Stamp
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mfsynth.storage import AnyPath

_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_SIGNATURE = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
_IN_ZIP64 = 0xFFFFFFFF
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_UTF8 = 1 << 11
_BACKSLASHES = (0, 10, 11)
"""Systems (MS-DOS, NTFS) whose tools may write `\\` between folders."""
_NEWEST = 63
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 20: "Zstandard",
    93: "Zstandard", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES",
}  # fmt: skip
_RATIO = 1100
"""Deflate shrinks nothing to less than 1/1032 of its size."""
_AGAIN = "download the archive again"
_PACK_AGAIN = "pack it again with plain deflate, or extract it"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip; `start` is where its local header is, in the file on disk.

    `fault` says why it cannot be read; empty if nothing in the directory speaks against it.
    """

    name: str
    size: int
    start: int
    stored: int
    method: int
    crc: int
    fault: str = ""

    @property
    def end(self) -> int:
        """Where it ends at the earliest: its local header may be longer."""
        return self.start + LOCAL_HEADER.size + self.stored


@dataclass(frozen=True, eq=False)
class Archive:
    """A zip on disk, or a zip stored inside one, with its members by name."""

    path: AnyPath
    stamp: Stamp
    members: dict[str, Member]

    def file(self, member: str, name: str = "") -> FileRef | None:
        """A member; None if there is none. Errors call it `name`, else as the archive does."""
        it = self.members.get(member)
        if it is None:
            return None
        return FileRef(
            os.fspath(self.path),
            name or member,
            it.size,
            self.stamp,
            it.start,
            it.stored,
            it.method,
            it.crc,
            it.fault,
        )


def read_archive(path: AnyPath, offset: int = 0, length: int | None = None) -> Archive:
    """The directory of a zip, or of a zip that is stored in a file at an offset.

    Raises:
        SourceError: If it is not a zip, is cut short, or has more members than is sensible.
    """
    try:
        with storage.open_anywhere(path) as file:
            stamp = Stamp(*storage.mark_of(file))
            end = stamp.size if length is None else min(stamp.size, offset + length)
            members = _usable(_members(*_directory(file, offset, end, path), path), file)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    return Archive(path, stamp, members)


def _directory(file: IO[bytes], begin: int, end: int, path: AnyPath) -> tuple[bytes, int, int]:
    """The directory's bytes, what its offsets are relative to, and where it begins."""
    tail_at = max(begin, end - _END.size - _LONGEST_COMMENT)
    file.seek(tail_at)
    tail = file.read(max(0, end - tail_at))
    at = _end(tail)
    if at < 0:
        raise _not_whole(path, "it has no directory")
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    where = tail_at + at
    if found := _end64(file, where):
        where, count, size, offset = found
    if count > limits.ZIP_MEMBERS or size > limits.ZIP_DIRECTORY_BYTES:
        raise _too_many(path)
    base = where - size - offset
    if base < begin:
        raise _not_whole(path, "its directory is not where it says")
    file.seek(base + offset)
    return file.read(size), base, base + offset


def _end(tail: bytes) -> int:
    """Where the end record is: that whose comment ends with the file, else the last; -1 if there is none."""
    at = last = tail.rfind(_SIGNATURE, 0, max(0, len(tail) - _END.size + len(_SIGNATURE)))
    while at >= 0 and at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail):
        at = tail.rfind(_SIGNATURE, 0, at + len(_SIGNATURE) - 1)
    return last if at < 0 else at


def _end64(file: IO[bytes], end: int) -> tuple[int, int, int, int] | None:
    """Place, number of members, size and offset that a zip64 archive's second end record gives, if any."""
    at = end - _LOCATOR64.size - _END64.size
    if at < 0:
        return None
    file.seek(at)
    record, locator = file.read(_END64.size), file.read(_LOCATOR64.size)
    if not record.startswith(b"PK\x06\x06") or not locator.startswith(b"PK\x06\x07"):
        return None
    *_, count, size, offset = _END64.unpack(record)
    return at, count, size, offset


def _members(directory: bytes, base: int, limit: int, path: AnyPath) -> Iterator[Member]:
    at = count = 0
    while at < len(directory):
        if len(directory) - at < _ENTRY.size or directory[at : at + 4] != b"PK\x01\x02":
            raise _not_whole(path, f"its directory is damaged after {count:,} members")
        fields = _ENTRY.unpack_from(directory, at)
        name_length, extra_length, comment_length = fields[10:13]
        name_end = at + _ENTRY.size + name_length
        raw = directory[at + _ENTRY.size : name_end]
        extra = directory[name_end : name_end + extra_length]
        if not raw.endswith(b"/"):
            yield _member(fields, raw, extra, base, limit)
        at = name_end + extra_length + comment_length
        count += 1
        if count > limits.ZIP_MEMBERS:
            raise _too_many(path)


def _member(fields: tuple[int, ...], raw: bytes, extra: bytes, base: int, limit: int) -> Member:
    _, made_by, needed, flags, method, _, _, crc, stored, size, _, _, _, _, _, _, offset = fields
    fault = _fault(needed & 0xFF, flags, method)
    if _IN_ZIP64 in (size, stored, offset):
        try:
            size, stored, offset = _long_fields(extra, size, stored, offset)
        except struct.error:
            fault = fault or f"its zip64 fields are damaged; {_AGAIN}"
    start = base + offset
    if start + LOCAL_HEADER.size + stored > limit:
        fault = fault or f"it reaches beyond the end of the archive's data; {_AGAIN}"
    elif method == STORED and stored != size:
        fault = fault or f"its sizes contradict each other; {_AGAIN}"
    elif size > stored * _RATIO + _RATIO:
        fault = fault or f"it cannot have {size:,} bytes, as {stored:,} are stored; {_AGAIN}"
    return Member(_decoded(raw, flags, made_by), size, start, stored, method, crc, fault)


def _fault(needed: int, flags: int, method: int) -> str:
    if flags & _ENCRYPTED:
        return f"it is encrypted; {_PACK_AGAIN}"
    if method not in (STORED, DEFLATED):
        called = f" ({_METHODS[method]})" if method in _METHODS else ""
        return f"it uses compression method {method}{called}; {_PACK_AGAIN}"
    if needed > _NEWEST:
        return f"it needs version {needed / 10} of the zip format; {_PACK_AGAIN}"
    return ""


def _long_fields(extra: bytes, *short: int) -> list[int]:
    """Size, stored size and offset, those that do not fit taken from the zip64 field among the extra ones.

    Raises:
        struct.error: If it is missing, or too short.
    """
    at = 0
    while True:
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            break
        at += 4 + length
    field = extra[at + 4 : at + 4 + length]
    missing = sum(value == _IN_ZIP64 for value in short)
    long = iter(struct.unpack_from(f"<{missing}Q", field))
    return [next(long) if value == _IN_ZIP64 else value for value in short]


def _decoded(raw: bytes, flags: int, made_by: int) -> str:
    """A member's name. Many tools write UTF-8 without saying so; the format's default is code page 437."""
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = raw.decode(errors="surrogateescape") if flags & _UTF8 else raw.decode("cp437")
    return name.replace("\\", "/") if made_by >> 8 in _BACKSLASHES else name


def _usable(members: Iterator[Member], file: IO[bytes]) -> dict[str, Member]:
    """Members by name, with the faults that only show when they are compared with each other."""
    by_name: dict[str, Member] = {}
    twice = set()
    for member in members:
        if member.name in by_name:
            twice.add(member.name)
        by_name[member.name] = member
    _mark(by_name, twice, f"the archive has it twice; {_PACK_AGAIN}")
    astray = {name for pair in _overlaps(by_name) for name in pair if not _is_at_home(by_name[name], file)}
    _mark(by_name, astray, f"it is not where the zip's directory says; {_AGAIN}")
    _mark(by_name, {name for name, _ in _overlaps(by_name)}, f"it overlaps another member; {_PACK_AGAIN}")
    return by_name


def _mark(members: dict[str, Member], names: Iterable[str], fault: str) -> None:
    for name in names:
        members[name] = replace(members[name], fault=fault)


def _overlaps(members: dict[str, Member]) -> list[tuple[str, str]]:
    """Each member, of those without a fault, that reaches into another, and the other.

    No honest archive has them; one that does can unpack to far more than it has.
    """
    sound = sorted((each for each in members.values() if not each.fault), key=lambda each: each.start)
    return [(each.name, other.name) for each, other in pairwise(sound) if each.end > other.start]


def _is_at_home(member: Member, file: IO[bytes]) -> bool:
    """Whether a member's local header has its name."""
    file.seek(member.start)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        return False
    _, _, flags, *_, name_length, _ = LOCAL_HEADER.unpack(header)
    return member.name == _decoded(file.read(name_length), flags, 0)


def _not_whole(path: AnyPath, why: str) -> SourceError:
    return SourceError(f"{path} is not a complete zip: {why}", "download it again")


def _too_many(path: AnyPath) -> SourceError:
    return SourceError(
        f"{path} has more members than the {limits.ZIP_MEMBERS:,} that are read, or a directory beyond "
        f"{limits.ZIP_DIRECTORY_BYTES:,} bytes",
        "extract it",
    )
