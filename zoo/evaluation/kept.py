"""What a run keeps of a stack: pictures and scores, sealed, under names that stay in its folder.

OUT/fused/METHOD/STACK.png           the fused picture, lossless
OUT/fused/METHOD/STACK.decision.png  its decision map, if there is one
OUT/fused/METHOD/STACK.json          its scores and hashes; written last, so that a run can be killed
"""

from __future__ import annotations

import json
import math
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mfsynth import storage
from mfsynth.codecs import decode_png, encode_png
from mfsynth.errors import OutputError
from mfsynth.storage import digest
from zoo.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mfsynth.sample import Picture
    from zoo.evaluation.methods import Method
    from zoo.fusing.fuse_frames import Fused

FUSED = "fused"
_SUFFIXES = (".png", ".decision.png", ".json")
_LONGEST = 200  # bytes of a name; file systems take 255, with a suffix
_UNSAFE = re.compile(r"[/\\:\x00-\x1f\x7f]|^\.\.?$|^$")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps a method's pictures of a stack.

    Args:
        out: The run's folder.
        method: Who fused.
        name: The stack's name: as its data says, so it may be anything.
    """

    out: Path
    method: Method
    name: str

    def path(self, suffix: str) -> Path:
        """The file of this kind.

        Raises:
            PictureError: If the stack's name cannot be a file's.
        """
        if not is_safe(self.name):
            raise _unsafe(self.name)
        return self.out / FUSED / self.method.folder / f"{self.name}{suffix}"


def is_safe(name: str) -> bool:
    """Whether a file of this name stays in its folder, on every system."""
    try:
        long = len(os.fsencode(name)) > _LONGEST
    except UnicodeEncodeError:
        return False
    return not (long or _UNSAFE.search(name) or _DEVICE.fullmatch(name))


def unusable_names(names: Sequence[str]) -> dict[str, str]:
    """The stacks whose pictures cannot be kept under their names, and why.

    Some file systems do not tell upper from lower case, nor composed letters from their parts.
    """
    wrong: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        files = [unicodedata.normalize("NFC", name + suffix).casefold() for suffix in _SUFFIXES]
        other = next((taken[file] for file in files if file in taken), None)
        if not is_safe(name):
            wrong[name] = str(_unsafe(name))
        elif other is not None:
            wrong[name] = f"its pictures would have the same file names as those of {other}; rename one"
        else:
            taken |= dict.fromkeys(files, name)
    return wrong


def _unsafe(name: str) -> PictureError:
    return PictureError(f"{name[:_LONGEST]!r} cannot be a file name", "rename the stack")


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept with a picture.

    Attributes:
        key: The hash of everything that picture and scores depend on.
        values: Scores by measure; None where it is not defined.
        pictures: The hashes of the files, by suffix.
        seal: The hash of all this.
    """

    key: str
    values: dict[str, float | None]
    pictures: dict[str, str]
    seal: str = ""

    def hash(self) -> str:
        """What the seal must be."""
        return digest(json.dumps([self.key, self.values, self.pictures], sort_keys=True).encode())


@dataclass(frozen=True, slots=True)
class Found:
    """What an earlier run left of a picture.

    Attributes:
        values: Its scores; None if there are none, or they are not valid any more.
        changed: Whether something else than a run has changed it.
    """

    values: dict[str, float] | None = None
    changed: bool = False


def keep(place: Place, fused: Fused, values: dict[str, float], key: str) -> None:
    """Keep picture, decision map and scores for a later run.

    Raises:
        OutputError: If they cannot be written.
    """
    pictures = {".png": fused.image, ".decision.png": fused.decision} if place.method.fuses else {}
    encoded = {suffix: encode_png(picture) for suffix, picture in pictures.items() if picture is not None}
    numbers = {name: None if math.isnan(value) else float(value) for name, value in values.items()}
    kept = _Kept(key=key, values=numbers, pictures={suffix: digest(data) for suffix, data in encoded.items()})
    sealed = msgspec.structs.replace(kept, seal=kept.hash())
    encoded[".json"] = msgspec.json.format(msgspec.json.encode(sealed), indent=1)
    paths = {suffix: place.path(suffix) for suffix in _SUFFIXES}
    try:
        for suffix, data in encoded.items():
            storage.put(paths[suffix], data, paths[suffix].parent)
        if ".decision.png" not in encoded:
            paths[".decision.png"].unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot save {place.method.name}'s picture of {place.name} in {place.out}: "
            f"{error.strerror or error}",
            "free some space, or give another --out; finished pictures are kept",
        ) from error


def kept_values(place: Place, key: str) -> Found:
    """Scores of an earlier run, if they are of the same method, stack and measures, and were not changed."""
    try:
        text = place.path(".json").read_bytes()
    except OSError:
        return Found()
    try:
        kept = msgspec.json.decode(text, type=_Kept)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return Found(changed=True)
    if kept.key != key or not kept.seal:  # of other code or data, or of a release that did not seal
        return Found()
    if kept.seal != kept.hash() or not _are_whole(place, kept.pictures):
        return Found(changed=True)
    return Found({name: math.nan if value is None else value for name, value in kept.values.items()})


def _are_whole(place: Place, pictures: dict[str, str]) -> bool:
    if not pictures.keys() <= {*_SUFFIXES}:
        return False
    try:
        return all(digest(place.path(suffix)) == sha256 for suffix, sha256 in pictures.items())
    except OSError:
        return False


def load_fused(place: Place) -> tuple[Picture, NDArray[np.uint8] | None]:
    """A fused picture and its decision map, if there is one, as a run left them."""
    decision = place.path(".decision.png")
    picture: Picture = decode_png(place.path(".png").read_bytes())  # type: ignore[assignment]
    decided: Any = decode_png(decision.read_bytes()) if decision.exists() else None
    return picture, decided
