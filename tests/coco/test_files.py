from __future__ import annotations

import os
import socket
import zipfile
from pathlib import Path

import pytest

from mfsynth.coco.finding.files import FileRef, Missing
from mfsynth.coco.finding.trees import FileTree, Folder, ZipFolder
from mfsynth.coco.finding.zips import read_archive
from mfsynth.errors import ChangedError, SourceError, UnreadableError

CONTENT = bytes(range(256)) * 20


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", request.param) as out:
        out.writestr("s/a.jpg", CONTENT)
        out.writestr("s/empty.jpg", b"")
    return tmp_path / "s.zip"


def found(files: FileTree, name: str) -> FileRef:
    file = files.find(name)
    assert isinstance(file, FileRef), file
    return file


def test_members_are_read_as_zipfile_reads_them(archive: Path) -> None:
    folder = ZipFolder(read_archive(archive), "s")
    file = found(folder, "a.jpg")
    assert (file.size, file.read()) == (len(CONTENT), CONTENT)
    assert found(folder, "empty.jpg").read() == b""
    assert isinstance(folder.find("b.jpg"), Missing)


def test_a_damaged_member_is_named(archive: Path) -> None:
    folder = ZipFolder(read_archive(archive), "s")
    status = archive.stat()
    data = bytearray(archive.read_bytes())
    data[60] ^= 0xFF
    archive.write_bytes(data)
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if it always had been
    with pytest.raises(SourceError, match=r"a.jpg in .*s.zip is damaged"):
        found(folder, "a.jpg").read()


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(CONTENT)
    file = found(Folder(tmp_path), "a.jpg")
    assert (file.size, file.read()) == (len(CONTENT), CONTENT)
    assert isinstance(Folder(tmp_path).find("b.jpg"), Missing)


# --- only the file that was planned with is read -------------------------------------------------------


def replaced(path: Path) -> None:
    """Another file of the same size in its place."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    other.replace(path)


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (replaced, r"has changed since"),
        (grown, r"has changed \(5,120 bytes then, 5,121 now\)"),
        (Path.unlink, "is gone"),
    ],
)
def test_a_file_that_changed_since_it_was_found_is_not_read(tmp_path: Path, change: object, how: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(CONTENT)
    os.utime(path, (1, 1))
    file = found(Folder(tmp_path), "a.jpg")
    assert callable(change)
    change(path)
    with pytest.raises(
        ChangedError, match=f"a.jpg {how}.*; leave the data unchanged, and run the same command again"
    ):
        file.read()


def test_a_zip_that_changed_since_it_was_read_is_not_read_again(archive: Path) -> None:
    os.utime(archive, (1, 1))
    file = found(ZipFolder(read_archive(archive), "s"), "a.jpg")
    replaced(archive)
    with pytest.raises(ChangedError, match=r"s.zip has changed"):
        file.read()


@pytest.mark.parametrize("change", [grown, lambda path: path.write_bytes(bytes(path.stat().st_size))])
def test_a_file_that_changes_while_it_is_read_is_not_taken_for_damaged(archive: Path, change: object) -> None:
    os.utime(archive, (1, 1))
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr("s/large.jpg", os.urandom(1_000_000))
    pieces = found(ZipFolder(read_archive(archive), "s"), "large.jpg").chunks()
    next(pieces)
    assert callable(change)
    change(archive)
    with pytest.raises(ChangedError, match=r"s.zip has changed"):
        list(pieces)


# --- what is no regular file --------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


IRREGULAR = {
    "a named pipe": pipe,
    "a socket": unix_socket,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_only_regular_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have some 100 letters
    IRREGULAR[kind](tmp_path / "a.jpg")
    with pytest.raises(UnreadableError, match=f"a.jpg: it is {kind}, not a regular file"):
        found(Folder(tmp_path), "a.jpg").read()


def test_a_pipe_that_takes_a_file_s_place_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(CONTENT)
    file = found(Folder(tmp_path), "a.jpg")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableError, match=r"a.jpg: it is a named pipe"):
        file.read()


def test_a_sparse_file_is_refused_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    os.truncate(tmp_path / "a.jpg", 100 << 30)
    with pytest.raises(UnreadableError, match="it has 107,374,182,400 bytes, the limit is 1,073,741,824"):
        found(Folder(tmp_path), "a.jpg").read()


def test_links_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.jpg").write_bytes(CONTENT)
    (tmp_path / "s").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "b.jpg").symlink_to(tmp_path / "disk" / "a.jpg")
    for name in ("a.jpg", "b.jpg"):
        assert found(Folder(tmp_path / "s"), name).read() == CONTENT


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "a.jpg").symlink_to(tmp_path / "gone")
    missing = Folder(folder).find("a.jpg")
    assert str(missing).endswith("'a.jpg' is not there; looked for 's/a.jpg' (a link that leads nowhere)")
    (folder / "b.jpg").symlink_to(folder / "b.jpg")
    with pytest.raises(UnreadableError, match=r"b.jpg: Too many levels of symbolic links"):
        found(Folder(folder), "b.jpg").read()
