"""Where a network's files are: by its short name, its Hub repository or its folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mfsynth.errors import HubLoginError, HubMissingError, HubNetworkError, OptionsError
from mfsynth.storage import digest
from zoo.errors import DamagedError, MissingFileError, NotPublishedError
from zoo.store.pull import pull
from zoo.store.registry import RegisteredModel, entries, entry

if TYPE_CHECKING:
    from collections.abc import Mapping

Origin = Literal["auto", "shipped", "hub"]
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a network's files lie.

    Attributes:
        folder: Its files.
        hashes: SHA-256 that they must have, by name; empty where nobody says.
        origin: Where they come from, for people.
        from_hub: Whether the Hub gave their hashes, and they were checked.
        entry: Of a network with a short name.
    """

    folder: Path
    hashes: Mapping[str, str]
    origin: str
    from_hub: bool = False
    entry: RegisteredModel | None = None


def find(name: str | os.PathLike[str], *, revision: str | None = None, origin: Origin = "auto") -> Found:
    """A network's files, downloaded if needed.

    Args:
        name: A short name (`hf-seg`; see `zoo.names`), a Hub repository (`org/name`, `org/name@revision`),
            or a folder that `mfsynth train` made.
        revision: Branch, tag or commit on the Hub; None is the registry's pinned commit, or `main`.
        origin: Of a short name's files: `shipped` with the package, `hub`, or `auto`: shipped if they are
            there and their hashes are right, else the Hub.

    Raises:
        UnknownModelError: If nothing goes by this name.
        NotPublishedError: If the Hub is asked for a network that it does not have yet.
        MissingFileError, DamagedError: If a file is missing or is not the one that the registry means.
        HubError: By its subclass: no network connection, no right, no such repository or revision.
    """
    if origin not in get_args(Origin):
        raise OptionsError(f"origin is {origin!r}", f"it can be {' or '.join(get_args(Origin))}")
    if not isinstance(name, str):
        return _in_folder(Path(name), revision, origin)
    bare, _, at = name.partition("@")
    if at and revision is not None:
        raise OptionsError(f"{name} and revision={revision!r} name a revision each", "leave one away")
    revision = revision or at or None
    if bare in entries():
        return _by_short_name(entry(bare), revision, origin)
    if not _REPOSITORY.fullmatch(bare) or Path(name).exists():
        return _in_folder(Path(name), revision, origin)
    if origin == "shipped":
        raise OptionsError(f"{name} has no short name", "only those come with the package")
    try:
        return _from_hub(bare, revision, {})
    except (HubMissingError, HubLoginError, HubNetworkError) as error:
        raise type(error)(f"{error.message}; nor is there a folder {name}", error.hint) from error


def _in_folder(folder: Path, revision: str | None, origin: Origin) -> Found:
    if folder.is_file():
        raise MissingFileError(f"{folder} is a file", f"give its folder, {folder.parent}")
    if not folder.is_dir():
        if folder.name == str(folder):
            entry(str(folder))  # says that there is none, and which are near
        raise MissingFileError(
            f"there is no folder {folder}", "give a network's folder, a short name, or org/name on the Hub"
        )
    if origin != "auto" or revision is not None:
        raise OptionsError(f"{folder} is a folder", "it has neither an origin nor revisions")
    return Found(folder, {}, str(folder))


def _by_short_name(known: RegisteredModel, revision: str | None, origin: Origin) -> Found:
    pinned = revision in (None, known.commit)
    if origin == "shipped" and not pinned:
        raise OptionsError(f"no revisions of {known.name} are shipped", "leave revision away")
    if pinned and origin != "hub" and (found := _shipped(known, origin == "shipped" or not known.commit)):
        return replace(found, entry=known)
    if not known.commit:
        serve = f"the weights that come with the package serve: zoo.load({known.name!r})"
        raise NotPublishedError(
            f"{known.name} is not published on the Hub yet",
            serve if known.shipped else "train it: `mfsynth train --help`",
        )
    hashes = known.files if pinned else {}
    return replace(_from_hub(known.repository, revision or known.commit, hashes), entry=known)


def _shipped(known: RegisteredModel, required: bool) -> Found | None:
    """The files that come with the package, if all are there and right.

    Raises:
        MissingFileError, DamagedError: If they are required, and are not.
    """
    folder = known.shipped
    if folder is None:
        if required and known.commit:
            raise MissingFileError(f"{known.name} does not come with this package", "give origin='hub'")
        return None
    wrong = [
        name
        for name, sha256 in known.files.items()
        if not (folder / name).is_file() or digest(folder / name) != sha256
    ]
    if wrong and required:
        raise DamagedError(
            f"{folder / wrong[0]} is not the file that the registry means", "install mfsynth anew"
        )
    return None if wrong else Found(folder, known.files, "shipped with the package")


def _from_hub(repository: str, revision: str | None, hashes: Mapping[str, str]) -> Found:
    snapshot = pull(repository, revision)
    return Found(snapshot.folder, hashes, f"{repository}@{snapshot.commit}", from_hub=True)
