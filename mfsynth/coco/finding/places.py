"""Where the three places of a split are in a COCO folder: its pictures, its masks, its annotations.

Each may be extracted, or still be in a zip. Pictures may also be under `images/`, as Datumaro writes them.
Depth maps are in a folder of their own, anywhere. All may be in an object store.
"""

from __future__ import annotations

from pathlib import Path
from posixpath import splitext
from typing import TYPE_CHECKING

from mfsynth.coco.finding.files import FileRef, Missing, read_errors
from mfsynth.coco.finding.names import AS_LISTED, Spelling, fault, shown
from mfsynth.coco.finding.nested import nested_archive
from mfsynth.coco.finding.trees import FileTree, Folder, RemoteFolder, ZipFolder
from mfsynth.coco.finding.zips import read_archive
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.storage import AnyPath

DEPTH_SUFFIXES = (".png", ".tif", ".tiff")


def has_split(coco: AnyPath, name: str) -> bool:
    """Whether a COCO folder has the pictures of a split, extracted or as a zip.

    Raises:
        SourceError: If the folder cannot be searched.
    """
    with read_errors(coco):
        return any(_is_there(place) for place in _picture_places(coco, name))


def has_annotations(coco: AnyPath, file_name: str) -> bool:
    """Whether a COCO folder has an annotation file, extracted or in a zip.

    Raises:
        SourceError: If the folder cannot be searched, or a zip of annotations is damaged.
    """
    with read_errors(coco):
        return _find_annotations(coco, file_name) is not None


def no_pictures(coco: AnyPath, name: str) -> SourceError:
    """The error for a COCO folder without the pictures of a split."""
    return SourceError(
        f"{coco} has no pictures of split {name!r}: there is no {name}/, {name}.zip, images/{name}/ or "
        f"images/{name}.zip",
        f"if it is an official split, run: mfsynth download --split {name} --coco {coco}",
    )


def picture_files(coco: AnyPath, name: str, listed_in: str) -> FileTree:
    """The pictures of a split.

    Raises:
        SourceError: If there are none, or their zip is damaged.
    """
    spelling = Spelling((f"{name}/", f"images/{name}/"), listed_in=listed_in)
    for place in _picture_places(coco, name):
        if _is_there(place):
            return _tree(place, spelling)
    raise no_pictures(coco, name)


def mask_files(coco: AnyPath, name: str, listed_in: str, cache: Path, say: Callable[[str], None]) -> FileTree:
    """The masks of a split; a zip of them that is deflated inside another is unpacked to the cache.

    Raises:
        SourceError: If there are none, or their zip is damaged.
    """
    folder = f"panoptic_{name}"
    spelling = Spelling((f"{folder}/", f"annotations/{folder}/"), png=True, listed_in=listed_in)
    for place in (coco / folder, coco / "annotations" / folder):
        if _is_there(place):
            return _tree(place, spelling)
    for path in _annotation_archives(coco):
        inner = nested_archive(read_archive(path), f"annotations/{folder}.zip", cache, say)
        if inner is not None:
            return ZipFolder(inner, folder, spelling)
    raise SourceError(
        f"{coco} has no masks of split {name!r}: neither {folder}/, annotations/{folder}/ nor a zip of them",
        "put them there, or build from --masks instances",
    )


def depth_files(folder: AnyPath, name: str) -> FileTree:
    """The depth maps of a split.

    Raises:
        SourceError: If there is no such folder, or its zip is damaged.
    """
    if not _is_there(folder):
        raise SourceError(
            f"there is no folder {folder} of depth maps", "give the folder that has a map for each picture"
        )
    return _tree(folder, Spelling((f"{name}/", f"images/{name}/")))


def depth_map(maps: FileTree, picture: str) -> FileRef | Missing:
    """The depth map of a picture: named like it, with another extension."""
    names = [splitext(picture)[0] + suffix for suffix in DEPTH_SUFFIXES]
    found = [each for each in map(maps.find, names) if isinstance(each, FileRef)]
    if len(found) == 1:
        return found[0]
    reason = fault(picture)
    if not reason:
        reason = (
            f"{'could be any of' if found else 'is not there; looked for'} {', '.join(map(shown, names))}"
        )
    return Missing(names[0], reason, "the depth maps")


def annotation_file(coco: AnyPath, file_name: str) -> FileRef:
    """An annotation file.

    Raises:
        SourceError: If there is none, or its zip is damaged.
    """
    found = _find_annotations(coco, file_name)
    if found is None:
        raise SourceError(
            f"{coco} has no annotations/{file_name}, neither extracted nor in a zip named *annotations*.zip",
            "put it there; for official splits, run: mfsynth download",
        )
    return found


def _find_annotations(coco: AnyPath, file_name: str) -> FileRef | None:
    found = _folder(coco / "annotations", deep=False).find(file_name)
    if isinstance(found, FileRef):
        return found
    for path in _annotation_archives(coco):
        member = read_archive(path).file(f"annotations/{file_name}")
        if member is not None:
            return member
    return None


def _annotation_archives(coco: AnyPath) -> list[AnyPath]:
    return sorted([*coco.glob("*annotations*.zip"), *coco.glob("annotations/*annotations*.zip")])


def _picture_places(coco: AnyPath, name: str) -> tuple[AnyPath, ...]:
    return coco / name, coco / "images" / name


def _is_there(place: AnyPath) -> bool:
    """Whether there is a folder, or a zip of it. Whether the zip is a file at all is found out on reading."""
    return place.is_dir() or _zipped(place).exists()


def _tree(place: AnyPath, spelling: Spelling) -> FileTree:
    if place.is_dir():
        return _folder(place, spelling)
    return ZipFolder(read_archive(_zipped(place)), place.name, spelling)


def _folder(place: AnyPath, spelling: Spelling = AS_LISTED, *, deep: bool = True) -> FileTree:
    return Folder(place, spelling) if isinstance(place, Path) else RemoteFolder(place, spelling, deep)


def _zipped(place: AnyPath) -> AnyPath:
    return place.with_name(f"{place.name}.zip")
