"""What methods are scored on: pairs of frames in a folder, or a data set that mfsynth built."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfsynth.errors import OptionsError, ShardError
from mfsynth.locations import local_path, shown
from mfsynth.storage import digest
from zoo.errors import PictureError

if TYPE_CHECKING:
    from mfsynth.sample import Picture, Sample

_ROLE = re.compile(r"(?P<pair>.+)[-_ ](?P<role>a|b|gt)", re.IGNORECASE)
_LYTRO = re.compile(r"lytro-\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two frames of a scene, and what is known about it.

    Args:
        name: Its name in the data.
        frames: Frame 0 and frame 1, H x W x 3 uint8 RGB.
        truth: The ground truth, the same; None if unknown.
        focus: The focus map, H x W uint8; None if unknown.
        noise: Standard deviation of the frames' noise, in units of full range; 0 if unknown.
    """

    name: str
    frames: tuple[Picture, Picture]
    truth: Picture | None = None
    focus: NDArray[np.uint8] | None = None
    noise: float = 0.0

    def digest(self) -> str:
        """SHA-256 of all pixels, as hex text."""
        state = hashlib.sha256()
        for array in (*self.frames, self.truth, self.focus):
            state.update(repr(None if array is None else array.shape).encode())
            state.update(b"" if array is None else np.ascontiguousarray(array).data)
        return state.hexdigest()


class Data(Protocol):
    """Pairs by name. It can be pickled, and holds no pixels."""

    @property
    def kind(self) -> str:
        """`lytro`, `pairs` or `shards`."""

    @property
    def title(self) -> str:
        """The data's name, for people."""

    @property
    def names(self) -> tuple[str, ...]:
        """The pairs' names, in order."""

    @property
    def incomplete(self) -> dict[str, str]:
        """The pairs that lack a frame, by name, and what they lack."""

    def load(self, name: str) -> Pair:
        """One pair.

        Raises:
            MfsynthError: If it cannot be read, or its pictures differ in size.
        """


def open_data(text: str) -> Data:
    """The data that a text names: `lytro:DIR`, `pairs:DIR` or `shards:DIR`.

    `pairs` takes any folder of `NAME_A`, `NAME_B` and, if it is known, `NAME_GT`; `lytro` is the same for
    the twenty pairs of the Lytro set. `shards` is a data set that `mfsynth build` made, of either store.

    Raises:
        OptionsError: If it is none of these, or the folder holds no pairs.
        ShardError: If there is no data set.
    """
    kind, _, place = text.partition(":")
    if kind not in ("lytro", "pairs", "shards") or not place:
        raise OptionsError(
            f"{shown(text)!r} does not name any data", "write lytro:DIR, pairs:DIR or shards:DIR"
        )
    if kind == "shards":
        return _open_shards(place)
    folder = local_path(place)
    if folder is None:
        raise OptionsError(f"{shown(place)} is a URL", f"give a local folder after {kind}:")
    return _open_folder(kind, folder)


@dataclass(frozen=True, slots=True)
class FolderData:
    """Pairs as picture files, by the roles a, b and gt."""

    kind: str
    title: str
    files: dict[str, dict[str, Path]]
    incomplete: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The pairs' names, in order."""
        return tuple(self.files)

    def load(self, name: str) -> Pair:
        """One pair.

        Raises:
            PictureError: If a file cannot be read, is not RGB of 8 bits, or sizes differ.
        """
        paths = self.files[name]
        pictures = {role: read_rgb(path) for role, path in paths.items()}
        for role, picture in pictures.items():
            if picture.shape != pictures["a"].shape:
                raise PictureError(
                    f"{paths['a']} is {_size(pictures['a'])}, {paths[role]} is {_size(picture)}",
                    "all pictures of a pair must have one size",
                )
        return Pair(name, (pictures["a"], pictures["b"]), pictures.get("gt"))


@dataclass(frozen=True, slots=True)
class ShardData:
    """Samples of a data set, by key; `stamp` is the hash of its manifest."""

    kind: str
    title: str
    folder: str
    stamp: str
    keys: tuple[str, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the keys: a job carries its own, and there may be a hundred thousand."""
        return ShardData, (self.kind, self.title, self.folder, self.stamp, ())

    @property
    def incomplete(self) -> dict[str, str]:
        """None: shards hold whole samples."""
        return {}

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' keys, in order."""
        return self.keys

    def load(self, name: str) -> Pair:
        """One sample, rendered if needed.

        Raises:
            ShardError: If its shard is damaged.
        """
        sample = _opened(self.folder, self.stamp)[name]
        a, b = sample.frames
        noise = max(frame.noise_sigma for frame in sample.recipe.frames)
        return Pair(name, (a, b), sample.gt, sample.focus, noise)


class _Samples(Protocol):
    def __getitem__(self, key: str, /) -> Sample: ...


@cache
def _opened(folder: str, stamp: str) -> _Samples:
    """A data set, opened once in each process, and again if it has been rebuilt since."""
    import mfsynth

    return mfsynth.open(folder)


def read_rgb(path: Path) -> Picture:
    """A picture file as H x W x 3 uint8 RGB; gray becomes three equal channels.

    Raises:
        PictureError: If it cannot be read, or has more than 8 bits.
    """
    from zoo.fusing.pictures import read_picture

    pixels = read_picture(path).pixels
    if pixels.dtype != np.uint8:
        raise PictureError(
            f"{path} has 16 bits per channel", "the metrics are defined on 8 bits: convert it first"
        )
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2), np.uint8)


def _open_folder(kind: str, folder: Path) -> FolderData:
    from zoo.fusing.stacks import SUFFIXES

    if not folder.is_dir():
        raise OptionsError(f"there is no folder {folder}", f"give the folder of the pairs after {kind}:")
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        match = _ROLE.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if kind == "lytro" and not _LYTRO.fullmatch(match["pair"]):
            continue
        role = match["role"].lower()
        if role in found[match["pair"]]:
            raise OptionsError(
                f"{path} and {found[match['pair']][role]} are both picture {role.upper()}", "remove one"
            )
        found[match["pair"]][role] = path
    pairs = {name: roles for name, roles in found.items() if {"a", "b"} <= roles.keys()}
    if not pairs:
        raise OptionsError(
            f"{folder} holds no pairs",
            "name them lytro-01-A.jpg, lytro-01-B.jpg, …"
            if kind == "lytro"
            else "name them NAME_A, NAME_B, and NAME_GT",
        )
    title = "Lytro" if kind == "lytro" else folder.resolve().name
    missing = {name: sorted({"a", "b"} - roles.keys()) for name, roles in found.items() if name not in pairs}
    incomplete = {
        name: f"its picture {' or '.join(roles).upper()} is missing" for name, roles in missing.items()
    }
    return FolderData(kind, title, pairs, incomplete)


def _open_shards(place: str) -> ShardData:
    import mfsynth

    data = mfsynth.open(place)
    keys = []
    for recipe in data.recipes():
        if len(recipe.frames) != 2:
            raise OptionsError(
                f"{recipe.key} in {shown(place)} has {len(recipe.frames)} frames",
                "only pairs can be evaluated: give a data set of pairs",
            )
        keys.append(recipe.key)
    if len(set(keys)) < len(keys):
        raise ShardError(f"{shown(place)} has two samples with the same key", "build the data set again")
    if not keys:
        raise OptionsError(f"{shown(place)} holds no samples", "build a data set with some")
    return ShardData("shards", data.manifest.split, place, digest(data.manifest.to_json()), tuple(keys))


def _size(picture: Picture) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
