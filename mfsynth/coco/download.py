"""The official COCO archives: fetched, resumed, checked, and only then given their names.

An archive grows as `NAME.part`; `NAME.part.json` beside it remembers which file of the server it is a part
of, so that a later process goes on where this one stopped.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import httpx2

from mfsynth.coco.archives import check_annotations, check_members, check_pictures
from mfsynth.coco.transfer import (
    BASE_URL,
    MIRROR_VARIABLE,
    PATIENCE,
    Part,
    Patience,
    Progress,
    Transfer,
    ask,
    disk_errors,
    patiently,
)
from mfsynth.errors import DownloadError, OptionsError
from mfsynth.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.coco.split import Masks

OFFICIAL_SPLITS = ("train2017", "val2017")
MARGIN = 256 << 20
"""Bytes that must stay free on the disk."""

_ANNOTATIONS = {
    "panoptic": "panoptic_annotations_trainval2017.zip",
    "instances": "annotations_trainval2017.zip",
}
_FIRST_CONTACT_TRIES = 3
"""A wrong address should not take minutes to be called wrong."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Archive:
    """An official archive: its file name, its path on the server, and what is in it."""

    name: str
    path: str
    holds: Literal["pictures", "annotations"]


def base_url() -> str:
    """Where the archives come from: the environment variable MFSYNTH_COCO_URL, else the official server."""
    return os.environ.get(MIRROR_VARIABLE) or BASE_URL


def archives(split: str, masks: Masks = "panoptic") -> tuple[Archive, ...]:
    """The archives of an official split, in the order in which they are fetched.

    >>> [archive.path for archive in archives("val2017")]
    ['/annotations/panoptic_annotations_trainval2017.zip', '/zips/val2017.zip']

    Raises:
        OptionsError: If there is no such split, or no such masks.
    """
    if split not in OFFICIAL_SPLITS:
        near = difflib.get_close_matches(split, OFFICIAL_SPLITS, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise OptionsError(
            f"no official split is called {split!r}; there are {' and '.join(OFFICIAL_SPLITS)}",
            f"{guess}your own data needs no download: give its folder where it is used",
        )
    if masks not in _ANNOTATIONS:
        raise OptionsError(f"masks are panoptic or instances, not {masks!r}")
    annotations = _ANNOTATIONS[masks]
    return (
        Archive(annotations, f"/annotations/{annotations}", "annotations"),
        Archive(f"{split}.zip", f"/zips/{split}.zip", "pictures"),
    )


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
        OptionsError: If there is no such split, or the server's address is none.
        DownloadError: If the server cannot be reached or lacks an archive.
    """
    absent = _absent(archives(split, masks), root)
    if not absent:
        return 0
    with _client(patience) as client:
        return sum(_plan(client, archive, root, base_url, patience).missing for archive in absent)


def download(
    split: str,
    root: Path,
    *,
    masks: Masks = "panoptic",
    base_url: str | None = None,
    progress: Progress | None = None,
    patience: Patience = PATIENCE,
) -> tuple[Path, ...]:
    """Fetch the archives of an official split to a folder, going on where an earlier call stopped.

    What is there under its final name is kept. Every new archive is checked member by member, and the
    pictures against the annotations' list, before it gets its final name.

    Args:
        split: One of `OFFICIAL_SPLITS`.
        root: The COCO folder; made if need be.
        masks: Which annotations to fetch.
        base_url: The server or mirror, instead of what `base_url()` says.
        progress: Told of every piece that arrives and then, as `checking NAME`, of what has been checked; not
            of archives that are there already.
        patience: When to give up.

    Returns:
        The archives' paths, in the order of `archives`.

    Raises:
        OptionsError: If there is no such split, or the server's address is none.
        OutputError: If another download works on the same folder.
        DownloadError: If an archive cannot be fetched or is not whole; what arrived is kept where that helps.
    """
    annotations, pictures = wanted = archives(split, masks)
    with locked(root, "download"):
        absent = _absent(wanted, root)
        if absent:
            with _client(patience) as client:
                plans = {a.name: _plan(client, a, root, base_url, patience, progress) for a in absent}
                _make_room([*plans.values()], root)
                found = root / annotations.name
                _bring(plans.get(annotations.name), found, lambda path: check_annotations(path, split, masks))
                _bring(
                    plans.get(pictures.name),
                    root / pictures.name,
                    lambda path: check_pictures(path, found, split, masks),
                )
    return tuple(root / archive.name for archive in wanted)


def _absent(wanted: tuple[Archive, ...], root: Path) -> list[Archive]:
    absent = []
    for archive in wanted:
        path = root / archive.name
        if not path.is_file():
            absent.append(archive)
        elif not zipfile.is_zipfile(path):
            raise DownloadError(
                f"{path} is there, but is no zip or is cut short",
                "delete it or move it away, then download again",
            )
    return absent


def _client(patience: Patience) -> httpx2.Client:
    # identity: a compressed answer has no ranges
    headers = {"Accept-Encoding": "identity", "User-Agent": "mfsynth"}
    return httpx2.Client(follow_redirects=True, timeout=patience.timeout, headers=headers)


def _plan(
    client: httpx2.Client,
    archive: Archive,
    root: Path,
    base: str | None,
    patience: Patience,
    progress: Progress | None = None,
) -> Transfer:
    """The transfer of an archive, after asking the server which file it has."""
    base = base or base_url()
    if not re.match(r"https?://[^/]", base):
        raise OptionsError(
            f"{base!r} is no address of a server",
            f"give one that begins with http:// or https:// ({MIRROR_VARIABLE} is where it may come from)",
        )
    url = base.rstrip("/") + archive.path
    part = Part(root / archive.name)
    tries = min(patience.tries, _FIRST_CONTACT_TRIES)
    remote = patiently(lambda: ask(client, url), url, patience, tries, part.hint)
    return Transfer(client, url, part, remote, patience, progress)


def _make_room(plans: list[Transfer], root: Path) -> None:
    """Make the folder, drop what is of no use any more, and see whether the disk has room for the rest."""
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        for plan in plans:
            if not plan.done and plan.part.path.exists():
                log.warning("%s is no part of what %s has now: starting over", plan.part.path, plan.url)
                plan.part.discard()
    missing = sum(plan.missing for plan in plans)
    free = shutil.disk_usage(root).free
    if missing and free < missing + MARGIN:
        raise DownloadError(
            f"{root} has {free / 1e9:.2f} GB free, but {missing / 1e9:.2f} GB are still to come and"
            f" {MARGIN / 1e9:.2f} GB should stay free",
            "make room, or name a folder on a larger disk",
        )


def _bring(transfer: Transfer | None, path: Path, check: Callable[[Path], None]) -> None:
    """Fetch, check and publish an archive; without a transfer it is there, and its content is checked."""
    if transfer is None:
        with disk_errors(path):
            check(path)
        return
    transfer.run()
    part = transfer.part
    log.info("checking %s", part.path)
    with disk_errors(part.path):
        check_members(part, transfer.url, transfer.progress)
        check(part.path)
        part.publish()
