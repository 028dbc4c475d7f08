"""Where a split's places may be, and what may stand in their way."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from coco_folder import Picture, annotations_path, write_coco

from mfsynth.coco.finding.files import FileRef
from mfsynth.coco.split import read_split
from mfsynth.errors import SourceError


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco", "s", [Picture(1)])
    return tmp_path / "coco"


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_may_be_where_datumaro_puts_them(coco: Path, zipped: bool) -> None:
    (coco / "panoptic_s").rename(coco / "annotations" / "panoptic_s")
    (coco / "images").mkdir()
    (coco / "s").rename(coco / "images" / "s")
    if zipped:
        with zipfile.ZipFile(coco / "images" / "s.zip", "w") as out:
            out.write(coco / "images" / "s" / Picture(1).name, f"s/{Picture(1).name}")
        shutil.rmtree(coco / "images" / "s")
    (entry,) = read_split(coco, "s", cache=coco / "cache").entries
    assert isinstance(entry.picture, FileRef)
    assert entry.picture.read().startswith(b"\xff\xd8")
    assert isinstance(entry.mask, FileRef)


def pipe_for_annotations(coco: Path) -> None:
    annotations_path(coco, "s").unlink()
    os.mkfifo(annotations_path(coco, "s"))


def huge_annotations(coco: Path) -> None:
    os.truncate(annotations_path(coco, "s"), 100 << 30)


def pipe_for_pictures(coco: Path) -> None:
    shutil.rmtree(coco / "s")
    os.mkfifo(coco / "s.zip")


def pipe_for_masks(coco: Path) -> None:
    shutil.rmtree(coco / "panoptic_s")
    os.mkfifo(coco / "panoptic_annotations.zip")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (pipe_for_annotations, r"panoptic_s\.json: it is a named pipe, not a regular file"),
        (huge_annotations, r"panoptic_s\.json has 107\.4 GB, the limit is 8\.6 GB"),
        (pipe_for_pictures, r"s\.zip: it is a named pipe, not a regular file"),
        (pipe_for_masks, r"panoptic_annotations\.zip: it is a named pipe, not a regular file"),
    ],
)
def test_what_is_no_file_is_named_and_not_waited_for(
    coco: Path, spoil: Callable[[Path], None], text: str
) -> None:
    spoil(coco)
    with pytest.raises(SourceError, match=text):
        read_split(coco, "s", cache=coco / "cache")


def test_a_folder_may_have_any_name(coco: Path, tmp_path: Path) -> None:
    renamed = coco.rename(tmp_path / os.fsdecode(b"pictures \xff\n"))
    (entry,) = read_split(renamed, "s", cache=tmp_path / "cache").entries
    assert isinstance(entry.picture, FileRef)
    assert entry.picture.read()
