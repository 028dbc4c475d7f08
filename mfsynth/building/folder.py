"""The output folder: whether it may be used, which build was started in it, and how it is cleared.

`.parts/build.json`, which is written first, distinguishes a build that was stopped from another data set.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mfsynth import schema, storage
from mfsynth.building.origin import Origin, differences, version_changes
from mfsynth.building.parts import scratch_name
from mfsynth.coco.annotations.entries import License
from mfsynth.console import count
from mfsynth.errors import BuildError, OutputError, ShardError
from mfsynth.shards.layout import BUILD, CLAIM, MANIFEST, PARTS, PLAN, Layout, is_ours
from mfsynth.shards.manifest import DAMAGED, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SHOWN = 5
T = TypeVar("T")

INCOMPLETE = "make them again with `mfsynth verify --repair`, or the whole data set with `mfsynth build`"
"""The remedy for a sealed folder that lacks shards."""


@dataclass(frozen=True)
class BuildFile(Origin):
    """`.parts/build.json`: what a build is made from; written first, and compared first."""

    files: dict[str, int]

    @property
    def origin(self) -> Origin:
        """The same, without the size of every file."""
        return Origin(self.options, self.inputs, self.packages)


@dataclass(frozen=True)
class PlanFile:
    """`.parts/plan.json`, beside parts only: what the manifest, which replaces it, needs of the plan.

    Args:
        layout: The samples' members.
        images: Ids of the images of each shard.
        left_out: Ids of images that were left out before planning, by reason.
        skipped: Number of records that were skipped without leaving out an image, by reason.
        licenses: The split's table of licenses.
    """

    layout: Layout
    images: tuple[tuple[int, ...], ...]
    left_out: dict[str, tuple[int, ...]]
    skipped: dict[str, int]
    licenses: tuple[License, ...]


@contextmanager
def disk_errors(out: Path, what: str = "") -> Iterator[None]:
    """Turn errors of the disk into ours.

    Args:
        out: The data set's folder.
        what: The file being written, if there is only one.

    Raises:
        BuildError: If the disk is full.
        OutputError: If the folder cannot be read or written for another reason.
    """
    try:
        yield
    except OSError as error:
        message = f"cannot write {f'{what} ' if what else ''}to {out}: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            hint = "free some space and run the same command again; finished shards are kept"
            raise BuildError(message, hint) from error
        raise OutputError(message) from error


def finished(out: Path, begun: BuildFile, *, overwrite: bool) -> Manifest | None:
    """The manifest if there is nothing left to do for this build; nothing is written.

    Raises:
        OutputError: If the folder holds something else and the build may not overwrite it.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file", "choose another --out")
    check_parts(out)
    if overwrite or not out.exists():
        return None
    sealed = _compare(out, begun)
    return sealed if sealed is not None and has_every_shard(out, sealed) else None


def begin(out: Path, begun: BuildFile, *, overwrite: bool) -> None:
    """Make a folder that `finished` has looked at ready for this build.

    What a stopped build of the same data set left there is kept, even with `overwrite`.
    """
    if overwrite and not _is_unfinished(out, begun):
        clear(out)
    (out / MANIFEST).unlink(missing_ok=True)
    remove_scratch(out)
    _put_once(out, BUILD, begun)


def begin_part(out: Path, begun: BuildFile, planned: PlanFile, shards: Iterable[str]) -> Manifest | None:
    """Make the folder ready for a part of this build; return the manifest if there is nothing left to do.

    Args:
        out: The data set's folder.
        begun, planned: What is made.
        shards: Names of the part's shards.

    Raises:
        OutputError: If the folder holds something else.
    """
    sealed = finished_part(out, begun)
    if sealed is None:
        remove_scratch(out, shards)
        _put_once(out, BUILD, begun)
        _put_once(out, PLAN, planned)
    return sealed


def finished_part(out: Path, begun: BuildFile) -> Manifest | None:
    """The manifest if the whole data set is there; nothing is written.

    Raises:
        OutputError: If the folder holds something else, or is sealed without all of its shards.
    """
    sealed = finished(out, begun, overwrite=False)
    if sealed is None and (out / MANIFEST).exists():
        raise OutputError(f"{out} is sealed, but shards are missing or of another size", INCOMPLETE)
    return sealed


def _put_once(out: Path, name: str, content: object) -> None:
    if not (out / PARTS / name).exists():
        storage.put(out / PARTS / name, schema.encode(content), out / PARTS)


def _is_unfinished(out: Path, begun: BuildFile) -> bool:
    """Whether the folder holds an unfinished build of the same data set."""
    try:
        there = read_build_file(out)
        return (
            there is not None
            and not (out / MANIFEST).exists()
            and not list(_differences(there, begun))
            and not version_changes(there.packages, begun.packages)
        )
    except OutputError:  # damaged: which build was started is unknown
        return False


def _compare(out: Path, begun: BuildFile) -> Manifest | None:
    """The manifest if the data set to make is already finished; None if it is unfinished or not started."""
    sealed = read_manifest(out)
    there = read_build_file(out)
    if there is None and sealed is not None:  # a copy without .parts; the manifest has no file sizes
        there = BuildFile(sealed.options, sealed.inputs, sealed.packages, begun.files)
    if there is None:
        _check_empty(out)
        return None
    differences = list(_differences(there, begun))
    if differences:
        raise OutputError(
            f"{out} holds another data set; it differs in\n  " + "\n  ".join(differences),
            "choose another --out, or replace it with --overwrite",
        )
    changes = version_changes(there.packages, begun.packages)
    if changes:
        stage, remedy = ("made", "use it as it is") if sealed else ("started", "finish it with those")
        raise OutputError(
            f"{out} holds this data set, {stage} with other versions, whose bytes may differ: "
            + ", ".join(changes),
            f"{remedy}, choose another --out, or build it again with --overwrite",
        )
    return sealed


def read_manifest(out: Path) -> Manifest | None:
    """The folder's manifest, if there is one."""
    if not (out / MANIFEST).exists():
        return None
    try:
        return Manifest.read(out)
    except ShardError as error:
        remedy = "delete it and build again, or replace the data set with --overwrite"
        raise OutputError(error.message, remedy if error.hint == DAMAGED else error.hint) from error


def read_build_file(out: Path) -> BuildFile | None:
    """The folder's `.parts/build.json`, if there is one."""
    return _read(out / PARTS / BUILD, BuildFile)


def read_plan_file(out: Path) -> PlanFile | None:
    """The folder's `.parts/plan.json`, if there is one."""
    return _read(out / PARTS / PLAN, PlanFile)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    hint = "choose another --out, or replace it with --overwrite"
    return schema.decode(text, kind, str(path), error=OutputError, hint=hint)


def _check_empty(out: Path) -> None:
    """Raise unless the folder is empty, or its build was stopped before the first file."""
    names = {path.name for path in out.iterdir()}
    scratch = {path.name for path in (out / PARTS).iterdir()} if PARTS in names else set()
    if names - {PARTS} or any(not name.startswith(("tmp-", CLAIM)) for name in scratch):
        raise OutputError(
            f"{out} is not empty, and mfsynth did not create what is in it",
            "choose another --out; --overwrite replaces shards and manifest there and keeps the rest",
        )


def _differences(there: BuildFile, begun: BuildFile) -> Iterable[str]:
    """Each difference between the build started in a folder and the one requested now, in words."""
    changed = sorted(
        name
        for name in there.files.keys() | begun.files.keys()
        if there.files.get(name) != begun.files.get(name)
    )
    files = [
        f"{name}: {_size(there.files.get(name))} there, {_size(begun.files.get(name))} now"
        for name in changed[:_SHOWN]
    ]
    if len(changed) > _SHOWN:
        files.append(count(len(changed) - _SHOWN, "more file"))
    return differences(there, begun, files)


def _size(size: int | None) -> str:
    return "not used" if size is None else "missing" if size < 0 else count(size, "byte")


def clear(out: Path) -> None:
    """Remove a data set: only files whose names belong to this format.

    The manifest goes first, then the file that lets a later build keep the shards.
    """
    if not out.is_dir():
        return
    for path in (out / MANIFEST, out / PARTS / BUILD):
        path.unlink(missing_ok=True)
    for path in out.iterdir():
        if path.is_file() and is_ours(path.name):
            path.unlink()
    parts = out / PARTS
    if parts.is_dir():
        for path in parts.iterdir():
            if path.suffix == ".json" or path.name.startswith("tmp-"):
                path.unlink()


def check_parts(out: Path) -> None:
    """Raise if `.parts` is not a folder of its own: what a link points to is not the build's to remove.

    Raises:
        OutputError: If it is a symbolic link or a file.
    """
    parts = out / PARTS
    if parts.is_symlink() or (parts.exists() and not parts.is_dir()):
        raise OutputError(
            f"{parts} is {'a symbolic link' if parts.is_symlink() else 'not a folder'}",
            "move it away, or choose another --out",
        )


@contextmanager
def parts_folder(out: Path) -> Iterator[None]:
    """`.parts` for a repair; a folder that was not there before is removed at the end.

    Raises:
        OutputError: If it is a symbolic link or a file.
    """
    check_parts(out)
    parts = out / PARTS
    new = not parts.exists()
    parts.mkdir(exist_ok=True)
    try:
        yield
    finally:
        remove_scratch(out)
        if new:
            for path in parts.glob("*.json"):
                path.unlink()
            with suppress(OSError):  # someone else put something there
                parts.rmdir()


def remove_scratch(out: Path, shards: Iterable[str] | None = None) -> None:
    """Remove what an interrupted build left half done, of some shards or all: others may be in the making."""
    names = [""] if shards is None else map(scratch_name, shards)
    starts = tuple(f"tmp-{name}" for name in names)
    for path in (out / PARTS).glob("tmp-*"):
        if path.name.startswith(starts):
            path.unlink(missing_ok=True)


def has_every_shard(out: Path, manifest: Manifest) -> bool:
    """Whether each shard is there and has the right size; `mfsynth verify` compares hashes."""
    return all(
        (out / shard.name).is_file() and (out / shard.name).stat().st_size == shard.size
        for shard in manifest.shards
    )
