"""The official COCO archives: fetched, resumed, checked, and only then given their final names."""

from __future__ import annotations

import difflib
import logging
import lzma
import os
import re
import shutil
import struct
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mfsynth import limits, schema, storage
from mfsynth.coco.official.transfer import MIRROR_HINT, Progress, Transfer, disk_errors
from mfsynth.errors import DownloadError, OptionsError
from mfsynth.locks import locked
from mfsynth.storage import PATIENCE, Patience
from mfsynth.storage.web import new_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.coco.split import Masks

OFFICIAL_SPLITS = ("train2017", "val2017")
MARGIN = 256 << 20
"""Bytes that must stay free on the disk."""

_ANNOTATIONS = {
    "panoptic": "panoptic_annotations_trainval2017.zip",
    "instances": "annotations_trainval2017.zip",
}
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError, OverflowError,
    RuntimeError,
)  # fmt: skip
"""What zipfile raises for damaged archives; the last one also for unknown methods and encrypted members."""

log = logging.getLogger(__name__)


def base_url() -> str:
    """Where the archives come from: the environment variable MFSYNTH_COCO_URL, else the official server."""
    return os.environ.get("MFSYNTH_COCO_URL") or "http://images.cocodataset.org"


def archives(split: str, masks: Masks = "panoptic") -> tuple[str, str]:
    """The archives of an official split, as paths on the server, in the order they are fetched.

    >>> archives("val2017")
    ('annotations/panoptic_annotations_trainval2017.zip', 'zips/val2017.zip')

    Raises:
        OptionsError: If there is no such split, or no such masks.
    """
    if split not in OFFICIAL_SPLITS:
        near = difflib.get_close_matches(split, OFFICIAL_SPLITS, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise OptionsError(
            f"no official split is called {split!r}; they are {' and '.join(OFFICIAL_SPLITS)}",
            f"{guess}your own data needs no download: give its folder where it is used",
        )
    if masks not in _ANNOTATIONS:
        raise OptionsError(f"masks are panoptic or instances, not {masks!r}")
    return f"annotations/{_ANNOTATIONS[masks]}", f"zips/{split}.zip"


def missing_bytes(
    split: str,
    root: Path,
    *,
    masks: Masks = "panoptic",
    base_url: str | None = None,
    patience: Patience = PATIENCE,
) -> int:
    """Bytes that `download` would still transfer; the server is asked, nothing is written.

    Raises:
        OptionsError: If there is no such split, or the server's address is malformed.
        DownloadError: If the server cannot be reached or lacks an archive.
    """
    with _transfers(archives(split, masks), root, base_url, patience, None) as transfers:
        return sum(transfer.missing for transfer in transfers)


def download(
    split: str,
    root: Path,
    *,
    masks: Masks = "panoptic",
    base_url: str | None = None,
    progress: Progress | None = None,
    patience: Patience = PATIENCE,
) -> tuple[Path, ...]:
    """Fetch the archives of an official split to a folder, continuing where an earlier call stopped.

    Archives that are there under their final names are kept. A new one is checked member by member, and the
    pictures against the annotations' list, before it gets its final name.

    Args:
        split: One of `OFFICIAL_SPLITS`.
        root: The COCO folder; created if needed.
        masks: Which annotations to fetch.
        base_url: The server or mirror, instead of what `base_url()` says.
        progress: Called with every piece that arrives and then, as `checking NAME`, with what has been
            checked; not for archives that are already there.
        patience: When to give up.

    Returns:
        The archives' paths, in the order of `archives`.

    Raises:
        OptionsError: If there is no such split, or the server's address is malformed.
        OutputError: If another download is working on the same folder.
        DownloadError: If an archive cannot be fetched or is not whole; what arrived is kept where that helps.
    """
    wanted = archives(split, masks)
    paths = annotations, pictures = tuple(root / Path(path).name for path in wanted)
    with locked(root, "download"), _transfers(wanted, root, base_url, patience, progress) as transfers:
        if transfers:
            _make_room(transfers, root)
            with _fetched(annotations, transfers) as path:
                _check_annotations(path, split, masks)
            with _fetched(pictures, transfers) as path:
                _check_pictures(path, annotations, split, masks)
    return paths


@contextmanager
def _transfers(
    wanted: tuple[str, ...], root: Path, base: str | None, patience: Patience, progress: Progress | None
) -> Iterator[list[Transfer]]:
    """The transfers of the archives that are not there."""
    finals = {path: root / Path(path).name for path in wanted}
    with new_client(patience.timeout) as client:
        yield [
            Transfer(client, storage.join(_server(base), path), final, patience, progress)
            for path, final in finals.items()
            if not _is_there(final)
        ]


def _server(base: str | None) -> str:
    base = base or base_url()
    if not re.match(r"https?://[^/]", base):
        raise OptionsError(
            f"{storage.shown(base)!r} is not a server's address",
            "give one that starts with http:// or https:// (it may come from MFSYNTH_COCO_URL)",
        )
    return base


def _is_there(path: Path) -> bool:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise DownloadError(
            f"{path} is there, but is not a zip or is cut short",
            "delete it or move it away, then download again",
        )
    return path.is_file()


def _make_room(transfers: list[Transfer], root: Path) -> None:
    """Create the folder, remove what is no longer of use, and check that the disk has room for the rest."""
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        for transfer in transfers:
            if not transfer.done:
                transfer.part.discard()
        free = shutil.disk_usage(root).free
    missing = sum(transfer.missing for transfer in transfers)
    if missing and free < missing + MARGIN:
        raise DownloadError(
            f"{root} has {free / 1e9:.2f} GB free, but {missing / 1e9:.2f} GB are still to come and"
            f" {MARGIN / 1e9:.2f} GB should stay free",
            "free some space, or give a folder on a larger disk",
        )


@contextmanager
def _fetched(final: Path, transfers: list[Transfer]) -> Iterator[Path]:
    """An archive open for reading, its members checked; a new one gets its final name at the block's end."""
    for transfer in transfers:
        if transfer.part.final == final:
            transfer.run()
            with disk_errors(transfer.part.path):
                _check_members(transfer)
                yield transfer.part.path
                transfer.part.publish()
            return
    yield final


def _check_members(transfer: Transfer) -> None:
    """Read every member and compare its checksum; remove what is damaged: resuming cannot repair it."""
    part, done = transfer.part, 0
    log.info("checking %s", part.path)
    tell = transfer.progress or (lambda _name, _done, _total: None)
    try:
        archive = zipfile.ZipFile(part.path)
    except _DAMAGE as error:
        raise _removed(transfer, str(error)) from error
    with archive:
        total = sum(info.compress_size for info in archive.infolist())
        for info in archive.infolist():
            tell(f"checking {part.final.name}", done, total)
            if not _is_whole(archive, info):
                raise _removed(transfer, f"{info.filename} has a wrong checksum or cannot be unpacked")
            done += info.compress_size
        tell(f"checking {part.final.name}", done, total)


def _removed(transfer: Transfer, fault: str) -> DownloadError:
    """Remove what arrived, and the error that says so."""
    transfer.part.discard()
    return DownloadError(
        f"what {transfer.shown} sent is damaged: {fault}",
        f"it was removed; download it again. If that does not help, use another server: {MIRROR_HINT}",
    )


def _is_whole(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(info) as member:
            while member.read(1 << 20):
                pass
    except _DAMAGE:
        return False
    return True


def _check_annotations(path: Path, split: str, masks: Masks) -> None:
    """Raise unless the archive has the annotations of a split, and its masks if they are panoptic."""
    needed = {f"annotations/{masks}_{split}.json"}
    if masks == "panoptic":
        needed.add(f"annotations/panoptic_{split}.zip")
    with _opened(path) as archive:
        _compare(path, needed, needed.intersection(archive.namelist()))


def _check_pictures(path: Path, annotations: Path, split: str, masks: Masks) -> None:
    """Raise unless the archive has the pictures that the annotations list."""
    with _opened(annotations) as archive:
        images = _listed(archive, annotations, f"annotations/{masks}_{split}.json")
    with _opened(path) as archive:
        names = archive.namelist()
    there = {name for name in names if name.startswith(f"{split}/") and name.endswith(".jpg")}
    _compare(path, {f"{split}/{image.file_name}" for image in images}, there)


def _listed(archive: zipfile.ZipFile, path: Path, name: str) -> list[_Image]:
    """The images of an annotation file, whose size is looked at before it is unpacked."""
    size = archive.getinfo(name).file_size
    if size > limits.OFFICIAL_ANNOTATION_BYTES:
        raise _unofficial(path, f"{name} is said to have {size:,} bytes, far more than COCO's")
    text = archive.read(name)
    try:
        return schema.decode(text, _Listing, name, error=DownloadError).images
    except DownloadError as error:
        raise _unofficial(path, f"its content cannot be read: {error.message}") from error


def _compare(path: Path, expected: set[str], there: set[str]) -> None:
    missing, strange = sorted(expected - there), sorted(there - expected)
    faults = [f"{len(missing)} of {len(expected)} missing ({_few(missing)})"] if missing else []
    faults += [f"{len(strange)} not listed ({_few(strange)})"] if strange else []
    if faults:
        raise _unofficial(path, ", ".join(faults))


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


class _Image(msgspec.Struct, gc=False):
    file_name: str


class _Listing(msgspec.Struct):
    """The part of an annotation file that is needed here; the rest, some 400 MB, is skipped."""

    images: list[_Image]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with disk_errors(path), zipfile.ZipFile(path) as archive:
            yield archive
    except DownloadError:
        raise
    except _DAMAGE as error:
        raise _unofficial(path, f"its content cannot be read: {error}") from error


def _unofficial(path: Path, fault: str) -> DownloadError:
    return DownloadError(
        f"{path} is not the official archive: {fault}", f"delete it and download again; {MIRROR_HINT}"
    )
