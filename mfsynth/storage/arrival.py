"""Whether an object store's own checksum shows that a file arrived: MD5, MD5 of parts, or SHA-256."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from mfsynth.storage.local import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MD5 = re.compile(r"[0-9a-f]{32}")
_OF_PARTS = re.compile(r"[0-9a-f]{32}-(\d{1,5})")
_MIB = 1 << 20
_USUAL_PARTS = (5 * _MIB, 8 * _MIB, 16 * _MIB, 50 * _MIB, 64 * _MIB)
"""Sizes of parts that clients use; s3fs takes 50 MiB."""


def is_proved(details: Mapping[str, Any], path: Path) -> bool:
    """Whether what an object store says of an object proves that it has the bytes of a local file.

    False proves nothing: an encrypted object's ETag looks like an MD5 and is not one.

    Args:
        details: What fsspec's `info` gives.
        path: The file that was sent.
    """
    etag = str(details.get("ETag") or details.get("etag") or "").strip('"')
    if _MD5.fullmatch(etag):
        return etag == _md5(path).hex()
    if parts := _OF_PARTS.fullmatch(etag):
        return any(_etag(path, size) == etag for size in _sizes(path.stat().st_size, int(parts[1])))
    if md5 := details.get("md5Hash"):  # Google Cloud Storage; objects made of parts have none
        return base64.b64encode(_md5(path)).decode() == str(md5)
    lfs = details.get("lfs")  # the Hugging Face Hub
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else getattr(lfs, "sha256", None)
    return sha256 is not None and digest(path) == sha256


def _md5(path: Path) -> bytes:
    state = hashlib.md5(usedforsecurity=False)
    digest(path, state)
    return state.digest()


def _sizes(size: int, parts: int) -> Iterator[int]:
    """Sizes of parts, of those that are usual, with which a file has so many."""
    return (each for each in _USUAL_PARTS if -(-size // each) == parts)


def _etag(path: Path, part: int) -> str:
    """What S3 calls a file that came in parts of a size: the MD5 of their MD5s, and their number."""
    whole, count = hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while data := file.read(part):
            whole.update(hashlib.md5(data, usedforsecurity=False).digest())
            count += 1
    return f"{whole.hexdigest()}-{count}"
