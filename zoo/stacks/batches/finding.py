"""The stacks in a folder: its subfolders, and loose files that belong together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mfsynth.console import some
from zoo.errors import PictureError
from zoo.fusing.frames import LARGEST
from zoo.pictures.frames import frames_of
from zoo.pictures.kinds import SUFFIXES, is_picture, unreadable
from zoo.stacks.batches.grouping import as_counted, grouped
from zoo.stacks.batches.shots import scenes, shot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from zoo.stacks.options import Group

MARK = ".fused"
"""A file in a folder of results: no batch takes that folder for a stack."""
_JUNK = ("thumbs.db", "desktop.ini", "@eadir", "__macosx")


@dataclass(frozen=True, slots=True)
class FoundStack:
    """The frames of one stack.

    Attributes:
        name: Of its folder, or what its files' names share.
        files: Of its frames, in order.
        source: What people call it: the folder, or the first and last file.
        number: Of its frames: more than of files, if those have several pages.
    """

    name: str
    files: tuple[Path, ...]
    source: str
    number: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture or a folder that takes no part, and why."""

    path: Path
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {"path": str(self.path), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds; each picture is in exactly one place.

    Attributes:
        stacks: In the order of their names, folders first.
        skipped: Pictures and folders that take no part.
        cameras: Loose files whose names do not tell scenes apart; empty with `group="auto"`.
        errors: What cannot be read, by its name.
    """

    stacks: tuple[FoundStack, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    cameras: tuple[Path, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)


def find(folder: Path, group: Group = "name") -> Found:
    """The stacks in a folder.

    Each subfolder with pictures is a stack, unless a batch wrote them; what lies deeper is skipped. Loose
    files are grouped by their names (see `grouped`); with `auto`, those whose names say nothing are cut into
    scenes (see `scenes`).
    """
    parts = [_in_folder(each) for each in _sorted(folder) if each.is_dir()]
    loose = [each for each in _sorted(folder) if not each.is_dir()]
    return _joined([*parts, _in_files(loose, group)])


def skipped_lines(skipped: Iterable[Skipped], folder: Path) -> list[str]:
    """Lines for people, one for each reason, with names as they stand in the folder."""
    by_reason: dict[str, list[str]] = {}
    for each in skipped:
        name = str(each.path.relative_to(folder))
        by_reason.setdefault(each.reason, []).append(f"{name}/" if each.path.is_dir() else name)
    return [f"skipped {some(names, 3)}: {reason}" for reason, names in by_reason.items()]


# --- subfolders ---------------------------------------------------------------------------------------


def _in_folder(folder: Path) -> Found:
    if _hidden(folder):
        return Found(skipped=(Skipped(folder, "hidden"),))
    if _is_marked(folder):
        return Found(skipped=(Skipped(folder, "results of an earlier run"),))
    try:
        inside = _sorted(folder)
    except OSError as error:
        return Found(errors={folder.name: f"cannot read {folder}: {error.strerror}"})
    frames = tuple(each for each in inside if is_picture(each))
    skipped = (*_not_taken(inside), *_deeper(inside))
    unread = [each for each in inside if _unreadable(each)]
    if not frames and unread:
        return Found(skipped=skipped, errors={folder.name: f"{unread[0].name} {_unreadable(unread[0])}"})
    skipped += tuple(Skipped(each, f"it {_unreadable(each)}") for each in unread)
    if not frames:
        return Found(skipped=skipped)
    return _joined([Found(skipped=skipped), _stack(folder.name, frames, f"{folder.name}/")])


def _deeper(inside: Iterable[Path]) -> Iterator[Skipped]:
    for each in inside:
        if each.is_dir() and not _hidden(each):
            if _is_marked(each):
                yield Skipped(each, "results of an earlier run")
            elif any(is_picture(path) for path in each.rglob("*")):
                yield Skipped(each, "too deep: only folders directly inside the batch folder are stacks")


def _is_marked(folder: Path) -> bool:
    return os.access(folder / MARK, os.F_OK)  # false, too, in a folder that cannot be read


# --- loose files --------------------------------------------------------------------------------------


def _in_files(paths: Sequence[Path], group: Group) -> Found:
    pictures = [each for each in paths if is_picture(each)]
    paged = [each for each in pictures if _is_paged(each)]
    found = grouped(each for each in pictures if each not in paged)
    unread = tuple(Skipped(each, f"it {why}") for each in paths if (why := _unreadable(each)))
    parts = [Found(skipped=(*_not_taken(paths), *unread))]
    parts += [_stack(path.stem, (path,), path.name) for path in paged]
    parts += [_stack(name, frames, _span(frames)) for name, frames in found.stacks.items()]
    if group == "auto":
        return _joined([*parts, *_by_scene([*found.cameras, *found.single])])
    alone = [*found.single, *(found.cameras if len(found.cameras) == 1 else ())]
    parts += [_stack(path.stem, (path,), path.name) for path in alone]
    return _joined([*parts, Found(cameras=found.cameras if len(found.cameras) > 1 else ())])


def _by_scene(paths: Sequence[Path]) -> Iterator[Found]:
    """One kind of file after the other: a camera may have written each shot in two."""
    for kind in sorted({path.suffix.lower() for path in paths}):
        yield from _scenes([path for path in paths if path.suffix.lower() == kind])


def _scenes(paths: Sequence[Path]) -> Iterator[Found]:
    shots, errors = [], {}
    for path in paths:
        try:
            shots.append(shot_of(path))
        except PictureError as error:
            errors[path.name] = str(error)
    yield Found(errors=errors)
    for scene in scenes(shots):
        frames = tuple(shot.path for shot in scene)
        name = frames[0].stem if len(frames) == 1 else f"{frames[0].stem}-{frames[-1].stem}"
        yield _stack(name, frames, _span(frames))


def _span(frames: Sequence[Path]) -> str:
    return frames[0].name if len(frames) == 1 else f"{frames[0].name} to {frames[-1].name}"


# --- both ---------------------------------------------------------------------------------------------


def _stack(name: str, files: tuple[Path, ...], source: str) -> Found:
    """A stack, if these files make one."""
    stems: dict[str, Path] = {}
    for file in files:
        other = stems.setdefault(file.stem.casefold(), file)
        if other.suffix.lower() != file.suffix.lower():
            both = f"{other.name} and {file.name} are one picture in two formats"
            return Found(errors={name: f"{both}; move one format to another folder"})
    try:
        number = len(files) if not any(map(_is_tiff, files)) else len(frames_of(files))
    except PictureError as error:
        return Found(errors={name: str(error)})
    if number == 1:
        return Found(skipped=(Skipped(files[0], "one frame, and nothing to fuse it with"),))
    if number > LARGEST:
        return Found(errors={name: f"{number} frames; a stack has at most {LARGEST}"})
    return Found((FoundStack(name, files, source, number),))


def _is_paged(path: Path) -> bool:
    """Whether a file holds a stack of its own; what cannot be read fails with the stack that it is in."""
    try:
        return _is_tiff(path) and len(frames_of((path,))) > 1
    except PictureError:
        return False


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _joined(parts: Sequence[Found]) -> Found:
    return Found(
        tuple(each for part in parts for each in part.stacks),
        tuple(each for part in parts for each in part.skipped),
        tuple(each for part in parts for each in part.cameras),
        {name: text for part in parts for name, text in part.errors.items()},
    )


def _sorted(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=as_counted)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _JUNK


def _not_taken(paths: Iterable[Path]) -> Iterator[Skipped]:
    """Files that are named like pictures but are not to be taken."""
    for each in paths:
        if each.suffix.lower() not in SUFFIXES:
            continue
        if _hidden(each):
            yield Skipped(each, "hidden")
        elif not each.exists():
            yield Skipped(each, "a link that leads nowhere")


def _unreadable(path: Path) -> str | None:
    """Why a picture cannot be read; None for those that can, for hidden ones, and for other files."""
    return None if _hidden(path) else unreadable(path)
