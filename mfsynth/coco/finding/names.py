"""File names as annotations list them: whether they can be a file of the split, and how they are spelled.

Names come from other systems and tools: with Windows' separators, in another Unicode normalization (macOS
decomposes), with the split's folder in front, with the picture's extension on a mask.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import splitext
from typing import TYPE_CHECKING

from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = re.compile(r"[\w-][\w.-]{0,99}", re.ASCII)
"""Ordinary names, which need no further checks; there may be 100,000."""
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_NAME_BYTES, _PATH_BYTES = 255, 4095
_SHOWN = 200
_OUTSIDE = "leads outside its folder"


def fault(name: str) -> str:
    """Why a listed name cannot name a file of a split; empty if it can.

    Colons and backslashes are letters like others, unless they lead outside for whoever wrote them.
    """
    if _PLAIN.fullmatch(name):
        return ""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "is not Unicode"
    if b"\0" in encoded:
        return "has a NUL character"
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts:
        return "is empty" if not name else "names a folder"
    if parts[0].startswith("/") or ".." in parts or _DRIVE.match(name):
        return _OUTSIDE
    if len(encoded) > _PATH_BYTES or any(len(part) > _NAME_BYTES for part in encoded.split(b"/")):
        return "is too long for a file name"
    return ""


def checked_name(name: str, where: str) -> str:
    """A relative file name that stays inside its folder.

    Raises:
        SourceError: If it does not, or is no file name at all.
    """
    if wrong := fault(name):
        raise SourceError(f"{where}: the file name {shown(name)} {wrong}", "name a file or folder inside it")
    return name


def shown(name: str) -> str:
    """A listed name, quoted, fit to be printed."""
    return ascii(name[:_SHOWN] + "…" * (len(name) > _SHOWN)) if not name.isprintable() else _quoted(name)


def _quoted(name: str) -> str:
    return f"'{name}'" if len(name) <= _SHOWN else f"'{name[:_SHOWN]}…'"


def alike(name: str) -> str:
    """A key that names share if they differ only in Unicode normalization and the extension's case."""
    stem, suffix = splitext(unicodedata.normalize("NFC", name))
    return stem + suffix.lower()


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the files of a folder may be listed.

    Args:
        fronts: Paths from the COCO folder to this one, each with its `/`, which names may begin with.
        png: Whether the files are PNGs, whatever their names say, as masks are.
        listed_in: The file that lists them, for the reason why one is not found.
    """

    fronts: tuple[str, ...] = ()
    png: bool = False
    listed_in: str = "the annotations"

    def of(self, name: str) -> Iterator[str]:
        """The paths at which a listed file is looked for, relative to the folder, the best first."""
        if _PLAIN.fullmatch(name):
            yield from self._suffixes(name)
            return
        for written in dict.fromkeys((name, name.replace("\\", "/"))):
            plain = str(PurePosixPath(written))
            yield from self._suffixes(plain)
            for front in self.fronts:
                if plain.startswith(front):
                    yield from self._suffixes(plain.removeprefix(front))

    def _suffixes(self, name: str) -> tuple[str, ...]:
        if not self.png or name[-4:].lower() == ".png":
            return (name,)
        stem, suffix = splitext(name)
        return (stem + ".png", name) if suffix.lower() in (".jpg", ".jpeg") else (name, name + ".png")


AS_LISTED = Spelling()
"""Names are looked for as they are, and with Windows' separators."""
