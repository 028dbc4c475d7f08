"""Reads a shard's members, in order or at an offset, without trusting a byte of it."""

from __future__ import annotations

import os
import tarfile
from typing import IO, TYPE_CHECKING, NamedTuple

from mfsynth.errors import ShardError
from mfsynth.shards.layout import split_member

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = tarfile.BLOCKSIZE
_LARGEST = 1 << 30


class Packed(NamedTuple):
    """A sample as it lies in a shard: its key, and its members' bytes by field, in order."""

    key: str
    members: dict[str, bytes]


class Place(NamedTuple):
    """Where a sample lies in a shard: from byte `start` to `end`."""

    key: str
    start: int
    end: int


def samples(file: IO[bytes], shard: str) -> Iterator[Packed]:
    """Every sample of a shard, from a stream.

    Args:
        file: The shard, at its beginning.
        shard: Its name, for errors.

    Raises:
        ShardError: If the archive is damaged, cut short, or holds what this format does not have.
    """
    packed: Packed | None = None
    while (member := _next_header(file, shard)) is not None:
        key, field = split_member(member.name)
        if packed is None or packed.key != key:
            if packed is not None:
                yield packed
            packed = Packed(key, {})
        if field in packed.members:
            raise ShardError(f"{shard}: {member.name} is there twice")
        packed.members[field] = _read(file, member.size, shard)
        _read(file, -member.size % _BLOCK, shard)
    if packed is not None:
        yield packed


def index(file: IO[bytes], shard: str) -> list[Place]:
    """Where each sample of a shard lies; reads headers alone, so the file must be able to seek.

    Raises:
        ShardError: As `samples`.
    """
    places: list[Place] = []
    start = 0
    while (member := _next_header(file, shard)) is not None:
        key, _ = split_member(member.name)
        end = start + _BLOCK + member.size + -member.size % _BLOCK
        if places and places[-1].key == key:
            places[-1] = places[-1]._replace(end=end)
        else:
            places.append(Place(key, start, end))
        file.seek(end)
        start = end
    return places


def members(file: IO[bytes], shard: str, field: str) -> Iterator[tuple[str, bytes | None]]:
    """One member of every sample, by the sample's key, None where it has none; all others are passed over.

    Raises:
        ShardError: As `samples`.
    """
    current, data = "", None
    while (member := _next_header(file, shard)) is not None:
        key, name = split_member(member.name)
        if current and key != current:
            yield current, data
            data = None
        current = key
        if name == field:
            data = _read(file, member.size, shard)
            _read(file, -member.size % _BLOCK, shard)
        else:
            _pass(file, member.size + -member.size % _BLOCK, shard)
    if current:
        yield current, data


def sample_at(file: IO[bytes], place: Place, shard: str) -> Packed:
    """One sample of a shard, by its place.

    Raises:
        ShardError: As `samples`.
    """
    file.seek(place.start)
    members = {}
    while file.tell() < place.end:
        member = _next_header(file, shard)
        if member is None:
            break
        members[split_member(member.name)[1]] = _read(file, member.size, shard)
        _read(file, -member.size % _BLOCK, shard)
    return Packed(place.key, members)


def _next_header(file: IO[bytes], shard: str) -> tarfile.TarInfo | None:
    """The next member's header, None at the archive's end."""
    block = _read(file, _BLOCK, shard)
    if not block.strip(b"\0"):
        return None
    try:
        member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise ShardError(f"{shard} is damaged: {error}") from error
    if not member.isreg() or not 0 <= member.size <= _LARGEST:
        raise ShardError(f"{shard}: {member.name!r} is no plain file of a sane size")
    return member


def _read(file: IO[bytes], size: int, shard: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ShardError(f"{shard} is cut short")
    return data


def _pass(file: IO[bytes], size: int, shard: str) -> None:
    """Go on behind so many bytes; an archive that ends before is found out by what is read next."""
    if file.seekable():
        file.seek(size, os.SEEK_CUR)
    else:
        _read(file, size, shard)
