"""The three places of a split: extracted, in zips, in zips inside zips."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from coco_folder import Picture, annotations_path, edit_annotations, save_annotations, write_coco
from conftest import Cli
from unprivileged import mode, obey_permissions

from mfsynth.coco.finding.files import FileRef
from mfsynth.coco.official.resolve import coco_folder, download_size
from mfsynth.coco.split import Masks, Split, read_split
from mfsynth.errors import SourceError
from mfsynth.options import BuildOptions, choose

PICTURES = [Picture(30), Picture(7), Picture(12)]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco", "s", PICTURES)
    return tmp_path / "coco"


def pack(folder: Path, archive: Path, method: int = zipfile.ZIP_STORED) -> None:
    """Replace a folder by a zip of it."""
    with zipfile.ZipFile(archive, "w", method) as out:
        for path in sorted(folder.iterdir()):
            out.write(path, f"{folder.name}/{path.name}")
    shutil.rmtree(folder)


def nest_masks(coco: Path, method: int) -> None:
    """Masks in a zip inside the annotations' zip, as COCO ships them."""
    pack(coco / "panoptic_s", coco / "inner.zip")
    with zipfile.ZipFile(coco / "panoptic_annotations_trainval2017.zip", "w", method) as out:
        out.write(annotations_path(coco, "s"), "annotations/panoptic_s.json")
        out.write(coco / "inner.zip", "annotations/panoptic_s.zip")
    (coco / "inner.zip").unlink()
    shutil.rmtree(coco / "annotations")


LAYOUTS: dict[str, Callable[[Path], object]] = {
    "extracted": lambda coco: None,
    "masks beside the annotations": lambda coco: (coco / "panoptic_s").rename(
        coco / "annotations" / "panoptic_s"
    ),
    "stored zips": lambda coco: (
        pack(coco / "s", coco / "s.zip"),
        pack(coco / "panoptic_s", coco / "panoptic_s.zip"),
    ),
    "deflated zip": lambda coco: pack(coco / "s", coco / "s.zip", zipfile.ZIP_DEFLATED),
    "nested, stored": lambda coco: (pack(coco / "s", coco / "s.zip"), nest_masks(coco, zipfile.ZIP_STORED)),
    "nested, deflated": lambda coco: nest_masks(coco, zipfile.ZIP_DEFLATED),
}


def contents(split: Split) -> list[tuple[int, bytes, bytes]]:
    return [
        (e.image.id, e.picture.read(), e.mask.read())
        for e in split.entries
        if isinstance(e.picture, FileRef) and isinstance(e.mask, FileRef)
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bytes(coco: Path, tmp_path: Path, layout: str) -> None:
    extracted = read_split(coco, "s", cache=tmp_path / "cache")
    expected = contents(extracted)
    assert [id for id, _, _ in expected] == [7, 12, 30]
    LAYOUTS[layout](coco)
    said: list[str] = []
    for _ in range(2):
        split = read_split(coco, "s", cache=tmp_path / "cache", say=said.append)
        assert contents(split) == expected
        assert split.annotations_sha256 == extracted.annotations_sha256
    assert len(said) == (layout == "nested, deflated")  # unpacked once, with a message


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("s", r"no pictures of split 's': there is no s/, s.zip, images/s/ or images/s.zip; .*--split s"),
        ("panoptic_s", r"no masks of split 's': .*--masks instances"),
        ("annotations", r"no annotations/panoptic_s.json, .*mfsynth download"),
    ],
)
def test_a_missing_place_is_named_with_a_remedy(coco: Path, tmp_path: Path, place: str, text: str) -> None:
    shutil.rmtree(coco / place)
    with pytest.raises(SourceError, match=text):
        read_split(coco, "s", cache=tmp_path)


@pytest.mark.parametrize(
    ("categories", "stuff"),
    [
        (
            [{"id": 1, "isthing": 1}, {"id": 2, "isthing": 0}, {"id": 3, "isthing": False, "name": "sky"}],
            {2, 3},
        ),
        ([{"id": "2", "isthing": "0"}, {"id": 3.0, "isthing": 0.0}], {2, 3}),
        ([{"id": 1, "name": "no isthing"}, {"id": 2, "isthing": None}], set()),
        (None, set()),
        ([], set()),
        ([{"name": "no id", "isthing": 0}], None),
        ({"1": "sky"}, None),
        (["sky"], None),
        ([{"id": 1, "isthing": "no"}], None),
    ],
)
@pytest.mark.parametrize("odd", [False, True])
def test_categories_say_what_is_stuff(
    coco: Path, tmp_path: Path, categories: object, stuff: set[int] | None, odd: bool
) -> None:
    """Whether or not the other records are as COCO writes them. Unread ones matter only to a layout."""
    content = edit_annotations(coco, "s")
    content["categories"] = categories
    if odd:
        content["images"].append({"id": -1})
    save_annotations(coco, "s", content)
    split = read_split(coco, "s", cache=tmp_path / "cache")
    assert split.stuff == stuff
    assert all(entry.stuff == (stuff or set()) for entry in split.entries)
    assert len(choose(split, BuildOptions("s")).entries) == 3
    if stuff is None:
        with pytest.raises(SourceError, match=r"categories in .* cannot be read.*--order layout needs them"):
            choose(split, BuildOptions("s", order="layout"))


def test_annotations_without_categories_have_no_stuff(coco: Path, tmp_path: Path) -> None:
    content = edit_annotations(coco, "s")
    del content["categories"]
    save_annotations(coco, "s", content)
    assert read_split(coco, "s", cache=tmp_path / "cache").stuff == set()


def test_annotations_that_take_a_while_are_announced(coco: Path, tmp_path: Path) -> None:
    with annotations_path(coco, "s").open("a") as file:
        file.write(" " * 60_000_000)
    said: list[str] = []
    read_split(coco, "s", cache=tmp_path, say=said.append)
    assert said == [f"reading {annotations_path(coco, 's')} (60 MB) and looking for its files"]


@pytest.mark.parametrize("spoil", ["encrypted", "method 99"])
def test_an_inner_zip_that_cannot_be_unpacked_is_named(coco: Path, tmp_path: Path, spoil: str) -> None:
    nest_masks(coco, zipfile.ZIP_DEFLATED)
    path = coco / "panoptic_annotations_trainval2017.zip"
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the directory's last entry: the inner zip
    if spoil == "encrypted":
        data[entry + 8] |= 1
    else:
        data[entry + 10] = 99
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"panoptic_s.zip in .*: it (is {spoil}|uses compression {spoil})"):
        read_split(coco, "s", cache=tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(coco: Path) -> None:
    nest_masks(coco, zipfile.ZIP_DEFLATED)
    with pytest.raises(SourceError, match=r"cannot unpack .* to /proc/xx: .*set XDG_CACHE_HOME to a folder"):
        read_split(coco, "s", cache=Path("/proc/xx"), say=lambda _: None)


def test_places_that_cannot_be_searched_are_named(coco: Path, tmp_path: Path, cli: Cli) -> None:
    command = ["build", "--split", "s", "--coco", coco, "--out", tmp_path / "out"]
    for folder in (coco, coco / "s", coco / "panoptic_s", coco / "annotations"):
        with mode(0o600, folder):
            run = cli(*command, preexec_fn=obey_permissions)
        assert run.returncode == 1
        assert "Permission denied" in run.stderr
        assert str(folder) in run.stderr
        assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_an_unwritable_place_for_the_demo_split_is_named(tmp_path: Path, cli: Cli) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": "/proc/xx"}
    built = cli("build", "--split", "demo", "--out", tmp_path / "out", env=environment)
    fetched = cli("download", "--split", "demo", "--coco", "/proc/xx")
    for run, folder in ((built, "/proc/xx/mfsynth"), (fetched, "/proc/xx")):
        assert run.returncode == 1
        assert f"cannot write to {folder}: " in run.stderr
        assert "Traceback" not in run.stderr


def test_scratch_of_killed_processes_in_the_cache_is_removed_after_a_day(coco: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("tmp-demo-old", "tmp-demo-new"):
        (cache / name / "demo").mkdir(parents=True)
    for name in ("tmp-old", "tmp-new"):
        (cache / name).write_bytes(b"half")
    for name in ("tmp-demo-old", "tmp-old"):
        os.utime(cache / name, (0, 0))
    nest_masks(coco, zipfile.ZIP_DEFLATED)
    read_split(coco, "s", cache=cache, say=lambda _: None)
    assert sorted(path.name for path in cache.glob("tmp-*")) == ["tmp-demo-new", "tmp-new"]


def test_a_split_in_the_cache_needs_no_download(coco: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    coco.rename(cache / "coco")

    def folder(split: str, masks: Masks = "panoptic") -> Path:
        return coco_folder(None, split, masks, cache=cache, approve=lambda _: False, say=lambda _: None)

    assert folder("s") == cache / "coco"
    write_coco(cache / "coco", "val2017", PICTURES)
    assert folder("val2017") == cache / "coco"
    assert download_size(None, "val2017", "panoptic", cache=cache) == 0
    nest_masks(cache / "coco", zipfile.ZIP_STORED)
    assert folder("s") == cache / "coco"
    with pytest.raises(SourceError, match="'s' is not an official split"):
        folder("s", "instances")


def test_the_option_precedes_the_environment_and_the_environment_the_cache(
    coco: Path, demo_coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(given: Path | None, split: str) -> Path:
        return coco_folder(
            given, split, "panoptic", cache=demo_coco.parent, approve=lambda _: False, say=lambda _: None
        )

    with pytest.raises(
        SourceError, match=r"'s' is not an official split .*--coco DIR or MFSYNTH_COCO; .*--split demo"
    ):
        folder(None, "s")
    monkeypatch.setenv("MFSYNTH_COCO", str(coco))
    assert folder(None, "s") == coco
    with pytest.raises(SourceError, match=f"mfsynth download --split s --coco {tmp_path}"):
        folder(tmp_path, "s")
    assert folder(None, "demo") == demo_coco


def test_a_large_download_needs_a_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfsynth.coco.official.download.missing_bytes", lambda *_, **__: 19_000_000_000)
    with pytest.raises(
        SourceError, match=r"train2017 is a download of 19.0 GB, which was not confirmed; add --yes"
    ):
        coco_folder(
            None, "train2017", "panoptic", cache=tmp_path, approve=lambda _: False, say=lambda _: None
        )
