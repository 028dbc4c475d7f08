"""The registry: short name → repository on the Hub, pinned commit, hashes. The data is registry.toml's."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import msgspec

from zoo.errors import UnknownModelError, ZooError

REGISTRY = Path(__file__).parent / "registry.toml"
SHIPPED = Path(__file__).parents[1] / "weights"
"""Weights that come with the package, a folder for each name."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A network with a short name.

    Attributes:
        name: The short name.
        summary: What it does, in a line.
        repository: Its repository on the Hub, `organisation/name`.
        commit: The commit that the name stands for; None if it was not pushed yet.
        files: SHA-256 of each of its files, as hex text.
    """

    name: str
    summary: str
    repository: str
    commit: str | None
    files: dict[str, str]

    @property
    def shipped(self) -> Path | None:
        """The folder that comes with the package, if there is one."""
        folder = SHIPPED / self.name
        return folder if folder.is_dir() else None


def names(pattern: str = "*") -> list[str]:
    """Short names that match a pattern, sorted.

    >>> names("hf-s*")
    ['hf-seg']
    """
    return sorted(name for name in entries() if fnmatchcase(name, pattern))


def entry(name: str) -> RegisteredModel:
    """The entry of a short name.

    Raises:
        UnknownModelError: If there is none; it names the nearest.
    """
    known = entries()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)
        raise UnknownModelError(
            f"there is no network {name!r}, neither in the registry nor as a folder",
            f"did you mean {' or '.join(near)}? A Hub repository is org/name, a folder may be ./{name}",
        )
    return known[name]


def entries() -> dict[str, RegisteredModel]:
    """All entries, by name."""
    return read_registry(REGISTRY)


@cache
def read_registry(path: Path) -> dict[str, RegisteredModel]:
    """The entries of a file, by name."""
    try:
        data = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _Registry)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ZooError(f"{path} is no registry: {error}", "install mfsynth anew") from error
    return {
        name: RegisteredModel(
            name, each.summary, _full(each.repository, data.organisation), each.commit, each.files
        )
        for name, each in data.models.items()
    }


def _full(repository: str, organisation: str) -> str:
    return repository if "/" in repository else f"{organisation}/{repository}"


@dataclass(frozen=True)
class _Model:
    summary: str
    repository: str
    files: dict[str, str]
    commit: str | None = None


@dataclass(frozen=True)
class _Registry:
    organisation: str
    models: dict[str, _Model] = field(default_factory=dict)
