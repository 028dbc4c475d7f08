from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mfsynth.coco.files import Folder, ZipFolder, checked_name, zip_members
from mfsynth.errors import SourceError

CONTENT = bytes(range(256)) * 20


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", request.param) as out:
        out.writestr("s/a.jpg", CONTENT)
        out.writestr("s/empty.jpg", b"")
    return tmp_path / "s.zip"


def test_members_are_read_as_zipfile_reads_them(archive: Path) -> None:
    folder = ZipFolder(archive, "s", 0, zip_members(archive))
    found = folder.find("a.jpg")
    assert found is not None
    assert (found.size, found.read()) == (len(CONTENT), CONTENT)
    empty = folder.find("empty.jpg")
    assert empty is not None
    assert empty.read() == b""
    assert folder.find("b.jpg") is None


def test_a_damaged_member_is_named(archive: Path) -> None:
    found = ZipFolder(archive, "s", 0, zip_members(archive)).find("a.jpg")
    assert found is not None
    data = bytearray(archive.read_bytes())
    data[60] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"a.jpg in .*s.zip"):
        found.read()


def test_a_broken_zip_is_named(tmp_path: Path, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"s.zip is not a whole zip: .*; download it again"):
        zip_members(archive)


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(CONTENT)
    found = Folder(tmp_path).find("a.jpg")
    assert found is not None
    assert (found.size, found.read()) == (len(CONTENT), CONTENT)
    assert Folder(tmp_path).find("b.jpg") is None
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(SourceError, match=r"cannot read .*a.jpg"):
        found.read()


def test_a_name_too_long_for_a_file_is_a_missing_file(tmp_path: Path) -> None:
    assert Folder(tmp_path).find("x" * 300 + ".jpg") is None


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "C:/x", "..\\x", "a\\..\\x", "", "x\0y"]
)
def test_names_outside_the_folder_are_refused(name: str) -> None:
    with pytest.raises(SourceError, match="leads outside its folder"):
        checked_name(name, "here")


@pytest.mark.parametrize("name", ["a.jpg", "b/c.png", "..a.jpg", "a..b"])
def test_names_inside_the_folder_are_accepted(name: str) -> None:
    assert checked_name(name, "here") == name
