from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfsynth import storage
from mfsynth.errors import ShardError
from mfsynth.shards import tar
from mfsynth.shards.writer import ShardWriter, tar_header

LARGE = 1 << 30
SAMPLES = [
    ("000000000001-000", {"json": b"{}", "gt.jpg": b"\xff\xd8" * 700, "segments.png": b""}),
    ("000000000001-001", {"json": b"{ }", "gt.jpg": b"x" * 512, "segments.png": b"y" * 511}),
    ("000000000020-000", {"json": b"1", "gt.jpg": b"2", "segments.png": b"3" * 513}),
]


def shard(tmp_path: Path) -> Path:
    with storage.scratch_file(tmp_path) as file:
        writer = ShardWriter(file)
        for key, members in SAMPLES:
            writer.add(key, members.items())
        writer.publish(storage.folder_at(tmp_path), "s-000000.tar")
    return tmp_path / "s-000000.tar"


def test_pythons_and_gnus_tar_read_what_is_written(tmp_path: Path) -> None:
    path = shard(tmp_path)
    with tarfile.open(path) as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert content == {f"{key}.{field}": data for key, members in SAMPLES for field, data in members.items()}


def test_the_recorded_size_and_hash_are_the_files(tmp_path: Path) -> None:
    with storage.scratch_file(tmp_path) as file:
        writer = ShardWriter(file)
        writer.add(SAMPLES[0][0], SAMPLES[0][1].items())
        made = writer.publish(storage.folder_at(tmp_path), "s-000000.tar")
    path = tmp_path / "s-000000.tar"
    assert (made.name, made.samples) == ("s-000000.tar", 1)
    assert (made.size, made.sha256) == (path.stat().st_size, storage.digest(path))


def test_a_shard_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with storage.scratch_file(tmp_path) as file:
        ShardWriter(file).add(SAMPLES[0][0], SAMPLES[0][1].items())
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_samples_come_back_in_order_and_by_place(tmp_path: Path) -> None:
    path = shard(tmp_path)
    with path.open("rb") as file:
        assert list(tar.samples(file, path.name, LARGE)) == SAMPLES
        file.seek(0)
        places = tar.index(file, path.name, LARGE)
        assert [tar.sample_at(file, place, path.name) for place in reversed(places)] == SAMPLES[::-1]


@settings(deadline=None)
@given(st.integers(0, 9 * 1024))
def test_a_shard_cut_anywhere_is_noticed(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    data = shard(tmp_path_factory.mktemp("shard")).read_bytes()
    cut = data[: min(size, len(data) - 1024)]  # the two closing blocks may be missing in part
    with pytest.raises(ShardError, match="is cut short"):
        list(tar.samples(io.BytesIO(cut), "s", LARGE))


class OneWay(io.BytesIO):
    """A stream that cannot seek, and how much was read of it."""

    taken = 0

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


class BothWays(OneWay):
    def seekable(self) -> bool:
        return True

    def seek(self, *where: int) -> int:
        return io.BytesIO.seek(self, *where)


@pytest.mark.parametrize("field", ["json", "gt.jpg", "segments.png", "focus.png"])
@pytest.mark.parametrize("kind", [OneWay, BothWays])
def test_one_member_of_every_sample_comes_by_itself(tmp_path: Path, field: str, kind: type[OneWay]) -> None:
    file = kind(shard(tmp_path).read_bytes())
    expected = [(key, members.get(field)) for key, members in SAMPLES]
    assert list(tar.members(file, "s", field, LARGE)) == expected


OTHERS = "gt.jpg", "segments.png"


def padding(*fields: str) -> int:
    """Bytes of padding behind the members of these fields; it is read with the next header."""
    return sum(-len(members[field]) % 512 for _, members in SAMPLES for field in fields)


def test_the_other_members_are_not_read(tmp_path: Path) -> None:
    file = BothWays(shard(tmp_path).read_bytes())
    list(tar.members(file, "s", "json", LARGE))
    assert file.taken == 512 * (9 + 3 + 1) + padding(*OTHERS)  # headers, recipes, the archive's end


def test_an_index_reads_only_headers(tmp_path: Path) -> None:
    file = BothWays(shard(tmp_path).read_bytes())
    places = tar.index(file, "s", LARGE)
    assert [place.key for place in places] == [key for key, _ in SAMPLES]
    assert file.taken == 512 * (9 + 1) + padding("json", *OTHERS)
    file.seek(0)
    assert tar.first_key(file, "s", LARGE) == SAMPLES[0][0]
    assert file.taken == 512 * (9 + 1 + 1) + padding("json", *OTHERS)


def test_a_sample_by_its_place_leaves_the_files_position(tmp_path: Path) -> None:
    path = shard(tmp_path)
    with path.open("rb") as file:
        places = tar.index(file, path.name, LARGE)
        file.seek(100)
        assert tar.sample_at(file, places[1], path.name) == SAMPLES[1]
        assert file.tell() == 100


def test_a_sample_by_its_place_needs_nothing_of_the_next(tmp_path: Path) -> None:
    path = shard(tmp_path)
    with path.open("rb") as file:
        places = tar.index(file, path.name, LARGE)
        content = bytearray(path.read_bytes())
        content[places[2].start : places[2].start + 512] = b"\xff" * 512
        path.write_bytes(content)
        assert tar.sample_at(file, places[1], path.name) == SAMPLES[1]


def test_a_shard_that_changes_while_it_is_open_is_noticed(tmp_path: Path) -> None:
    path = shard(tmp_path)
    with path.open("rb") as file:
        places = tar.index(file, path.name, LARGE)
        content = path.read_bytes()
        path.write_bytes(content[: places[2].start + 700])
        assert tar.sample_at(file, places[1], path.name) == SAMPLES[1]
        with pytest.raises(ShardError, match=f"{path.name} is cut short"):
            tar.sample_at(file, places[2], path.name)
        path.write_bytes(bytes(len(content)))
        with pytest.raises(ShardError, match=f"{path.name} changed while it was read"):
            tar.sample_at(file, places[2], path.name)


@settings(deadline=None)
@given(st.integers(0, 9 * 1024))
def test_members_of_a_shard_cut_anywhere_are_missed(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    data = shard(tmp_path_factory.mktemp("shard")).read_bytes()
    cut = data[: min(size, len(data) - 1024)]
    with pytest.raises(ShardError, match="is cut short"):
        list(tar.members(io.BytesIO(cut), "s", "json", LARGE))


def archive(*members: tarfile.TarInfo) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as out:
        for member in members:
            out.addfile(member, io.BytesIO(bytes(member.size)))
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "name", ["../000000000001-000.json", "/000000000001-000.json", "x.json", "000000000001-000"]
)
def test_members_of_other_names_are_refused(name: str) -> None:
    with pytest.raises(ShardError, match="is not the name of a member of this format"):
        list(tar.samples(archive(tarfile.TarInfo(name)), "s", LARGE))


def test_links_are_refused() -> None:
    link = tarfile.TarInfo("000000000001-000.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(ShardError, match="is not a plain file"):
        list(tar.samples(archive(link), "s", LARGE))


def test_a_member_twice_is_refused() -> None:
    member = tarfile.TarInfo("000000000001-000.json")
    with pytest.raises(ShardError, match="occurs twice"):
        list(tar.samples(archive(member, member), "s", LARGE))


def test_what_is_no_archive_is_refused() -> None:
    with pytest.raises(ShardError, match="is damaged"):
        list(tar.samples(io.BytesIO(b"<html>" * 2000), "s", LARGE))


@given(st.from_regex(r"[0-9]{12}-[0-9]{3,5}\.[a-z0-9.]{1,60}", fullmatch=True), st.integers(0, 8**11 - 1))
def test_headers_are_the_standard_librarys(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert tar_header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)
