"""Which kind of folder a location is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mfsynth.errors import OutputError
from mfsynth.locations import is_web, local_path, meant_url, shown
from mfsynth.storage.bucket import Bucket
from mfsynth.storage.disk import LocalFolder
from mfsynth.storage.sources import WRITABLE, unknown_scheme

if TYPE_CHECKING:
    from mfsynth.storage.folder import Folder


def expanded(location: str | os.PathLike[str]) -> Path | str:
    """A local path, with `~` for the home folder, or a URL."""
    path = local_path(location)
    return os.fspath(location) if path is None else path.expanduser()


def folder_at(location: str | os.PathLike[str], scratch: str = "") -> Folder:
    """The folder at a local path or URL.

    Args:
        location: Where it is.
        scratch: Name of the folder inside it in which a local one keeps its scratch files.

    Raises:
        OutputError: If nothing can be written there, or it is a URL that was spoiled.
    """
    path = local_path(location)
    if path is not None:
        _check_no_url(path)
        return LocalFolder(path, scratch)
    if not _has_listings(location):
        raise OutputError(
            f"cannot write to {shown(location)}: it is not an object store",
            "give a local folder, or the URL of an object store, such as s3://bucket/set",
        )
    if scheme := unknown_scheme(os.fspath(location)):  # now, not when the first file is written
        raise OutputError(
            f"cannot write to {shown(location)}: nothing is known of {scheme}:// URLs",
            f"give a local folder, or the URL of an object store, which begins with {WRITABLE} or the like",
        )
    _check_bucket(os.fspath(location))
    return Bucket(os.fspath(location).rstrip("/"))


def _check_no_url(path: Path) -> None:
    """Raise if a local path was meant as a URL: a folder of this machine would be written instead."""
    if meant := meant_url(path):
        raise OutputError(
            f"cannot write to {path}: it is neither a local folder nor a URL",
            f"write a URL as a text that begins with {meant}",
        )


def _check_bucket(url: str) -> None:
    """Raise unless a URL names a bucket, and shows all of its name: locks and reports go by what is shown."""
    rest = url.partition("://")[2]
    if not rest.partition("/")[0]:
        raise OutputError(
            f"cannot write to {shown(url)}: it names no bucket", "give a URL such as s3://bucket/set"
        )
    if "?" in rest or "#" in rest:
        raise OutputError(
            f"cannot write to {shown(url)}: there is a ? or # in the URL",
            "choose a name without; keys are set as usual for the object store, in its files or variables",
        )


def names_in(location: str | os.PathLike[str]) -> list[str]:
    """Names of the files in a folder, sorted; none for one on a web server, which has no listings."""
    return sorted(folder_at(location).listing()) if _has_listings(location) else []


def _has_listings(location: str | os.PathLike[str]) -> bool:
    return not (is_web(location) or "::" in os.fspath(location))
