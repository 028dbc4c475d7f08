"""Listed names and the files that they mean, in folders and in zips."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from coco_folder import Picture, edit_annotations, save_annotations, write_coco
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mfsynth.coco.finding.files import FileRef, Missing
from mfsynth.coco.finding.names import Spelling, checked_name, fault
from mfsynth.coco.finding.trees import FileTree, Folder, ZipFolder
from mfsynth.coco.finding.zips import read_archive
from mfsynth.coco.split import read_split
from mfsynth.errors import SourceError

COMPOSED = "Caf\u00e9"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
PICTURES = Spelling(("s/", "images/s/"))
MASKS = Spelling(("s/", "annotations/s/"), png=True)

Make = Callable[[Path, Iterable[str], Spelling], FileTree]


def folder(root: Path, names: Iterable[str], spelling: Spelling) -> FileTree:
    """A folder whose files hold their own names."""
    for name in names:
        (root / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "s" / name).write_text(name)
    return Folder(root / "s", spelling)


def zipped(root: Path, names: Iterable[str], spelling: Spelling) -> FileTree:
    root.mkdir(exist_ok=True)
    with zipfile.ZipFile(root / "s.zip", "w") as out:
        for name in names:
            out.writestr(f"s/{name}", name)
    return ZipFolder(read_archive(root / "s.zip"), "s", spelling)


def content(found: FileRef | Missing) -> str:
    assert isinstance(found, FileRef), str(found)
    return found.read().decode()


@pytest.fixture(params=[folder, zipped])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("2024-01-31T10:20:30.jpg", "2024-01-31T10:20:30.jpg"),
        ("C:x.jpg", "C:x.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("a\\b.jpg", "a\\b.jpg"),
        ("./a//b.jpg", "a/b.jpg"),
        ("..a.jpg", "..a.jpg"),
        ("a..b", "a..b"),
        (f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
        (f"{DECOMPOSED}.jpg", f"{COMPOSED}.jpg"),
        (f"{COMPOSED}/{COMPOSED}.jpg", f"{DECOMPOSED}/{DECOMPOSED}.jpg"),
        (f"{COMPOSED}\\a.jpg", f"{DECOMPOSED}/a.jpg"),
        ("a.jpg", "a.JPG"),
        ("a.JPG", "a.jpg"),
        (f"{COMPOSED}.jpg", f"{DECOMPOSED}.JPG"),
        ("s/a.jpg", "a.jpg"),
        ("images/s/a.jpg", "a.jpg"),
        ("images\\s\\a.jpg", "a.jpg"),
        ("s/a.jpg", "s/a.jpg"),
        (" a b .jpg ", " a b .jpg "),
    ],
)
def test_pictures_are_found_as_they_are_listed(tmp_path: Path, make: Make, listed: str, there: str) -> None:
    assert content(make(tmp_path, [there, "other.jpg"], PICTURES).find(listed)) == there


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("1.png", "1.png"),
        ("1.PNG", "1.PNG"),
        ("1.png", "1.PNG"),
        ("1.PNG", "1.png"),
        ("1.jpg", "1.png"),
        ("1.JPEG", "1.png"),
        ("1.jpg", "1.PNG"),
        ("1", "1.png"),
        ("scene.1", "scene.1.png"),
        ("s/1.png", "1.png"),
        ("annotations/s/1.jpg", "1.png"),
        ("annotations\\s\\1", "1.PNG"),
    ],
)
def test_masks_are_pngs_whatever_they_are_listed_as(
    tmp_path: Path, make: Make, listed: str, there: str
) -> None:
    assert content(make(tmp_path, [there, "other.png"], MASKS).find(listed)) == there


@pytest.mark.parametrize(
    ("listed", "there", "expected"),
    [
        (f"{COMPOSED}.jpg", [f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"], f"{COMPOSED}.jpg"),
        ("a.jpg", ["a.JPG", "a.jpg"], "a.jpg"),
        ("a\\b.jpg", ["a\\b.jpg", "a/b.jpg"], "a\\b.jpg"),
        ("s/a.jpg", ["a.jpg", "s/a.jpg"], "s/a.jpg"),
        (f"{COMPOSED}/a.jpg", [f"{COMPOSED}/a.JPG", f"{DECOMPOSED}/b.jpg"], f"{COMPOSED}/a.JPG"),
    ],
)
def test_the_name_as_written_comes_first(
    tmp_path: Path, make: Make, listed: str, there: list[str], expected: str
) -> None:
    assert content(make(tmp_path, there, PICTURES).find(listed)) == expected


def reason(files: FileTree, name: str) -> str:
    missing = files.find(name)
    assert isinstance(missing, Missing), missing
    return missing.reason


def test_a_file_that_is_not_there_comes_with_where_it_was_looked_for(tmp_path: Path) -> None:
    extracted, packed = folder(tmp_path, ["x"], PICTURES), zipped(tmp_path, ["x"], PICTURES)
    assert reason(extracted, "a.jpg") == "is not there; looked for 's/a.jpg'"
    assert reason(packed, "a.jpg") == "is not there; looked for 's/a.jpg' in s.zip"
    assert reason(extracted, "i\\a.jpg") == "is not there; looked for 's/i\\a.jpg' and 's/i/a.jpg'"
    assert reason(Folder(tmp_path / "s", MASKS), "a.jpg") == (
        "is not there; looked for 's/a.png' and 's/a.jpg'"
    )
    assert reason(extracted, "a\x1b[2J.jpg") == r"is not there; looked for 's/a\x1b[2J.jpg'"


def test_two_files_that_fit_alike_are_both_named(tmp_path: Path, make: Make) -> None:
    why = reason(make(tmp_path, ["a.Jpg", "a.JPG"], PICTURES), "a.jpg")
    assert why.replace(" in s.zip", "") == "could be any of 's/a.JPG', 's/a.Jpg'"


WRONG = {
    "../x": "leads outside its folder",
    "a/../../x": "leads outside its folder",
    "a/../x": "leads outside its folder",
    "/etc/passwd": "leads outside its folder",
    "C:/x": "leads outside its folder",
    "C:\\x": "leads outside its folder",
    "\\\\server\\x": "leads outside its folder",
    "\\x": "leads outside its folder",
    "..\\x": "leads outside its folder",
    "a\\..\\x": "leads outside its folder",
    "": "is empty",
    ".": "names a folder",
    "x\0y": "has a NUL character",
    "x\ud800": "is not Unicode",
    "x" * 300 + ".jpg": "is too long for a file name",
    "x/" * 3000: "is too long for a file name",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_names_no_file_has_its_reason(tmp_path: Path, make: Make, name: str) -> None:
    (tmp_path / "x").write_text("outside")
    assert reason(make(tmp_path, ["a/x"], PICTURES), name) == WRONG[name]
    with pytest.raises(SourceError, match=f"here: the file name .* {WRONG[name]}"):
        checked_name(name, "here")


def test_names_on_disk_that_are_not_utf_8_are_others(tmp_path: Path) -> None:
    files = folder(tmp_path, [f"{DECOMPOSED}.jpg"], PICTURES)
    (tmp_path / "s" / os.fsdecode(b"\xff.jpg")).write_text("x")
    assert content(files.find(f"{COMPOSED}.jpg")) == f"{DECOMPOSED}.jpg"
    assert isinstance(files.find("\u00ff.jpg"), Missing)


def edited(path: Path, old: bytes, new: bytes, **changes: int) -> None:
    """Rename a zip's members, and change fields in their directory entries by offset."""
    data = bytearray(path.read_bytes().replace(old, new))
    entry = data.index(b"PK\x01\x02")
    for field, value in changes.items():
        data[entry + int(field.strip("_"))] = value
    path.write_bytes(data)


def test_names_in_zips_of_other_systems(tmp_path: Path) -> None:
    """macOS writes UTF-8 without saying so, DOS code page 437, and Windows once wrote backslashes."""
    for name, raw, changes in (
        (f"{COMPOSED}.jpg", f"s/{DECOMPOSED}.jpg".encode(), {}),
        (f"{COMPOSED}.jpg", b"s/Caf\x82.jpg", {}),
        ("a/b.jpg", b"s\\a\\b.jpg", {"_5": 0}),
    ):
        place = "s/" + "x" * (len(raw) - 2)
        zipped(tmp_path, [place[2:]], PICTURES)
        edited(tmp_path / "s.zip", place.encode(), raw, **changes)
        assert content(ZipFolder(read_archive(tmp_path / "s.zip"), "s").find(name)) == place[2:]


PIECES = st.sampled_from(["..", ".", "/", "\\", "C:", "s", "images", "outside", "\u00e9", " "])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.lists(PIECES, max_size=8).map("".join))
@example("..\\..\\outside")
@example("images/s/../../outside")
def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "coco" / "s"
    inside.mkdir(parents=True, exist_ok=True)
    (tmp_path / "outside").write_text("secret")
    found = Folder(inside, PICTURES).find(name)
    assert isinstance(found, Missing), found
    if not fault(name):
        for path in PICTURES.of(name):
            assert Path(os.path.normpath(inside / path)).is_relative_to(inside)


LETTERS = st.text("aB1-_ é\u00fc\uac00", min_size=1, max_size=6).filter(lambda text: text.strip())
FORMS = st.sampled_from(["NFC", "NFD"])
SEPARATORS = st.sampled_from(["/", "\\"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=st.lists(LETTERS, min_size=1, max_size=3), listed=FORMS, there=FORMS, separator=SEPARATORS)
def test_every_normalization_and_separator_finds_the_file(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], listed: str, there: str, separator: str
) -> None:
    name = unicodedata.normalize(listed, separator.join(parts) + ".jpg")  # type: ignore[arg-type]
    path = unicodedata.normalize(there, "/".join(parts) + ".JPG")  # type: ignore[arg-type]
    root = tmp_path_factory.mktemp("names")
    for make in (folder, zipped):
        assert content(make(root, [path], PICTURES).find(name)) == path


def test_a_wrong_name_costs_its_image_and_says_which_file_lists_it(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(1), Picture(2), Picture(3)])
    listed = edit_annotations(tmp_path, "s")
    listed["images"][0]["file_name"] = "../x.jpg"
    listed["annotations"][1]["file_name"] = "C:\\x.png"
    save_annotations(tmp_path, "s", listed)
    first, second, third = read_split(tmp_path, "s", cache=tmp_path / "cache").entries
    assert str(first.picture) == "panoptic_s.json: '../x.jpg' leads outside its folder"
    assert str(second.mask) == r"panoptic_s.json: 'C:\x.png' leads outside its folder"
    assert isinstance(third.picture, FileRef)
    assert isinstance(third.mask, FileRef)
