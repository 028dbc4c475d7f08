"""Reads a shard's members, in order or at an offset, without trusting a byte of it."""

from __future__ import annotations

import os
import tarfile
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from mfsynth.errors import ShardError
from mfsynth.shards.layout import split_member

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = tarfile.BLOCKSIZE
_TYPE = slice(156, 157)
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


class Packed(NamedTuple):
    """A sample as stored in a shard: its key, and its members' bytes by field, in order."""

    key: str
    members: dict[str, bytes]


class Place(NamedTuple):
    """Where a sample is in a shard: from byte `start` to `end`."""

    key: str
    start: int
    end: int


def samples(file: IO[bytes], shard: str, size: int) -> Iterator[Packed]:
    """Every sample of a shard, from a stream.

    Args:
        file: The shard, at its beginning.
        shard: Its name, for errors.
        size: Its size in bytes; no member may end beyond it.

    Raises:
        ShardError: If the archive is damaged, cut short, or holds what this format does not have.
    """
    packed: Packed | None = None
    for key, field, length in _headers(file, shard, size):
        if packed is None or packed.key != key:
            if packed is not None:
                yield packed
            packed = Packed(key, {})
        if field in packed.members:
            raise ShardError(f"{shard}: {key}.{field} occurs twice")
        packed.members[field] = _read(file, length, shard)
    if packed is not None:
        yield packed


def index(file: IO[bytes], shard: str, size: int) -> list[Place]:
    """Where each sample of a shard is; only headers are read, so the file must support seeking.

    Raises:
        ShardError: As `samples`.
    """
    places: list[Place] = []
    end = 0
    for key, _, length in _headers(file, shard, size):
        start, content = end, end + _BLOCK + length
        end = content + -length % _BLOCK
        if places and places[-1].key == key:
            places[-1] = places[-1]._replace(end=end)
        else:
            places.append(Place(key, start, end))
        file.seek(content)
    return places


def members(file: IO[bytes], shard: str, field: str, size: int) -> Iterator[tuple[str, bytes | None]]:
    """One member of every sample, by the sample's key, None where it has none; all others are skipped.

    Raises:
        ShardError: As `samples`.
    """
    current, data = "", None
    for key, name, length in _headers(file, shard, size):
        if current and key != current:
            yield current, data
            data = None
        current = key
        if name == field:
            data = _read(file, length, shard)
        else:
            _pass(file, length, shard)
    if current:
        yield current, data


def sample_at(file: IO[bytes], place: Place, shard: str) -> Packed:
    """One sample of a shard on disk, by its place.

    Threads and forked processes may share the file: its position is neither used nor changed.

    Raises:
        ShardError: As `samples`.
    """
    part = cast("IO[bytes]", _Part(file.fileno(), place))
    for packed in samples(part, shard, place.end - place.start):
        return packed
    raise ShardError(f"{shard} changed while it was read")


def first_key(file: IO[bytes], shard: str, size: int) -> str:
    """The key of a shard's first sample, empty if it has none; reads one header.

    Raises:
        ShardError: As `samples`.
    """
    return next((key for key, _, _ in _headers(file, shard, size)), "")


class _Part:
    """Reads the bytes of one sample, with its own position; after them the archive seems to end."""

    def __init__(self, descriptor: int, place: Place) -> None:
        self._descriptor, self._at, self._end = descriptor, place.start, place.end

    def read(self, size: int) -> bytes:
        left = max(min(size, self._end - self._at), 0)
        data = os.pread(self._descriptor, left, self._at)
        self._at += len(data)
        return data + bytes(size - left) if len(data) == left else data


def _headers(file: IO[bytes], shard: str, size: int) -> Iterator[tuple[str, str, int]]:
    """Key, field and length in bytes of each member; the caller moves the file to its content's end."""
    at = padding = 0
    while (block := _read(file, padding + _BLOCK, shard)[padding:]).strip(b"\0"):
        try:
            member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:  # a UnicodeDecodeError is a ValueError
            raise ShardError(f"{shard} is damaged: {error}") from error
        if block[_TYPE] not in _PLAIN or not member.isreg() or member.size < 0:
            raise ShardError(f"{shard}: {member.name!r} is not a plain file")
        key, field = split_member(member.name)
        at += _BLOCK + member.size
        if at > size:
            raise ShardError(f"{shard} is cut short: {member.name} would end beyond its {size:,} bytes")
        padding = -member.size % _BLOCK
        at += padding
        yield key, field, member.size


def _read(file: IO[bytes], size: int, shard: str) -> bytes:
    try:
        data = file.read(size)
    except OSError as error:
        raise ShardError(f"cannot read {shard}: {error.strerror or error}") from error
    if len(data) != size:
        raise ShardError(f"{shard} is cut short")
    return data


def _pass(file: IO[bytes], size: int, shard: str) -> None:
    """Skip so many bytes; if the archive ends before that, the next read notices."""
    if file.seekable():
        file.seek(size, os.SEEK_CUR)
    else:
        _read(file, size, shard)
