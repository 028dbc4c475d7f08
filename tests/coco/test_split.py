"""The three places of a split: extracted, in zips, in zips inside zips."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from coco_folder import Picture, annotations_path, edit_annotations, save_annotations, write_coco

from mfsynth.coco.locate import coco_folder
from mfsynth.coco.split import Split, read_split
from mfsynth.errors import SourceError

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
    return [(e.image.id, e.picture.read(), e.mask.read()) for e in split.entries if e.picture and e.mask]


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
    assert len(said) == (layout == "nested, deflated")  # unpacked once, and said aloud


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("s", r"no pictures of split 's': neither s/ nor s.zip is there; .*mfsynth download --split s"),
        ("panoptic_s", r"no masks of split 's': .*--masks instances"),
        ("annotations", r"no annotations/panoptic_s.json, .*mfsynth download"),
    ],
)
def test_a_missing_place_is_named_with_the_remedy(coco: Path, tmp_path: Path, place: str, text: str) -> None:
    shutil.rmtree(coco / place)
    with pytest.raises(SourceError, match=text):
        read_split(coco, "s", cache=tmp_path)


def twice(content: dict) -> None:
    content["images"].append(content["images"][0])


def segment_twice(content: dict) -> None:
    content["annotations"][0]["segments_info"] *= 2


def segment_id(id: int) -> Callable[[dict], object]:
    return lambda content: content["annotations"][0]["segments_info"][0].update(id=id)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (twice, "image 30 is listed more than once"),
        (segment_twice, "image 30 lists a segment id twice"),
        (segment_id(0), r"image 30 has a segment id outside 1 to 2\^24 - 1"),
        (segment_id(1 << 24), r"image 30 has a segment id outside"),
        (
            lambda c: c["images"][0].update(width="wide"),
            r"Expected `int`, got `str` - at `\$.images\[0\].width`",
        ),
        (lambda c: c["images"][0].update(height=0), "image 30 of 56 x 0 makes no sense"),
        (lambda c: c.pop("images"), "missing required field `images`"),
        (lambda c: c["annotations"][0].update(file_name="../x.png"), "leads outside its folder"),
    ],
)
def test_annotations_that_make_no_sense_are_refused(
    coco: Path, tmp_path: Path, change: Callable[[dict], object], text: str
) -> None:
    content = edit_annotations(coco, "s")
    change(content)
    save_annotations(coco, "s", content)
    with pytest.raises(SourceError, match=text):
        read_split(coco, "s", cache=tmp_path)


def test_null_licences_and_addresses_are_taken_as_unknown(coco: Path, tmp_path: Path) -> None:
    content = edit_annotations(coco, "s")
    content["images"][0] |= {"license": None, "coco_url": None, "flickr_url": "x"}
    save_annotations(coco, "s", content)
    image = read_split(coco, "s", cache=tmp_path).entries[-1].image
    assert (image.license, image.coco_url, image.flickr_url) == (0, "", "x")


def test_the_option_beats_the_environment_which_beats_the_cache(
    coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(given: Path | None, split: str) -> Path:
        return coco_folder(
            given, split, "panoptic", cache=tmp_path, approve=lambda _: False, say=lambda _: None
        )

    with pytest.raises(
        SourceError, match=r"'s' is no official split .*--coco DIR or MFSYNTH_COCO; .*--split demo"
    ):
        folder(None, "s")
    monkeypatch.setenv("MFSYNTH_COCO", str(coco))
    assert folder(None, "s") == coco
    with pytest.raises(SourceError, match=f"mfsynth download --split s --coco {tmp_path}"):
        folder(tmp_path, "s")
    assert folder(None, "demo") == folder(None, "demo") == tmp_path / "demo-1"


def test_a_large_download_needs_a_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfsynth.coco.download.missing_bytes", lambda *_, **__: 19_000_000_000)
    with pytest.raises(
        SourceError, match=r"train2017 is 19.0 GB to download and nobody agreed to that; add --yes"
    ):
        coco_folder(
            None, "train2017", "panoptic", cache=tmp_path, approve=lambda _: False, say=lambda _: None
        )
