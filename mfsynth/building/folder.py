"""The output folder: whether it may be used, which build was started in it, and how it is cleared.

`.parts/build.json`, which is written first, distinguishes a build that was stopped from another data set.
"""

from __future__ import annotations

import errno
import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfsynth import schema, storage
from mfsynth.console import count
from mfsynth.errors import BuildError, OutputError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.shards.layout import BUILD, MANIFEST, PARTS, is_ours
from mfsynth.shards.manifest import DAMAGED, Inputs, Manifest
from mfsynth.version import CONTENT_RELEASE, same_content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SHOWN = 5


@dataclass(frozen=True)
class BuildFile:
    """`.parts/build.json`: what a build is made from; written first, and compared first."""

    options: dict[str, Any]
    inputs: Inputs
    packages: dict[str, str]
    files: dict[str, int]


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


def open_folder(out: Path, begun: BuildFile, *, overwrite: bool) -> Manifest | None:
    """Make the folder ready for this build; return the manifest if there is nothing left to do.

    What a stopped build of the same data set left there is kept, even with `overwrite`.

    Raises:
        OutputError: If it holds something else and the build may not overwrite it.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file", "choose another --out")
    check_parts(out)
    if overwrite:
        if not _is_unfinished(out, begun):
            clear(out)
    elif out.exists():
        sealed = _compare(out, begun)
        if sealed is not None and _has_every_shard(out, sealed):
            return sealed
        (out / MANIFEST).unlink(missing_ok=True)
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    remove_scratch(out)
    if not (out / PARTS / BUILD).exists():
        storage.put(out / PARTS / BUILD, schema.encode(begun), out / PARTS)
    return None


def _is_unfinished(out: Path, begun: BuildFile) -> bool:
    """Whether the folder holds an unfinished build of the same data set."""
    try:
        there = _read_build_file(out)
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
    sealed = _read_manifest(out)
    there = _read_build_file(out)
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


def _read_manifest(out: Path) -> Manifest | None:
    """The folder's manifest, if there is one."""
    if not (out / MANIFEST).exists():
        return None
    try:
        return Manifest.read(out)
    except ShardError as error:
        remedy = "delete it and build again, or replace the data set with --overwrite"
        raise OutputError(error.message, remedy if error.hint == DAMAGED else error.hint) from error


def _read_build_file(out: Path) -> BuildFile | None:
    """The folder's `.parts/build.json`, if there is one."""
    path = out / PARTS / BUILD
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    hint = "choose another --out, or replace it with --overwrite"
    return schema.decode(text, BuildFile, str(path), error=OutputError, hint=hint)


def _check_empty(out: Path) -> None:
    """Raise unless the folder is empty, or its build was stopped before the first file."""
    names = {path.name for path in out.iterdir()}
    scratch = {path.name for path in (out / PARTS).iterdir()} if PARTS in names else set()
    if names - {PARTS} or any(not name.startswith("tmp-") for name in scratch):
        raise OutputError(
            f"{out} is not empty, and mfsynth did not create what is in it",
            "choose another --out; --overwrite replaces shards and manifest there and keeps the rest",
        )


def _differences(there: BuildFile, begun: BuildFile) -> Iterable[str]:
    """Each difference between the build started in a folder and the one requested now, in words."""
    old, new = _whole(there.options), _whole(begun.options)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {_plain(old.get(name))} there, {_plain(new.get(name))} requested"
    if there.inputs.annotations_sha256 != begun.inputs.annotations_sha256:
        yield f"content of {begun.inputs.annotations}"
    changed = sorted(
        name
        for name in there.files.keys() | begun.files.keys()
        if there.files.get(name) != begun.files.get(name)
    )
    for name in changed[:_SHOWN]:
        yield f"{name}: {_size(there.files.get(name))} there, {_size(begun.files.get(name))} now"
    if len(changed) > _SHOWN:
        yield f"{count(len(changed) - _SHOWN, 'more file')}"
    if not changed:
        for what in ("pictures", "masks", "depth_maps"):
            if getattr(there.inputs, what) != getattr(begun.inputs, what):
                yield f"names and sizes of the {what.replace('_', ' ')}"


def version_changes(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Packages whose versions may make other bytes, such as "numpy 2.4.6 (was 2.3.0)"."""
    old, new = _versions(then), _versions(now)
    return [
        f"{name} {now.get(name, 'none')} (was {then.get(name, 'none')})"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def other_bytes(then: dict[str, str], now: dict[str, str]) -> str:
    """What to say about package versions that differ; empty if none do."""
    changes = version_changes(then, now)
    return f"other versions may store the same pixels in other bytes: {', '.join(changes)}" if changes else ""


def _versions(packages: dict[str, str]) -> dict[str, str]:
    """Package versions; releases of mfsynth that make the same bytes count as one."""
    release = packages.get("mfsynth", "")
    return packages | {"mfsynth": CONTENT_RELEASE if same_content(release) else release}


def _whole(options: dict[str, Any]) -> dict[str, Any]:
    """Options, with defaults for those that an older release did not know."""
    return schema.defaults(BuildOptions) | options


def _plain(value: object) -> str:
    return "none" if value is None else json.dumps(value)


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


def remove_scratch(out: Path) -> None:
    """Remove what an interrupted build left half done."""
    for path in (out / PARTS).glob("tmp-*"):
        path.unlink(missing_ok=True)


def _has_every_shard(out: Path, manifest: Manifest) -> bool:
    """Whether each shard is there and has the right size; `mfsynth verify` compares hashes."""
    return all(
        (out / shard.name).is_file() and (out / shard.name).stat().st_size == shard.size
        for shard in manifest.shards
    )
