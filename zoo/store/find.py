"""Where a network's files are: by its short name, its Hub repository or its folder."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mfsynth.errors import HubLoginError, HubMissingError, HubNetworkError, OptionsError
from mfsynth.locks import locked
from mfsynth.storage import digest
from zoo.errors import DamagedError, MissingFileError, NotPublishedError
from zoo.store.files import FILES, SCRATCH, copy_folder
from zoo.store.pull import pull
from zoo.store.registry import RegisteredModel, lookup, models

if TYPE_CHECKING:
    from collections.abc import Mapping

Origin = Literal["auto", "shipped", "hub"]
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a network's files are.

    Attributes:
        folder: The folder that holds them.
        hashes: The SHA-256 that they must have, by name; empty if none are known.
        origin: Where they come from, for people.
        from_hub: Whether the Hub gave hashes, which were checked.
        registered: What the registry says about a network with a short name; None for any other.
    """

    folder: Path
    hashes: Mapping[str, str]
    origin: str
    from_hub: bool = False
    registered: RegisteredModel | None = None


def find(name: str | os.PathLike[str], *, revision: str | None = None, origin: Origin = "auto") -> Found:
    """A network's files, downloaded if needed.

    Args:
        name: As for `zoo.load`.
        revision: As for `zoo.load`.
        origin: As for `zoo.load`.

    Raises:
        UnknownModelError: If no network has this name.
        NotPublishedError: If the network is not on the Hub yet.
        MissingFileError, DamagedError: If a file is missing or its hash is not the one in the registry.
        HubError: As one of its subclasses: no connection, no permission, no such repository or revision.
    """
    if origin not in get_args(Origin):
        raise OptionsError(f"origin is {origin!r}", f"it can be {' or '.join(get_args(Origin))}")
    if not isinstance(name, str):
        return _in_folder(name, revision, origin)
    bare, _, at = name.partition("@")
    if at and revision is not None:
        raise OptionsError(f"{name} and revision={revision!r} each name a revision", "omit one of them")
    revision = revision or at or None
    if bare in models():
        return _by_short_name(lookup(bare), revision, origin)
    if not is_repository(name) or Path(name).exists():
        return _in_folder(name, revision, origin)
    if origin == "shipped":
        raise OptionsError(
            f"{name} is not a short name", "only networks with a short name come with the package"
        )
    try:
        return _from_hub(bare, revision, {})
    except (HubMissingError, HubLoginError, HubNetworkError) as error:
        raise type(error)(f"{error.message}; nor is there a folder {name}", error.hint) from error


def is_repository(name: str) -> bool:
    """Whether a name has the form of a Hub repository, with or without a revision.

    >>> is_repository("ann/net@v1"), is_repository("../net")
    (True, False)
    """
    return bool(_REPOSITORY.fullmatch(name.partition("@")[0]))


@dataclass(frozen=True, slots=True)
class Pulled:
    """Where a network's files are, and where they come from."""

    folder: str
    origin: str

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self)

    def lines(self) -> list[str]:
        """As lines for people."""
        return [f"{self.folder} ({self.origin})"]


def pull_to(
    name: str, folder: Path | None = None, *, revision: str | None = None, origin: Origin = "auto"
) -> Pulled:
    """Fetch a network's files, and check their hashes.

    Args:
        name: A short name, a Hub repository, or a folder, as for `zoo.load`.
        folder: Where to copy them; None leaves them where they are.
        revision, origin: As for `zoo.load`.

    Raises:
        OptionsError: If the folder is not empty; what an interrupted pull left there is replaced.
        OutputError: If another process works on the folder, or it cannot be written.
        ZooError, HubError: As one of their subclasses, as for `zoo.load`.
    """
    if folder is None:
        found = find(name, revision=revision, origin=origin)
        return Pulled(str(found.folder), found.origin)
    with locked(folder, "pull"):
        _check_free(folder)
        found = find(name, revision=revision, origin=origin)
        return Pulled(str(copy_folder(found.folder, folder, found.hashes)), found.origin)


def _check_free(folder: Path) -> None:
    """Check that a folder is new, or holds what an interrupted pull left."""
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    interrupted = SCRATCH in names and names <= {SCRATCH, *FILES}
    if names and not interrupted:
        raise OptionsError(f"{folder} is not empty", "give another folder with -o")


def _in_folder(name: str | os.PathLike[str], revision: str | None, origin: Origin) -> Found:
    folder = Path(name)
    if folder.is_file():
        raise MissingFileError(f"{folder} is a file", f"give its folder, {folder.parent}")
    if not folder.is_dir():
        if folder.name == os.fspath(name):
            lookup(folder.name)  # raises, naming similar names
        raise MissingFileError(
            f"there is no folder {folder}", "give a network's folder, a short name, or org/name on the Hub"
        )
    if origin != "auto" or revision is not None:
        raise OptionsError(f"{folder} is a folder, which has no origin or revisions", "omit them")
    return Found(folder, {}, str(folder))


def _by_short_name(known: RegisteredModel, revision: str | None, origin: Origin) -> Found:
    pinned = revision in (None, known.commit)
    if origin == "shipped" and not pinned:
        raise OptionsError(f"no revisions of {known.name} are shipped", "omit the revision")
    if pinned and origin != "hub" and (found := _shipped(known, origin == "shipped" or not known.commit)):
        return replace(found, registered=known)
    if not known.commit:
        shipped = f"use the weights that come with the package: zoo.load({known.name!r})"
        raise NotPublishedError(
            f"{known.name} is not published on the Hub yet",
            shipped if known.shipped else "train it: `mfsynth train --help`",
        )
    hashes = known.files if pinned else {}
    return replace(_from_hub(known.repository, revision or known.commit, hashes), registered=known)


def _shipped(known: RegisteredModel, required: bool) -> Found | None:
    """The files that come with the package, if all are there and intact.

    Raises:
        MissingFileError, DamagedError: If they must be, and are not.
    """
    folder = known.shipped
    if folder is None:
        if required and known.commit:
            raise MissingFileError(f"{known.name} does not come with this package", "use origin='hub'")
        return None
    wrong = [
        name
        for name, sha256 in known.files.items()
        if not (folder / name).is_file() or digest(folder / name) != sha256
    ]
    if wrong and required:
        raise DamagedError(
            f"{folder / wrong[0]} is not the file that the registry lists", "reinstall mfsynth"
        )
    return None if wrong else Found(folder, known.files, "shipped with the package")


def _from_hub(repository: str, revision: str | None, hashes: Mapping[str, str]) -> Found:
    snapshot = pull(repository, revision)
    return Found(snapshot.folder, hashes, f"{repository}@{snapshot.commit}", from_hub=True)
