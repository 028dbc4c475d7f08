"""The output folder: whether it may be used, which build was started in it, and how it is cleared.

`.parts/build.json`, which is written first, distinguishes a build that was stopped from another data set.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from mfsynth import schema, storage
from mfsynth.building.origin import Origin, differences, version_changes
from mfsynth.building.parts import scratch_name
from mfsynth.coco.annotations.entries import License
from mfsynth.console import count
from mfsynth.errors import BuildError, OutputError, ShardError
from mfsynth.shards.layout import BUILD, CLAIM, MANIFEST, PARTS, PLAN, Layout, in_parts, is_ours
from mfsynth.shards.manifest import DAMAGED, Manifest

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from mfsynth.storage import Folder

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
def disk_errors(out: Folder, what: str = "") -> Iterator[None]:
    """Turn errors of the disk into ours; those of an object store are ours already.

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
            hint = f"{out.room} and run the same command again; finished shards are kept"
            raise BuildError(message, hint) from error
        raise OutputError(message) from error


def output_at(location: str | os.PathLike[str]) -> Folder:
    """The data set's folder to write to, at a local path or URL.

    Raises:
        OutputError: If nothing can be written there, or not by worker processes.
    """
    if os.fspath(location).startswith("memory://"):
        raise OutputError(
            f"{storage.shown(location)} is in the memory of one process, where its workers cannot write",
            "choose a local folder or an object store",
        )
    return storage.folder_at(location, PARTS)


def finished(out: Folder, begun: BuildFile, *, overwrite: bool, part: bool = False) -> Manifest | None:
    """The manifest if there is nothing left to do for this build, or `part` of one; nothing is written.

    Raises:
        OutputError: If the folder holds something else and the build may not overwrite it.
    """
    if wrong := out.obstacle():
        raise OutputError(f"{out} is {wrong}", "choose another --out")
    check_parts(out)
    if overwrite:
        return None
    sealed = _compare(out, begun, part=part)
    return sealed if sealed is not None and has_every_shard(out, sealed) else None


def begin(out: Folder, there: dict[str, int], begun: BuildFile, *, overwrite: bool) -> dict[str, int]:
    """Make a folder that `finished` has looked at ready for this build; return what is still there.

    What a stopped build of the same data set left there is kept, even with `overwrite`.

    Args:
        out: The data set's folder.
        there: Size of each file in it, by name.
        begun: What is made.
        overwrite: Whether another data set may be removed.
    """
    if overwrite and not _is_unfinished(out, begun):
        there = clear(out, there)
    if MANIFEST in there:
        out.remove(MANIFEST)
    for name in there:
        if name.startswith(in_parts("tmp-")):
            out.remove(name)
    out.sweep()
    _put_build_file(out, there, begun)
    return there


def begin_part(
    out: Folder, there: dict[str, int], begun: BuildFile, planned: PlanFile, shards: Iterable[str]
) -> Manifest | None:
    """Make the folder ready for a part of this build; return the manifest if there is nothing left to do.

    Args:
        out: The data set's folder.
        there: Size of each file in it, by name.
        begun, planned: What is made.
        shards: Names of the part's shards.

    Raises:
        OutputError: If the folder holds something else.
    """
    sealed = finished_part(out, begun)
    if sealed is None:
        remove_scratch(out, shards)
        _put_build_file(out, there, begun, part=True)
        _put_once(out, there, PLAN, planned)
    return sealed


def finished_part(out: Folder, begun: BuildFile) -> Manifest | None:
    """The manifest if the whole data set is there; nothing is written.

    Raises:
        OutputError: If the folder holds something else, or is sealed without all of its shards.
    """
    sealed = finished(out, begun, overwrite=False, part=True)
    if sealed is None and out.has(MANIFEST):
        raise OutputError(f"{out} is sealed, but shards are missing or of another size", INCOMPLETE)
    return sealed


def _put_once(out: Folder, there: Container[str], name: str, content: object) -> bool:
    """Write a file unless there is one; False if another job was faster, with another content."""
    return in_parts(name) in there or out.create(in_parts(name), schema.encode(content))


def _put_build_file(out: Folder, there: Container[str], begun: BuildFile, *, part: bool = False) -> None:
    if not _put_once(out, there, BUILD, begun):  # a job on another machine began at the same moment
        _compare(out, begun, part=part)


def _is_unfinished(out: Folder, begun: BuildFile) -> bool:
    """Whether the folder holds an unfinished build of the same data set."""
    try:
        there = read_build_file(out)
        return (
            there is not None
            and not out.has(MANIFEST)
            and not list(_differences(there, begun))
            and not version_changes(there.packages, begun.packages)
        )
    except OutputError:  # damaged: which build was started is unknown
        return False


def _compare(out: Folder, begun: BuildFile, *, part: bool = False) -> Manifest | None:
    """The manifest if the data set to make is already finished; None if it is unfinished or not started."""
    sealed = read_manifest(out)
    there = read_build_file(out)
    if there is None and sealed is not None:  # a copy without .parts; the manifest has no file sizes
        there = BuildFile(sealed.options, sealed.inputs, sealed.packages, begun.files)
    if there is None:
        _check_empty(out)
        return None
    if list(_differences(there, begun)):
        raise _other_data_set(out, there, begun, part=part)
    changes = version_changes(there.packages, begun.packages)
    if changes:
        stage, remedy = ("made", "use it as it is") if sealed else ("started", "finish it with those")
        raise OutputError(
            f"{out} holds this data set, {stage} with other versions, whose bytes may differ: "
            + ", ".join(changes),
            f"{remedy}, {_replacing(out, 'build it again', part=part)}",
        )
    return sealed


def _replacing(out: Folder, again: str, *, part: bool) -> str:
    """What to do about what is there; parts refuse --overwrite, which would remove what others made."""
    if part:
        return f"choose another --out, or remove {out} before the first part starts"
    return f"choose another --out, or {again} with --overwrite"


def _other_data_set(out: Folder, there: BuildFile, begun: BuildFile, *, part: bool) -> OutputError:
    return OutputError(
        f"{out} holds another data set; it differs in\n  " + "\n  ".join(_differences(there, begun)),
        _replacing(out, "replace it", part=part),
    )


def read_manifest(out: Folder) -> Manifest | None:
    """The folder's manifest, if there is one."""
    if not out.has(MANIFEST):
        return None
    try:
        return Manifest.read(out.location)
    except ShardError as error:
        remedy = "delete it and build again, or replace the data set with --overwrite"
        raise OutputError(error.message, remedy if error.hint == DAMAGED else error.hint) from error


def read_build_file(out: Folder) -> BuildFile | None:
    """The folder's `.parts/build.json`, if there is one."""
    return _read(out, BUILD, BuildFile)


def read_plan_file(out: Folder) -> PlanFile | None:
    """The folder's `.parts/plan.json`, if there is one."""
    return _read(out, PLAN, PlanFile)


def _read(out: Folder, name: str, kind: type[T]) -> T | None:
    text = out.read(in_parts(name))
    hint = "choose another --out, or replace it with --overwrite"
    where = storage.join(str(out), in_parts(name))
    return None if text is None else schema.decode(text, kind, where, error=OutputError, hint=hint)


def _check_empty(out: Folder) -> None:
    """Raise unless the folder is empty, or its build was stopped before the first file."""
    if any(
        not name.startswith((in_parts("tmp-"), in_parts(CLAIM))) for name in out.listing() if name != PARTS
    ):
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


def clear(out: Folder, there: dict[str, int]) -> dict[str, int]:
    """Remove a data set: only files whose names belong to this format. Return what is left.

    The manifest goes first, then the file that lets a later build keep the shards.
    """
    first = [MANIFEST, in_parts(BUILD)]
    gone = {name for name, size in there.items() if size != storage.NOT_A_FILE and _is_ours(name)}
    for name in sorted(gone, key=lambda name: (name not in first, name != MANIFEST, name)):
        out.remove(name)
    return {name: size for name, size in there.items() if name not in gone}


def _is_ours(name: str) -> bool:
    """Whether a file is a data set's, and no claim."""
    if inside := name.removeprefix(in_parts("")) if name.startswith(in_parts("")) else "":
        return "/" not in inside and (inside.endswith(".json") or inside.startswith("tmp-"))
    return is_ours(name)


def check_parts(out: Folder) -> None:
    """Raise if `.parts` is not a folder of its own: what a link points to is not the build's to remove.

    Raises:
        OutputError: If it is a symbolic link or a file.
    """
    if wrong := out.obstacle(PARTS):
        raise OutputError(
            f"{storage.join(str(out), PARTS)} is {wrong}", "move it away, or choose another --out"
        )


@contextmanager
def parts_folder(out: Folder) -> Iterator[None]:
    """`.parts` for a repair; a folder that was not there before is removed at the end.

    Raises:
        OutputError: If it is a symbolic link or a file.
    """
    check_parts(out)
    new = not any(name.split("/")[0] == PARTS for name in out.listing())
    out.prepare()
    try:
        yield
    finally:
        out.sweep()
        if new:
            for name in out.listing():
                if fnmatchcase(name, in_parts("*.json")):
                    out.remove(name)
            out.close(parts=True)


def remove_scratch(out: Folder, shards: Iterable[str]) -> None:
    """Remove what an interrupted build left half done of some shards: others may be in the making."""
    out.sweep(map(scratch_name, shards))


def has_every_shard(out: Folder, manifest: Manifest) -> bool:
    """Whether each shard is there and has the right size; `mfsynth verify` compares hashes."""
    there = out.listing()
    return all(there.get(shard.name) == shard.size for shard in manifest.shards)
