"""Files that change between a build's planning and its reading: the build stops, and keeps nothing wrong."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from coco_folder import Picture, write_coco
from conftest import Cli, tree

from mfsynth.building.run import Run, build
from mfsynth.errors import ChangedError
from mfsynth.options import BuildOptions

OPTIONS = BuildOptions("s", shards=3)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco", "s", [Picture(1), Picture(2), Picture(3)])
    return tmp_path / "coco"


def picture(coco: Path) -> Path:
    return coco / "s" / Picture(3).name


def mask(coco: Path) -> Path:
    return coco / "panoptic_s" / f"{3:012d}.png"


def other_content(path: Path) -> None:
    """Another whole picture, of another size."""
    shutil.copy(path.with_name(path.name.replace("3", "1")), path.with_name("new"))
    path.with_name("new").replace(path)


def other_time(path: Path) -> None:
    """The same size, at another time: the content may be anything."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


CHANGES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object], str]] = {
    "picture replaced": (picture, other_content, r"has changed \([\d,]+ bytes then, [\d,]+ now\) since"),
    "picture of the same size": (picture, other_time, "has changed since"),
    "picture gone": (picture, Path.unlink, "is gone since"),
    "mask of the same size": (mask, other_time, "has changed since"),
    "mask gone": (mask, Path.unlink, "is gone since"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_build_stops_at_a_file_that_changed_since_it_was_planned(
    coco: Path, tmp_path: Path, change: str
) -> None:
    find, alter, text = CHANGES[change]
    out, path = tmp_path / "out", find(coco)
    shutil.copytree(coco, tmp_path / "before")
    altered: list[object] = []

    def alter_once(done: int, _: int) -> None:
        if done == 1 and not altered:  # the first shard is finished, the next not begun
            altered.append(alter(path))

    with pytest.raises(
        ChangedError, match=f"{path} {text}.*leave the data unchanged, and run the same command again"
    ):
        build(OPTIONS, Run(coco, out, workers=1, progress=alter_once))
    assert sorted(each.name for each in out.glob("*")) == [".parts", "s-000000.tar", "s-000001.tar"]
    assert not list((out / ".parts").glob("tmp-*"))
    shutil.copy2(find(tmp_path / "before"), path)
    assert build(OPTIONS, Run(coco, out, workers=1)).kept == 2
    build(OPTIONS, Run(coco, tmp_path / "reference", workers=1))
    assert tree(out) == tree(tmp_path / "reference")


def test_a_build_stops_at_a_zip_that_changed_since_it_was_planned(coco: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(coco / "s.zip", "w") as out:
        for path in sorted((coco / "s").iterdir()):
            out.write(path, f"s/{path.name}")
    shutil.rmtree(coco / "s")

    def touch(done: int, _: int) -> None:
        if done == 1:
            other_time(coco / "s.zip")

    with pytest.raises(ChangedError, match=r"s\.zip has changed since its split was read"):
        build(OPTIONS, Run(coco, tmp_path / "out", workers=1, progress=touch))


def test_links_lead_to_other_disks_and_a_link_that_leads_nowhere_is_named(
    coco: Path, tmp_path: Path, cli: Cli
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (coco / "panoptic_s").rename(disk / "masks")
    (coco / "panoptic_s").symlink_to(disk / "masks")
    picture(coco).rename(disk / "picture")
    picture(coco).symlink_to(disk / "picture")
    command = ["build", "--split", "s", "--coco", coco, "--strict"]
    assert cli(*command, "--out", tmp_path / "out").returncode == 0
    (disk / "picture").unlink()
    run = cli(*command, "--out", tmp_path / "again")
    assert run.returncode == 1
    assert f"'s/{Picture(3).name}' (a link that leads nowhere)" in run.stderr
