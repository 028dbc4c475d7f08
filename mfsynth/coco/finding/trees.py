"""A folder of files, on disk or in a zip, and how a listed name is found in it."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mfsynth import storage
from mfsynth.coco.finding import names
from mfsynth.coco.finding.files import FileRef, Missing, Stamp
from mfsynth.coco.finding.names import AS_LISTED, Spelling
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from mfsynth.coco.finding.zips import Archive
    from mfsynth.storage import RemotePath
    from mfsynth.storage.paths import Mark

_NEVER = Stamp(-1, -1)


class FileTree(ABC):
    """A folder of files, on disk or in a zip; names are relative, with forward slashes."""

    spelling: Spelling

    def find(self, name: str) -> FileRef | Missing:
        """The file of a listed name: as written, or as another system or tool would have written it.

        Where only the Unicode normalization or the extension's case differs, a file is taken if it is the
        only one.

        Raises:
            SourceError: If the folder as a whole cannot be searched.
        """
        if wrong := names.fault(name):
            return Missing(name, wrong, self.spelling.listed_in)
        looked_for = []
        for path in self.spelling.of(name):
            if found := self._file(path, name):
                return found
            looked_for.append(path)
        near = sorted({other for path in looked_for for other in self._alike(path)})
        if len(near) == 1 and (found := self._file(near[0], name)):
            return found
        return Missing(name, self._reason(looked_for, near), self.spelling.listed_in)

    def _reason(self, looked_for: Sequence[str], near: Sequence[str]) -> str:
        if len(near) > 1:
            return f"could be any of {', '.join(map(self._shown, near))}"
        return f"is not there; looked for {' and '.join(map(self._shown, looked_for))}"

    @abstractmethod
    def names(self) -> list[str]:
        """The names of the files in it, sorted; those in folders inside it are not listed."""

    @abstractmethod
    def _file(self, path: str, name: str) -> FileRef | None:
        """The file at a path, which the annotations list under a name."""

    @abstractmethod
    def _alike(self, path: str) -> Iterable[str]:
        """Paths that there are and that differ from one at most in normalization and the extension's case."""

    @abstractmethod
    def _shown(self, path: str) -> str:
        """A path, as the reason for a missing file names it: the same wherever the data is."""


@dataclass(frozen=True)
class Folder(FileTree):
    """A folder on disk. Links are followed wherever they lead: whoever made the folder made them."""

    root: Path
    spelling: Spelling = AS_LISTED
    _listings: dict[str, Mapping[str, Sequence[str]]] = field(default_factory=dict, repr=False, compare=False)

    def _file(self, path: str, name: str) -> FileRef | None:
        full = os.path.join(self.root, path)  # noqa: PTH118 - a Path for each of 118,287 takes noticeable time
        try:
            status = os.stat(full)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            if error.errno == errno.ELOOP or (error.errno == errno.EACCES and self._is_open()):
                return FileRef(full, name, -1, _NEVER, fault=str(error.strerror))
            raise SourceError(f"cannot look for {full}: {error.strerror}") from error
        if wrong := storage.irregular(status):
            return FileRef(full, name, -1, _NEVER, fault=wrong)
        return FileRef(full, name, status.st_size, Stamp.of(status))

    def names(self) -> list[str]:
        """Those that are in the folder, whether or not they can be read."""
        with os.scandir(self.root) as found:
            return sorted(each.name for each in found if not each.is_dir())

    def _is_open(self) -> bool:
        """Whether the folder itself may be searched."""
        try:
            os.stat(f"{self.root}/.")  # noqa: PTH116 - a Path would drop the dot
        except OSError:
            return False
        return True

    def _alike(self, path: str) -> Iterable[str]:
        *folders, last = path.split("/")
        at = ""
        for folder in folders:
            there = self._listing(at).get(names.alike(folder), ())
            if folder not in there and len(there) != 1:
                return ()
            at += (folder if folder in there else there[0]) + "/"
        return [at + other for other in self._listing(at).get(names.alike(last), ())]

    def _listing(self, folder: str) -> Mapping[str, Sequence[str]]:
        """The names in a folder, by what is alike in them."""
        if folder not in self._listings:
            try:
                self._listings[folder] = _by_key(os.listdir(os.path.join(self.root, folder)))  # noqa: PTH118, PTH208
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder]

    def _shown(self, path: str) -> str:
        full = self.root / path
        remark = " (a link that leads nowhere)" if full.is_symlink() and not full.exists() else ""
        return names.shown(f"{self.root.name}/{path}") + remark


@dataclass(frozen=True)
class RemoteFolder(FileTree):
    """A folder at a URL, which is listed once.

    Args:
        root: Where it is.
        spelling: How names in it may be spelled.
        deep: Whether files in folders inside it are found, too.
    """

    root: RemotePath
    spelling: Spelling = AS_LISTED
    deep: bool = True

    def _file(self, path: str, name: str) -> FileRef | None:
        found = self._files.get(path)
        return FileRef((self.root / path).url, name, found.size, Stamp(*found)) if found else None

    def names(self) -> list[str]:
        """Those that are in the folder."""
        return sorted(name for name in self._files if "/" not in name)

    def _alike(self, path: str) -> Iterable[str]:
        return self._names.get(names.alike(path), ())

    @cached_property
    def _files(self) -> Mapping[str, Mark]:
        return self.root.files(deep=self.deep)

    @cached_property
    def _names(self) -> Mapping[str, Sequence[str]]:
        return _by_key(self._files)

    def _shown(self, path: str) -> str:
        return names.shown(f"{self.root.name}/{path}")


@dataclass(frozen=True)
class ZipFolder(FileTree):
    """A folder inside a zip, or inside a zip that is stored in a zip."""

    archive: Archive
    folder: str
    spelling: Spelling = AS_LISTED

    def _file(self, path: str, name: str) -> FileRef | None:
        return self.archive.file(f"{self.folder}/{path}", name)

    def _alike(self, path: str) -> Iterable[str]:
        inside = f"{self.folder}/"
        key = names.alike(inside + path)
        return [other.removeprefix(inside) for other in self._names.get(key, ()) if other.startswith(inside)]

    def names(self) -> list[str]:
        """The archive's members in the folder."""
        front = f"{self.folder}/"
        inside = (path.removeprefix(front) for path in self.archive.members if path.startswith(front))
        return sorted(name for name in inside if name and "/" not in name)

    @cached_property
    def _names(self) -> Mapping[str, Sequence[str]]:
        return _by_key(self.archive.members)

    def _shown(self, path: str) -> str:
        return f"{names.shown(f'{self.folder}/{path}')} in {self.folder}.zip"


def _by_key(listing: Iterable[str]) -> Mapping[str, Sequence[str]]:
    by_key = defaultdict(list)
    for name in listing:
        by_key[names.alike(name)].append(name)
    return by_key
