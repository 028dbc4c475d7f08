"""The registry: short name → repository on the Hub, pinned commit, hashes; read from registry.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from zoo.errors import UnknownModelError, ZooError

BEST = "focus-set"
"""The network that `mfsynth fuse` takes by default."""

REGISTRY = Path(__file__).parent / "registry.toml"
SHIPPED = Path(__file__).parents[1] / "weights"
"""Weights that come with the package, one folder for each name."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A network with a short name.

    Attributes:
        name: The short name.
        summary: What it does, in one line.
        repository: Its repository on the Hub, `organization/name`.
        commit: The commit behind the name; None if it has not been pushed yet.
        files: SHA-256 of each of its files, as hexadecimal text.
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


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of the networks that have a short name."""

    models: tuple[RegisteredModel, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON's own types."""
        return [
            {
                "name": each.name,
                "summary": each.summary,
                "repository": each.repository,
                "commit": each.commit,
                "shipped": each.shipped is not None,
            }
            for each in self.models
        ]

    def lines(self) -> list[str]:
        """As lines for people."""
        lines = []
        for each in self.models:
            places = ["shipped"] if each.shipped else []
            places += [f"{each.repository}@{each.commit[:10]}"] if each.commit else []
            lines.append(f"{each.name:<16} {each.summary}  [{', '.join(places) or 'not published yet'}]")
        return lines


def listing(pattern: str = "*") -> Listing:
    """The networks whose short names match a pattern, sorted by name."""
    return Listing(tuple(lookup(name) for name in names(pattern)))


def names(pattern: str = "*") -> list[str]:
    """Short names that match a pattern, sorted.

    >>> names("hf-s*")
    ['hf-seg']
    """
    return sorted(name for name in models() if fnmatchcase(name, pattern))


def lookup(name: str) -> RegisteredModel:
    """The network with a short name.

    Raises:
        UnknownModelError: If there is none; it names the closest.
    """
    known = models()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)
        raise UnknownModelError(
            f"there is no network {name!r} in the registry, and no such folder",
            f"did you mean {' or '.join(near)}? Write a Hub repository as org/name, a folder as ./{name}",
        )
    return known[name]


def models() -> dict[str, RegisteredModel]:
    """All networks with a short name, by name."""
    return read_registry(REGISTRY)


@cache
def read_registry(path: Path) -> dict[str, RegisteredModel]:
    """The networks in a registry file, by name."""
    try:
        data = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _Registry)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ZooError(f"{path} is not a registry: {error}", "reinstall mfsynth") from error
    return {
        name: RegisteredModel(
            name, each.summary, _full(each.repository, data.organization), each.commit, each.files
        )
        for name, each in data.models.items()
    }


def _full(repository: str, organization: str) -> str:
    return repository if "/" in repository else f"{organization}/{repository}"


@dataclass(frozen=True)
class _Row:
    summary: str
    repository: str
    files: dict[str, str]
    commit: str | None = None


@dataclass(frozen=True)
class _Registry:
    organization: str
    models: dict[str, _Row] = field(default_factory=dict)
