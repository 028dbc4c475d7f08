"""A zip inside a zip, as COCO ships its masks: read where it is, or unpacked to the cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mfsynth import limits, storage
from mfsynth.coco.finding.files import STORED, data_start, remove_stale_scratch
from mfsynth.coco.finding.zips import read_archive
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.coco.finding.files import FileRef
    from mfsynth.coco.finding.zips import Archive


def nested_archive(outer: Archive, member: str, cache: Path, say: Callable[[str], None]) -> Archive | None:
    """A zip inside a zip, read in place if it is stored, else unpacked to the cache; None if there is none.

    Raises:
        SourceError: If it is encrypted, damaged, or cannot be unpacked to the cache.
    """
    inner = outer.file(member)
    if inner is None:
        return None
    if inner.fault:
        raise SourceError(f"cannot read {inner}: {inner.fault}")
    if inner.method == STORED:
        try:
            with storage.open_anywhere(outer.path) as file:
                start = data_start(file, inner.start, str(inner))
        except OSError as error:
            raise SourceError(f"cannot read {outer.path}: {error.strerror or error}") from error
        return read_archive(outer.path, start, inner.size)
    return read_archive(_unpack(inner, cache, say))


def _unpack(inner: FileRef, cache: Path, say: Callable[[str], None]) -> Path:
    """Unpack a deflated member to the cache, once, under a hash of the archive, the member and its CRC."""
    place = storage.local_path(inner.path)
    identity = (
        f"{place.resolve() if place else storage.shown(inner.path)} {inner.name} {inner.crc} {inner.size}"
    )
    key = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:16]
    target = cache / f"{key}-{PurePosixPath(inner.name).name}"
    if inner.size > limits.INNER_ZIP_BYTES:
        raise SourceError(
            f"{inner} has {inner.size:,} bytes, the limit is {limits.INNER_ZIP_BYTES:,}", "extract it"
        )
    try:
        if target.exists() and target.stat().st_size == inner.size:
            return target
        say(f"unpacking {inner.name} from {storage.shown(inner.path)} to {target}, once")
        cache.mkdir(parents=True, exist_ok=True)
        remove_stale_scratch(cache)
        _extract(inner, target)
    except OSError as error:
        raise SourceError(
            f"cannot unpack {inner} to {cache}: {error.strerror or error}",
            "make sure that the cache is writable, or set XDG_CACHE_HOME to a folder that is",
        ) from error
    return target


def _extract(inner: FileRef, target: Path) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix="tmp-")
    try:
        with os.fdopen(handle, "wb") as out:
            for chunk in inner.chunks():
                out.write(chunk)
        # whoever unpacks it at the same time makes the same file, which is then not taken for another
        os.utime(temporary, ns=(inner.stamp.mtime_ns, inner.stamp.mtime_ns))
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
