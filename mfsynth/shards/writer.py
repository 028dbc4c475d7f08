"""Writes a shard completely or not at all: ustar, the same bytes every time."""

from __future__ import annotations

import hashlib
import tarfile
from typing import IO, TYPE_CHECKING

from mfsynth.shards.layout import member_name
from mfsynth.shards.manifest import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mfsynth.storage import Folder

_END = bytes(2 * tarfile.BLOCKSIZE)
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
_SIZE = slice(124, 135)
_CHECKSUM = slice(148, 156)
_BLANK_SUM = sum(_BLANK) - sum(_BLANK[_CHECKSUM]) + 8 * ord(" ")


class ShardWriter:
    """A shard being written.

    Samples are written and hashed as they come. Nothing appears under the shard's name before `publish`; a
    shard that is not published leaves nothing behind. (The writers of webdataset and tarfile close an archive
    properly even after an exception, so that half a shard looks complete.)

        with out.scratch() as file:
            writer = ShardWriter(file)
            writer.add(key, [("json", b"{}")])
            shard = writer.publish(out, "val2017-000000.tar")
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0
        self._samples = 0

    def add(self, key: str, members: Iterable[tuple[str, bytes]]) -> None:
        """Append a sample; `members` are pairs of field and content, in order."""
        for field, content in members:
            self._write(tar_header(member_name(key, field), len(content)))
            self._write(content)
            self._write(bytes(-len(content) % tarfile.BLOCKSIZE))
        self._samples += 1

    def publish(self, out: Folder, name: str) -> Shard:
        """End the archive and give it its name in a folder; its bytes may not have reached a disk yet."""
        self._write(_END)
        out.publish(self._file, name)
        return Shard(name, self._size, self._hash.hexdigest(), self._samples)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)


def tar_header(name: str, size: int) -> bytes:
    """The ustar header of a plain file: mode 0644, no time, no owner.

    It is the standard library's header of an empty file, with name, size and checksum filled in: the same
    bytes in a tenth of the time.
    """
    name_bytes, size_bytes = name.encode("ascii"), b"%011o" % size
    checksum = _BLANK_SUM + sum(name_bytes) + sum(size_bytes) - sum(_BLANK[_SIZE])
    header = bytearray(_BLANK)
    header[: len(name_bytes)] = name_bytes
    header[_SIZE] = size_bytes
    header[_CHECKSUM] = b"%06o\0 " % checksum
    return bytes(header)
