"""Any bytes in a shard's place: reading gives the samples that the manifest means, or an error of ours."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth.codecs import png_chunk
from mfsynth.errors import MfsynthError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.shards import tar
from mfsynth.shards.manifest import Manifest
from mfsynth.verification.check import VerifyJob, verify_shard
from zoo.training.sources import Reader, ShardSource

SHARD = "small-000000.tar"
BLOCK = 512
FIELDS = {
    "name": (0, 100), "mode": (100, 8), "uid": (108, 8), "size": (124, 12), "mtime": (136, 12),
    "type": (156, 1), "link": (157, 100), "magic": (257, 8), "major": (329, 8), "prefix": (345, 155),
}  # fmt: skip
"""Offset and length of a header's fields."""
VALUES = (
    b"\0", b" " * 12, b"77777777777\0", b"-0000000001\0", b"0x10", b"9" * 12, b"\x80" + b"\0" * 10 + b"\1",
    b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\xff" * 11 + b"\xfe", b"..", b"/etc/passwd", b"\xc3\xa4\n",
    b"S", b"L", b"x", b"g", b"1", b"2", b"3", b"5", b"7", b"GNU.sparse", b"\0" * 100,
)  # fmt: skip
"""Numbers in octal, in base 256, negative and not at all; names; and the types of every other member."""

Edit = Callable[[bytearray, list[int]], object]


def sealed(data: bytearray, at: int) -> None:
    """Make a header's checksum fit."""
    block = data[at : at + BLOCK]
    if len(block) == BLOCK and any(block):
        block[148:156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(block)


def field_edit(which: int, field: str, value: bytes, seal: bool) -> Edit:
    def edit(data: bytearray, headers: list[int]) -> None:
        at, (start, length) = headers[which % len(headers)], FIELDS[field]
        data[at + start : at + start + len(value[:length])] = value[:length]
        if seal:
            sealed(data, at)

    return edit


def bytes_edit(share: float, removed: int, added: bytes) -> Edit:
    def edit(data: bytearray, _: list[int]) -> None:
        at = int(share * len(data))
        data[at : at + removed] = added

    return edit


EDITS = st.lists(
    st.one_of(
        st.builds(
            field_edit,
            st.integers(0, 99),
            st.sampled_from(sorted(FIELDS)),
            st.sampled_from(VALUES),
            st.booleans(),
        ),
        st.builds(
            bytes_edit,
            st.floats(0, 1),
            st.sampled_from([0, 1, 512, 4096, 1 << 30]),
            st.sampled_from([b"", b"\1", bytes(512), bytes(1024)]),
        ),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def folder(small_recipes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one shard, whose bytes the tests change."""
    root = tmp_path_factory.mktemp("bytes")
    content = json.loads((small_recipes / "manifest.json").read_text())
    content |= {"shards": content["shards"][:1], "samples": 6}
    (root / "manifest.json").write_text(json.dumps(content))
    shutil.copy(small_recipes / SHARD, root)
    return root


def check_readers(folder: Path, whole: bytes, keys: list[str]) -> None:
    """Every reader gives all samples, or an error of ours; with the check, an error if one byte differs."""
    readers: list[Callable[[], list[str]]] = [
        lambda: [scene.key for scene in mfsynth.open(folder, check=False).scenes()],
        lambda: sorted(scene.key for scene in mfsynth.open(folder, shuffle=1, check=False).scenes()),
        lambda: [recipe.key for recipe in mfsynth.open(folder, check=False).recipes()],
        lambda: [mfsynth.open(folder, check=False).scenes()[key].key for key in keys],
    ]
    for read in readers:
        with suppress(MfsynthError):
            assert read() == keys
    if (folder / SHARD).read_bytes() != whole:
        with pytest.raises(ShardError):
            list(mfsynth.open(folder).scenes())
        with pytest.raises(ShardError):
            list(ShardSource(str(folder), 0, holding=False).epoch(0, Reader(), 0))
        manifest = Manifest.read(folder)
        draw = BuildOptions.of(manifest).draw
        job = VerifyJob(folder, manifest.shards[0], manifest.layout, draw, frozenset())
        assert verify_shard(job, lambda _: None).problems


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_a_changed_shard_is_read_right_or_not_at_all(
    folder: Path, small_recipes: Path, edits: list[Edit]
) -> None:
    whole = (small_recipes / SHARD).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        members = archive.getmembers()
    keys = sorted({member.name.partition(".")[0] for member in members})
    data = bytearray(whole)
    for edit in edits:
        edit(data, [member.offset for member in members])
    (folder / SHARD).write_bytes(data)
    check_readers(folder, whole, keys)


@pytest.mark.slow
@settings(deadline=None, max_examples=3000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_thousands_of_changed_shards(folder: Path, small_recipes: Path, edits: list[Edit]) -> None:
    test_a_changed_shard_is_read_right_or_not_at_all.hypothesis.inner_test(folder, small_recipes, edits)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "kind", [b"S", b"7", b"1", b"2", b"3", b"4", b"5", b"6", b"L", b"K", b"x", b"g", b"V"]
)
def test_members_of_every_other_type_are_refused(kind: bytes) -> None:
    """The standard library counts sparse and contiguous files among the plain ones."""
    info = tarfile.TarInfo("000000000001-000.json")
    data = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    field_edit(0, "type", kind, True)(data, [0])
    with pytest.raises(ShardError, match=r"s(: .* is not a plain file| is damaged)"):
        list(tar.samples(io.BytesIO(bytes(data) + bytes(1024)), "s", 2048))


def test_a_member_larger_than_its_shard_is_refused_before_it_is_read() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            self.most = max(self.most, size or 0)
            return super().read(size)

    info = tarfile.TarInfo("000000000001-000.json")
    info.size = 8**11 - 1
    file = Counting(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    with pytest.raises(
        ShardError, match=r"s is cut short: 000000000001-000.json would end beyond its 1,536 bytes"
    ):
        list(tar.samples(file, "s", 1536))
    assert file.most == BLOCK


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_a_regular_file_is_a_shard(small_recipes: Path, tmp_path: Path, kind: str) -> None:
    """A pipe would be waited for, /dev/zero would never end."""
    shutil.copy(small_recipes / "manifest.json", tmp_path)
    path = tmp_path / SHARD
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    for check in (True, False):
        with pytest.raises(ShardError, match=SHARD):
            list(mfsynth.open(tmp_path, check=check))
        with pytest.raises(ShardError, match=SHARD):
            list(mfsynth.open(tmp_path, check=check, shuffle=1))
    manifest = Manifest.read(tmp_path)
    draw = BuildOptions.of(manifest).draw
    job = VerifyJob(tmp_path, manifest.shards[0], manifest.layout, draw, frozenset())
    (problem,) = verify_shard(job, lambda _: None).problems
    assert problem.shard == SHARD


def test_a_png_that_declares_another_size_costs_no_memory(small_recipes: Path, tmp_path: Path) -> None:
    """Gigabytes of zeros in a few kilobytes: neither the declared nor the inflated size is ever allocated."""
    header = b"".join(png_chunk(b"IHDR", b"\0\0\x40\0\0\0\x40\0\x08\0\0\0\0"))
    pixels = b"".join(png_chunk(b"IDAT", zlib.compress(bytes(64 << 20))))
    bomb = b"\x89PNG\r\n\x1a\n" + header + pixels + b"".join(png_chunk(b"IEND", b""))
    packed = next(iter(tar.samples((small_recipes / SHARD).open("rb"), SHARD, 1 << 30)))
    members = packed.members | {"segments.png": bomb}
    tracemalloc.start()
    with pytest.raises(ShardError, match="the PNG is 16384 x 16384, not 56 x 40"):
        mfsynth.decode({"__key__": packed.key, **members})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
