"""`mfsynth zoo pull`: a network's files in the Hub client's cache, or in a folder of your choice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfsynth.errors import OptionsError
from zoo.store.find import find
from zoo.store.folder import copy_folder

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.store.find import Origin


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
        OptionsError: If the folder is not empty.
        ZooError, HubError: As one of their subclasses, as for `zoo.load`.
    """
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise OptionsError(f"{folder} is not empty", "give another folder with -o")
    found = find(name, revision=revision, origin=origin)
    place = copy_folder(found.folder, folder, found.hashes) if folder is not None else found.folder
    return Pulled(str(place), found.origin)
