"""Whether the other machines of a cluster see the same files, and have the same versions, as this one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mfsynth import storage
from mfsynth.errors import BuildError, MfsynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mfsynth.engine.jobs import Engine

    Versions = Callable[[], Mapping[str, str]]

_STORE = (
    "give every node what the object store needs: its package, and keys and settings in the environment in "
    "which Ray was started"
)


@dataclass(frozen=True, slots=True)
class Shared:
    """A file that is here and that every machine must see.

    Args:
        path: Where it is, as a local path or URL.
        shown: What errors call it.
        remedy: What to do about a local one that is not shared.
    """

    path: str
    shown: str
    remedy: str


@dataclass(frozen=True, slots=True)
class View:
    """What a machine sees: the mark of each file, else why it cannot be read; and versions of packages."""

    files: tuple[storage.Mark | str, ...]
    versions: Mapping[str, str]


def check_machines(
    engine: Engine, files: Sequence[Shared], versions: Versions, say: Callable[[str], None]
) -> None:
    """Check, before work starts, that every other machine would do the same work on the same files.

    Args:
        engine: Whose machines are asked; that of one machine asks nobody.
        files: What they must see.
        versions: A module's function: versions of the packages that decide the result.
        say: Called with a line when one does not answer for a minute.

    Raises:
        BuildError: If one sees another file or none, has other versions, or does not answer.
    """
    look = partial(view, tuple(file.path for file in files), versions)
    here = look()
    for machine, there in engine.everywhere(look, say=say):
        for file, mark, other in zip(files, here.files, there.files, strict=True):
            if mark != other:
                raise _unlike(machine, file, other)
        check_versions(machine, there.versions, here.versions)


def _unlike(machine: str, file: Shared, seen: storage.Mark | str) -> BuildError:
    """The error for a machine that sees another file, or does not see it for a reason."""
    told = f"{machine} {'does not see' if isinstance(seen, str) else 'has another'} {file.shown}"
    remedy = _STORE if storage.local_path(file.path) is None else file.remedy
    return BuildError(f"{told}: {seen}" if isinstance(seen, str) and seen else told, remedy)


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
    return View(tuple(map(_mark, files)), versions())


def _mark(path: str) -> storage.Mark | str:
    """A file's mark, else why it cannot be read: empty if it is not there."""
    try:
        with storage.open_anywhere(path) as file:
            return storage.mark_of(file)
    except OSError:
        return ""
    except MfsynthError as error:
        return str(error)
