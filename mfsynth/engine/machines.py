"""Whether the other machines of a cluster see the same files, and have the same versions, as this one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mfsynth.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mfsynth.engine.jobs import Engine

    Versions = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Shared:
    """A file that is here and that every machine must see: what errors call it, and what to do about one."""

    path: str
    shown: str
    remedy: str


@dataclass(frozen=True, slots=True)
class View:
    """What a machine sees: size and time of each file, None where there is none; and versions of packages."""

    files: tuple[tuple[int, int] | None, ...]
    versions: Mapping[str, str]


def check_machines(engine: Engine, files: Sequence[Shared], versions: Versions) -> None:
    """Check, before work starts, that every other machine would do the same work on the same files.

    Args:
        engine: Whose machines are asked; that of one machine asks nobody.
        files: What they must see.
        versions: A module's function: versions of the packages that decide the result.

    Raises:
        BuildError: If one sees another file or none, or has other versions.
    """
    look = partial(view, tuple(file.path for file in files), versions)
    here = look()
    for machine, there in engine.everywhere(look):
        for file, stamp, other in zip(files, here.files, there.files, strict=True):
            if stamp != other:
                seen = "does not see" if other is None else "has another"
                raise BuildError(f"{machine} {seen} {file.shown}", file.remedy)
        check_versions(machine, there.versions, here.versions)


def check_versions(machine: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise if a machine has other versions than the one that the work comes from."""
    differing = [
        f"{name} {there.get(name, 'is missing')} (not {version})"
        for name, version in here.items()
        if there.get(name) != version
    ]
    if differing:
        raise BuildError(
            f"{machine} has other versions, which make other bytes: {', '.join(differing)}",
            "install the same on every machine",
        )


def view(files: tuple[str, ...], versions: Versions) -> View:
    """What this machine sees of some files, and its versions."""
    return View(tuple(map(_stamp, files)), versions())


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
