"""Zips as they come, and zips with one field wrong: the faulty member is named, the others are read."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mfsynth import limits
from mfsynth.coco.finding.files import FileRef
from mfsynth.coco.finding.nested import nested_archive
from mfsynth.coco.finding.zips import Archive, read_archive
from mfsynth.errors import MfsynthError, SourceError, UnreadableError

CONTENTS = {f"s/{k}.jpg": random.Random(k).randbytes(300) + bytes(900) for k in range(3)}
BAD = "s/1.jpg"


@dataclass
class Zip:
    """A zip's bytes, and where the directory entry of the member `BAD` is."""

    data: bytearray
    entry: int

    def put(self, field: int, kind: str, value: int) -> None:
        """Change a field of the entry."""
        struct.pack_into(f"<{kind}", self.data, self.entry + field, value)

    def put_zip64(self, field: int, value: int) -> None:
        """Move a field of the entry to a zip64 field."""
        name_length, extra_length = struct.unpack_from("<2H", self.data, self.entry + 28)
        self.put(field, "I", 0xFFFFFFFF)
        self.add_extra(name_length, extra_length, struct.pack("<HHQ", 1, 8, value))

    def add_extra(self, name_length: int, extra_length: int, extra: bytes) -> None:
        at = self.entry + 46 + name_length
        self.data[at:at] = extra
        self.put(30, "H", extra_length + len(extra))
        end = self.data.rfind(b"PK\5\6")
        (size,) = struct.unpack_from("<I", self.data, end + 12)
        struct.pack_into("<I", self.data, end + 12, size + len(extra))


def packed(method: int = zipfile.ZIP_DEFLATED) -> Zip:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, content in CONTENTS.items():
            out.writestr(name, content)
    data = bytearray(buffer.getvalue())
    return Zip(data, data.rindex(BAD.encode()) - 46)


def written(path: Path, data: bytes) -> Archive:
    path.write_bytes(data)
    return read_archive(path)


def member(archive: Archive, name: str) -> FileRef:
    file = archive.file(name)
    assert file is not None
    return file


_BEYOND = "it reaches beyond the end of the archive's data"
_DAMAGED = "is damaged: wrong size or checksum; download the archive again"
_ASTRAY = "it is not where the zip's directory says"
_ZIP64 = "its zip64 fields are damaged"

FAULTS: dict[str, tuple[Callable[[Zip], object], str]] = {
    "version needed 9.9": (lambda z: z.put(6, "H", 99), r"it needs version 9\.9 of the zip format; pack"),
    "encrypted": (lambda z: z.put(8, "H", 1), "it is encrypted; pack it again with plain deflate, or ext"),
    "strongly encrypted": (lambda z: z.put(8, "H", 1 << 6), "it is encrypted"),
    "LZMA": (lambda z: z.put(10, "H", 14), r"it uses compression method 14 \(LZMA\); pack it again"),
    "Deflate64": (lambda z: z.put(10, "H", 9), r"compression method 9 \(Deflate64\)"),
    "method 4711": (lambda z: z.put(10, "H", 4711), "compression method 4711;"),
    "checksum": (lambda z: z.put(16, "I", 1), _DAMAGED),
    "stored size 2^32 - 2": (lambda z: z.put(20, "I", 0xFFFFFFFE), _BEYOND),
    "stored size 2^40": (lambda z: z.put_zip64(20, 1 << 40), _BEYOND),
    "stored size 2^63": (lambda z: z.put_zip64(20, 1 << 63), _BEYOND),
    "stored size 3": (lambda z: z.put(20, "I", 3), "is damaged: "),
    "size 2^32 - 2": (lambda z: z.put(24, "I", 0xFFFFFFFE), "it cannot have 4,294,967,294 bytes, as 3.. are"),
    "size 2^63": (lambda z: z.put_zip64(24, 1 << 63), "it cannot have 9,223,372,036,854,775,808 bytes"),
    "size 1": (lambda z: z.put(24, "I", 1), _DAMAGED),
    "size 0": (lambda z: z.put(24, "I", 0), _DAMAGED),
    "offset 2^32 - 2": (lambda z: z.put(42, "I", 0xFFFFFFFE), _BEYOND),
    "offset 2^63": (lambda z: z.put_zip64(42, 1 << 63), _BEYOND),
    "offset 7": (lambda z: z.put(42, "I", 7), _ASTRAY),
    "offset of another member": (lambda z: z.put(42, "I", 0), _ASTRAY),
    "stored size into the next": (lambda z: z.put(20, "I", 400), "it overlaps another member"),
    "zip64 without a value": (
        lambda z: (z.put(24, "I", 0xFFFFFFFF), z.add_extra(len(BAD), 0, struct.pack("<HH", 1, 0))),
        _ZIP64,
    ),
    "no zip64 at all": (lambda z: z.put(24, "I", 0xFFFFFFFF), _ZIP64),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_member_is_named_and_costs_that_member(tmp_path: Path, fault: str) -> None:
    spoil, text = FAULTS[fault]
    spoiled = packed()
    spoil(spoiled)
    archive = written(tmp_path / "s.zip", spoiled.data)
    with pytest.raises(SourceError, match=rf"s/1.jpg in .*s\.zip.*({text})"):
        member(archive, BAD).read()
    for name in ("s/0.jpg", "s/2.jpg"):
        assert member(archive, name).read() == CONTENTS[name]


def test_a_name_that_is_not_utf_8_is_another_name(tmp_path: Path) -> None:
    spoiled = packed()
    spoiled.put(8, "H", 1 << 11)
    spoiled.data[spoiled.entry + 46] = 0xFF
    archive = written(tmp_path / "s.zip", spoiled.data)
    assert archive.file(BAD) is None
    assert member(archive, "s/2.jpg").read() == CONTENTS["s/2.jpg"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_neither_of_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as out:
        for content in (b"old", b"new"):
            out.writestr(BAD, content)
        out.writestr("s/2.jpg", b"other")
    archive = read_archive(tmp_path / "s.zip")
    with pytest.raises(UnreadableError, match="the archive has it twice"):
        member(archive, BAD).read()
    assert member(archive, "s/2.jpg").read() == b"other"


def test_members_that_quote_each_other_are_refused(tmp_path: Path) -> None:
    """As in a zip bomb whose members are each other's bytes: only the innermost may be read."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = packer.compress(bytes(1000)) + packer.flush()
    data, entries = kernel, b""
    for name in (b"c", b"b", b"a"):
        crc, size = zlib.crc32(bytes(1000)), 1000
        data = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(data), size, 1, 0) + name + data
    for number, name in enumerate((b"a", b"b", b"c")):
        fields = (20, 20, 0, 8, 0, 0, crc, len(data) - 31 * (number + 1), size, 1, 0, 0, 0, 0, 0, 31 * number)
        entries += struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 3, 3, len(entries), len(data), 0)
    archive = written(tmp_path / "s.zip", data + entries + end)
    for name in ("a", "b"):
        with pytest.raises(UnreadableError, match="it overlaps another member"):
            member(archive, name).read()
    assert member(archive, "c").read() == bytes(1000)


def bomb(says: int, inflates: int) -> bytes:
    """A zip of a member `BAD` that says one size and inflates to another."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(inflates)) + packer.flush()
    name = BAD.encode()
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 1, len(data), says, len(name), 0) + name + data
    )
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 1, len(data), says, len(name), 0, 0, 0, 0, 0, 0
    )
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry) + len(name), len(local), 0)
    return local + entry + name + end


def test_a_member_is_inflated_to_what_it_says_at_most(tmp_path: Path) -> None:
    file = member(written(tmp_path / "s.zip", bomb(1000, 50_000_000)), BAD)
    pieces: list[bytes] = []
    with pytest.raises(SourceError, match="wrong size or checksum"):
        pieces.extend(file.chunks())
    assert sum(map(len, pieces)) == 1001


def test_a_member_larger_than_any_picture_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    file = member(written(tmp_path / "s.zip", bomb(limits.FILE_BYTES + 1, 5_000_000)), BAD)
    with pytest.raises(UnreadableError, match=r"it has 1,073,741,825 bytes|it cannot have"):
        file.read()
    honest = member(written(tmp_path / "s.zip", bomb(5_000_000, 5_000_000)), BAD)
    with pytest.raises(UnreadableError, match="it has 5,000,000 bytes, the limit is 4,999,999"):
        honest.read(limit=4_999_999)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it has no directory"),
        (b"PK\5\6", "it has no directory"),
        (bytes(packed().data[:-30]), "it has no directory"),
        (bytes(packed().data[100:]), "damaged|not where it says"),
        (struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0), "its directory is not where it says"),
        (bytes(46) + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0), "damaged after 0 members"),
    ],
)
def test_a_broken_directory_is_named(tmp_path: Path, data: bytes, text: str) -> None:
    with pytest.raises(SourceError, match=rf"s.zip is not a complete zip: .*({text}).*; download it again"):
        read_all(written(tmp_path / "s.zip", data))


def read_all(archive: Archive) -> dict[str, bytes]:
    return {name: member(archive, name).read() for name in archive.members}


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.zip"
    path.write_bytes(packed().data)
    monkeypatch.setattr(limits, "ZIP_MEMBERS", 2)
    with pytest.raises(SourceError, match=r"s.zip has more members than the 2 that are read.*; extract it"):
        read_archive(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2H", data, data.rindex(b"PK\5\6") + 8, 1, 1)  # a count that lies
    path.write_bytes(data)
    with pytest.raises(SourceError, match="more members than the 2"):
        read_archive(path)


def test_a_directory_of_4_million_members_is_refused_unread(tmp_path: Path) -> None:
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 4_000_000, 4_000_000, 400_000_000, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 400_000_000, 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with (tmp_path / "s.zip").open("wb") as file:
        file.seek(400_000_000)
        file.write(end64 + locator + end)
    with pytest.raises(SourceError, match="more members than the 2,000,000"):
        read_archive(tmp_path / "s.zip")


# --- zips inside zips ---------------------------------------------------------------------------------


def nested(path: Path, inner: bytes, method: int) -> Archive:
    with zipfile.ZipFile(path, "w", method) as out:
        out.writestr("annotations/panoptic_s.zip", inner)
    return read_archive(path)


def opened(archive: Archive, cache: Path) -> Archive | None:
    return nested_archive(archive, "annotations/panoptic_s.zip", cache, lambda _: None)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_inside_a_zip(tmp_path: Path, method: int) -> None:
    inner = opened(nested(tmp_path / "a.zip", packed().data, method), tmp_path / "cache")
    assert inner is not None
    assert read_all(inner) == CONTENTS


def test_unpacking_the_same_zip_at_the_same_time_changes_no_file(tmp_path: Path) -> None:
    outer = nested(tmp_path / "a.zip", packed().data, zipfile.ZIP_DEFLATED)
    first = opened(outer, tmp_path / "cache")
    assert first is not None
    first.path.unlink()  # as if another process had found nothing there yet
    opened(outer, tmp_path / "cache")
    assert read_all(first) == CONTENTS


def test_an_offset_behind_the_end_of_the_outer_zip_is_named(tmp_path: Path) -> None:
    nested(tmp_path / "a.zip", packed().data, zipfile.ZIP_STORED)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    struct.pack_into("<I", data, data.rindex(b"annotations/panoptic_s.zip") - 4, 0xFFFFFFF0)
    outer = written(tmp_path / "a.zip", data)
    with pytest.raises(SourceError, match=r"panoptic_s.zip in .*a.zip: it reaches beyond the end"):
        opened(outer, tmp_path / "cache")


def test_an_inner_zip_that_lies_about_its_size_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    data = bomb(1000, 5_000_000).replace(BAD.encode(), b"a/p.zip")
    outer = written(tmp_path / "a.zip", data)
    with pytest.raises(SourceError, match=r"a/p.zip in .*a.zip is damaged"):
        nested_archive(outer, "a/p.zip", tmp_path / "cache", lambda _: None)
    assert list((tmp_path / "cache").iterdir()) == []


# --- against the standard library ---------------------------------------------------------------------

NAMES = st.text("ab/é.", min_size=1, max_size=8).filter(lambda name: not name.endswith("/"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    contents=st.dictionaries(NAMES, st.binary(max_size=50), max_size=5),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=30),
    before=st.binary(max_size=30),
    zip64=st.booleans(),
)
def test_members_are_those_that_zipfile_finds(
    tmp_path: Path, contents: dict[str, bytes], method: int, comment: bytes, before: bytes, zip64: bool
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        out.comment = comment
        for name, content in contents.items():
            with out.open(name, "w", force_zip64=zip64) as file:
                file.write(content)
    archive = written(tmp_path / "s.zip", before + buffer.getvalue())
    assert read_all(archive) == contents


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_change_of_bytes_gives_wrong_content_or_a_foreign_error(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    data = packed().data
    for place, value in changes:
        data[place % len(data)] = value
    try:
        archive = written(tmp_path / "s.zip", data)
    except MfsynthError:
        return
    for name in archive.members:
        try:
            content = member(archive, name).read()
        except MfsynthError:
            continue
        assert content in CONTENTS.values()
