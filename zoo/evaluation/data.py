"""What methods are scored on: frames in a folder, or a data set that mfsynth built."""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
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
    from collections.abc import Iterable, Sequence

    from mfsynth.sample import Picture, Recipe, Sample

_ROLE = re.compile(r"(?P<stack>.+)[-_ ](?P<role>[a-z]|gt|aa)", re.IGNORECASE)
_LYTRO = re.compile(r"lytro-\d+")
_TRUTH = "gt"
_AFTER_Z = "aa"
_KINDS = ("lytro", "pairs", "stacks", "shards")
_GRAY = 0.18
_SLOPE = 1.055 / 2.4 * math.pow(_GRAY, 1 / 2.4 - 1)  # of the sRGB curve there


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The frames of a scene, two (a pair) or more, and what is known about it.

    Args:
        name: Its name in the data.
        frames: H x W x 3 uint8 RGB each.
        truth: The ground truth, the same; None if unknown.
        focus: The focus map, H x W uint8; None if unknown.
        noise: Standard deviation of the frames' noise, in units of full range; 0 if unknown.
        nearest: The frame that is nearest to the truth, H x W uint8; None if that is the focus map.
        certain: H x W uint8, 255 where some frame shows the truth; None if one does everywhere.
    """

    name: str
    frames: tuple[Picture, ...]
    truth: Picture | None = None
    focus: NDArray[np.uint8] | None = None
    noise: float = 0.0
    nearest: NDArray[np.uint8] | None = None
    certain: NDArray[np.uint8] | None = None

    @property
    def target(self) -> NDArray[np.uint8] | None:
        """What a decision map should be, H x W uint8; None if unknown."""
        return self.focus if self.nearest is None else self.nearest

    def digest(self) -> str:
        """SHA-256 of all pixels, as hex text."""
        state = hashlib.sha256()
        optics = [array for array in (self.nearest, self.certain) if array is not None]
        for array in (*self.frames, self.truth, self.focus, *optics):
            state.update(repr(None if array is None else array.shape).encode())
            state.update(b"" if array is None else np.ascontiguousarray(array).data)
        return state.hexdigest()


class Data(Protocol):
    """Stacks by name. It can be pickled, and holds no pixels."""

    @property
    def kind(self) -> str:
        """`lytro`, `pairs`, `stacks` or `shards`."""

    @property
    def split(self) -> str:
        """The split that shards are of; empty for folders."""

    @property
    def variant(self) -> tuple[str, ...]:
        """How shards differ from the paper's pairs, in a few words; empty if they do not."""

    @property
    def title(self) -> str:
        """The data's name, for people."""

    @property
    def names(self) -> tuple[str, ...]:
        """The stacks' names, in order."""

    @property
    def incomplete(self) -> dict[str, str]:
        """The stacks that lack a frame, by name, and what they lack."""

    def load(self, name: str) -> Stack:
        """One stack.

        Raises:
            MfsynthError: If it cannot be read, or its pictures differ in size.
        """


def open_data(text: str) -> Data:
    """The data that a text names: `lytro:DIR`, `pairs:DIR`, `stacks:DIR` or `shards:DIR`.

    `pairs` takes any folder of `NAME_A`, `NAME_B` and, if it is known, `NAME_GT`; `lytro` is the same for
    the twenty pairs of the Lytro set; `stacks` goes on with `NAME_C`, up to `NAME_Z`. `shards` is a data set
    that `mfsynth build` made, of either store, with any number of frames.

    Raises:
        OptionsError: If it is none of these, or the folder holds no stacks.
        ShardError: If there is no data set.
    """
    kind, _, place = text.partition(":")
    if kind not in _KINDS or not place:
        raise OptionsError(
            f"{shown(text)!r} does not name any data",
            "write lytro:DIR, pairs:DIR, stacks:DIR or shards:DIR",
        )
    if kind == "shards":
        return _open_shards(place)
    folder = local_path(place)
    if folder is None:
        raise OptionsError(f"{shown(place)} is a URL", f"give a local folder after {kind}:")
    return _open_folder(kind, folder)


@dataclass(frozen=True, slots=True)
class FolderData:
    """Stacks as picture files, by their roles: a, b, … for the frames, and gt."""

    kind: str
    title: str
    files: dict[str, dict[str, Path]]
    incomplete: dict[str, str] = field(default_factory=dict)

    @property
    def split(self) -> str:
        """None: these are files."""
        return ""

    @property
    def variant(self) -> tuple[str, ...]:
        """Nothing is known."""
        return ()

    @property
    def names(self) -> tuple[str, ...]:
        """The stacks' names, in order."""
        return tuple(self.files)

    def load(self, name: str) -> Stack:
        """One stack.

        Raises:
            PictureError: If a file cannot be read, is not RGB of 8 bits, or sizes differ.
        """
        paths = self.files[name]
        pictures = {role: read_rgb(path) for role, path in paths.items()}
        for role, picture in pictures.items():
            if picture.shape != pictures["a"].shape:
                raise PictureError(
                    f"{paths['a']} is {_size(pictures['a'])}, {paths[role]} is {_size(picture)}",
                    f"all pictures of a {'stack' if self.kind == 'stacks' else 'pair'} must have one size",
                )
        truth = pictures.pop(_TRUTH, None)
        return Stack(name, tuple(pictures[role] for role in sorted(pictures)), truth)


@dataclass(frozen=True, slots=True)
class ShardData:
    """Samples of a data set, by key; `stamp` is the hash of its manifest."""

    kind: str
    split: str
    variant: tuple[str, ...]
    folder: str
    stamp: str
    keys: tuple[str, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the keys: a job carries its own, and there may be a hundred thousand."""
        return ShardData, (self.kind, self.split, self.variant, self.folder, self.stamp, ())

    @property
    def title(self) -> str:
        """The split, and how its samples differ from the paper's."""
        return ", ".join((self.split, *self.variant))

    @property
    def incomplete(self) -> dict[str, str]:
        """None: shards hold whole samples."""
        return {}

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' keys, in order."""
        return self.keys

    def load(self, name: str) -> Stack:
        """One sample, rendered if needed.

        Raises:
            ShardError: If its shard is damaged.
        """
        sample = _opened(self.folder, self.stamp)[name]
        stack = Stack(name, sample.frames, sample.gt, sample.focus, noise_level(sample.recipe))
        if sample.recipe.optics is None:
            return stack
        return replace(stack, nearest=sample.nearest, certain=sample.certain)


def noise_level(recipe: Recipe) -> float:
    """Standard deviation of a sample's noise, in units of full range: its noisiest frame's.

    Noise of linear light grows with it, and the sRGB curve bends it: what counts is middle gray, 18 percent
    of full light.
    """
    optics = recipe.optics
    sigma = max(frame.noise_sigma for frame in recipe.frames)
    if optics is None or optics.noise_model == "gaussian":
        return sigma
    return math.sqrt(optics.shot_noise * _GRAY + optics.read_noise**2) * _SLOPE


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
    from zoo.pictures.read import read_picture

    pixels = read_picture(path).pixels
    if pixels.dtype != np.uint8:
        bits = f"{path} has {8 * pixels.dtype.itemsize} bits per channel"
        raise PictureError(bits, "the metrics are defined on 8 bits: convert it first")
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2), np.uint8)


def _open_folder(kind: str, folder: Path) -> FolderData:
    if not folder.is_dir():
        raise OptionsError(f"there is no folder {folder}", f"give the folder of the pictures after {kind}:")
    found = _by_role(kind, folder)
    whole = {name: roles for name, roles in found.items() if not _missing(roles)}
    if not whole:
        raise OptionsError(f"{folder} holds no {'stacks' if kind == 'stacks' else 'pairs'}", _HINTS[kind])
    title = "Lytro" if kind == "lytro" else folder.resolve().name
    missing = {name: _missing(roles) for name, roles in found.items() if name not in whole}
    incomplete = {name: _lacking(roles) for name, roles in missing.items()}
    return FolderData(kind, title, whole, incomplete)


_HINTS = {
    "lytro": "name them lytro-01-A.jpg, lytro-01-B.jpg, …",
    "pairs": "name them NAME_A, NAME_B, and NAME_GT",
    "stacks": "name them NAME_A, NAME_B, NAME_C, …, and NAME_GT",
}


def _by_role(kind: str, folder: Path) -> dict[str, dict[str, Path]]:
    """The pictures in a folder, by their stack and role.

    Raises:
        OptionsError: If two have the same role in one stack, or a stack goes on after picture Z.
    """
    from zoo.pictures.kinds import SUFFIXES

    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        match = _ROLE.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        name, role = match["stack"], match["role"].lower()
        if kind != "stacks" and role not in ("a", "b", _TRUTH):
            continue
        if kind == "lytro" and not _LYTRO.fullmatch(name):
            continue
        if role in found[name]:
            raise OptionsError(
                f"{path} and {found[name][role]} are both picture {role.upper()}", "remove one"
            )
        found[name][role] = path
    for roles in found.values():
        if _AFTER_Z in roles and "z" in roles:
            raise OptionsError(
                f"{roles[_AFTER_Z]} is one frame too many",
                "stacks in a folder have at most 26 frames, A to Z",
            )
        roles.pop(_AFTER_Z, None)
    return {name: roles for name, roles in found.items() if roles}


def _missing(roles: Iterable[str]) -> list[str]:
    """The frames up to the last one, or to B, that a stack lacks."""
    last = max((role for role in roles if role != _TRUTH), default="b")
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [letter.upper() for letter in letters if letter <= max(last, "b") and letter not in roles]


def _lacking(roles: Sequence[str]) -> str:
    """What a stack lacks, for people.

    >>> _lacking(["B"]), _lacking(["B", "D", "E"])
    ('its picture B is missing', 'its pictures B, D and E are missing')
    """
    *others, last = roles
    return (
        f"its pictures {', '.join(others)} and {last} are missing"
        if others
        else f"its picture {last} is missing"
    )


def _open_shards(place: str) -> ShardData:
    import mfsynth

    data = mfsynth.open(place)
    keys, kinds = [], set()
    for recipe in data.recipes():
        keys.append(recipe.key)
        kinds.add((recipe.optics is not None, len(recipe.frames), _moves(recipe)))
    if len(set(keys)) < len(keys):
        raise ShardError(f"{shown(place)} has two samples with the same key", "build the data set again")
    if not keys:
        raise OptionsError(f"{shown(place)} holds no samples", "build a data set with some")
    stamp = digest(data.manifest.to_json())
    return ShardData("shards", data.manifest.split, _variant(kinds), place, stamp, tuple(keys))


def _variant(kinds: set[tuple[bool, int, bool]]) -> tuple[str, ...]:
    """How samples differ from the paper's pairs: whether there are optics, frames, whether any moves."""
    optics, frames, moves = (max(each) for each in zip(*kinds, strict=True))
    words = {"optics": optics, f"{frames} frames": frames > 2, "breathing": moves}
    return tuple(word for word, true in words.items() if true)


def _moves(recipe: Recipe) -> bool:
    """Whether a frame does not lie on frame 0."""
    shots = () if recipe.optics is None else recipe.optics.frames
    return any((shot.scale, shot.shift_x, shot.shift_y, shot.rotation) != (1, 0, 0, 0) for shot in shots)


def _size(picture: Picture) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
