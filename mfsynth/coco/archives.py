"""Whether an archive that arrived is whole, and holds what the annotations list."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from mfsynth.coco.transfer import MIRROR_HINT
from mfsynth.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mfsynth.coco.split import Masks
    from mfsynth.coco.transfer import Part, Progress


class _Image(msgspec.Struct, gc=False):
    file_name: str


class _Listing(msgspec.Struct):
    """Of an annotation file only what is needed here; the rest, some 400 MB, is skipped."""

    images: list[_Image]


def check_members(part: Part, url: str, progress: Progress | None = None) -> None:
    """Read every member and compare its checksum; what is damaged is removed, for no resuming mends it.

    Args:
        part: The archive.
        url: Where it came from.
        progress: Told of the bytes checked, under the name `checking NAME`.

    Raises:
        DownloadError: If it is damaged.
    """
    try:
        with zipfile.ZipFile(part.path) as archive:
            broken = _first_broken(archive, f"checking {part.final.name}", progress)
    except (zipfile.BadZipFile, EOFError) as error:
        reason = f"it is not a whole zip: {error}"
    else:
        if broken is None:
            return
        reason = f"its member {broken.filename} has a wrong checksum or cannot be unpacked"
    part.discard()
    raise DownloadError(
        f"what {url} sent is damaged: {reason}",
        f"it was removed: download again; if that does not help, use another server: {MIRROR_HINT}",
    )


def _first_broken(archive: zipfile.ZipFile, name: str, progress: Progress | None) -> zipfile.ZipInfo | None:
    done, total = 0, sum(info.compress_size for info in archive.infolist())
    for info in archive.infolist():
        if progress is not None:
            progress(name, done, total)
        if not _is_whole(archive, info):
            return info
        done += info.compress_size
    if progress is not None:
        progress(name, done, total)
    return None


def _is_whole(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether a member's CRC is right; unlike `testzip`, broken deflate data is told by its name, too."""
    try:
        with archive.open(info) as member:
            while member.read(1 << 20):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last: encrypted, unknown method
        return False
    return True


def check_annotations(path: Path, split: str, masks: Masks) -> None:
    """Raise unless the annotations of a split, and for panoptic masks these too, are in the archive.

    Raises:
        DownloadError: If something is missing.
    """
    needed = [f"annotations/{masks}_{split}.json"]
    if masks == "panoptic":
        needed.append(f"annotations/panoptic_{split}.zip")
    with _opened(path) as archive:
        lacking = sorted({*needed} - {*archive.namelist()})
    if lacking:
        raise DownloadError(f"{path} lacks {' and '.join(lacking)}", _other_file_hint(path))


def check_pictures(path: Path, annotations: Path, split: str, masks: Masks) -> None:
    """Compare the pictures' names with the annotations' list."""
    with _opened(path) as archive:
        there = {
            name for name in archive.namelist() if name.startswith(f"{split}/") and name.endswith(".jpg")
        }
    listed = {f"{split}/{name}" for name in _listed(annotations, f"annotations/{masks}_{split}.json")}
    if there == listed:
        return
    few = "; ".join(
        f"{what}: {', '.join(sorted(names)[:3])}{', …' if len(names) > 3 else ''}"
        for what, names in (("missing", listed - there), ("not listed", there - listed))
        if names
    )
    raise DownloadError(
        f"{path} holds {len(there)} pictures of {split}, {annotations.name} lists {len(listed)}; {few}",
        _other_file_hint(path),
    )


def _listed(annotations: Path, member: str) -> list[str]:
    """The pictures' file names in an annotation file."""
    with _opened(annotations) as archive:
        try:
            listing = msgspec.json.decode(archive.read(member), type=_Listing)
        except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, EOFError) as error:
            raise DownloadError(
                f"{member} in {annotations} cannot be read: {error}", _other_file_hint(annotations)
            ) from error
    return [image.file_name for image in listing.images]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DownloadError(f"{path} is damaged: {error}", "delete it and download again") from error


def _other_file_hint(path: Path) -> str:
    return f"this is not the official archive: delete {path} and download again; {MIRROR_HINT}"
