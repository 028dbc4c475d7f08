from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from mfsynth import storage
from mfsynth.errors import ShardError


def test_local_files_and_urls_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a b.bin").write_bytes(b"123")
    with fsspec.open("memory://box/a b.bin", "wb") as file:
        file.write(b"123")
    for folder in (tmp_path, "memory://box"):
        location = storage.join(folder, "a b.bin")
        assert storage.exists(location)
        assert storage.read(location) == b"123"
        with storage.local_copy(location) as path:
            assert path.read_bytes() == b"123"
        assert not storage.exists(storage.join(folder, "none"))
        with pytest.raises(ShardError, match="none is not there"):
            storage.read(storage.join(folder, "none"))


def test_files_are_put_whole_with_the_users_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        storage.put(tmp_path / "a", b"x", tmp_path)
    finally:
        os.umask(mask)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_scratch_file_that_is_not_published_goes(tmp_path: Path) -> None:
    folder = tmp_path
    before: set[Path] = set()
    with pytest.raises(ZeroDivisionError), storage.scratch_file(folder):
        raise ZeroDivisionError
    assert set(folder.iterdir()) == before
