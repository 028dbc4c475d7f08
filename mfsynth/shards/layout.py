"""Names on disk: shards, keys, members. They are spelled nowhere else in mfsynth."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from mfsynth import limits, schema
from mfsynth.errors import ShardError

Gt = Literal["jpg", "png"]
"""Kinds of the ground truth's member."""

_BLOCK = 512

MANIFEST = "manifest.json"
PARTS = ".parts"
BUILD = "build.json"
PLAN = "plan.json"
CLAIM = "lock-"

_SPLIT = r"[._-]*[A-Za-z0-9][\w.-]*"  # not only dots: a split is a folder's name, too
_SHARD = re.compile(rf"(?P<split>{_SPLIT})-(?P<index>\d{{6,12}})\.tar", re.ASCII)
_MEMBER = re.compile(r"(?P<key>\d{12,19}-\d{3,19})\.(?P<field>[a-z0-9]+(\.[a-z0-9]+)?)", re.ASCII)

_SPLIT_LENGTH = 60
_TAMPERED = "the manifest was tampered with: fetch it again from where it was published"

RECIPE = "json"
SEGMENTS = "segments.png"
FOCUS = "focus.png"
NEAREST = "nearest.png"
CERTAIN = "certain.png"
GT_FIELDS = ("gt.jpg", "gt.png")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which members each sample of a data set has.

    Args:
        store: `pairs` (rendered frames) or `recipe` (frames are rendered on reading).
        gt: Kind of the ground truth's member: `jpg` (the picture file's own bytes, unless turned) or `png`.
        frame: Kind of the frames' members: `png` or `jpg`.
        frames: Number of frames of a sample.
        targets: Whether a rendered sample has `nearest` and `certain`; in format 1, `focus` says as much.
    """

    store: Literal["pairs", "recipe"]
    gt: Gt
    frame: Literal["png", "jpg"] = "png"
    frames: Annotated[int, msgspec.Meta(ge=2, le=limits.FRAMES)] = 2
    targets: bool = field(default=False, metadata=schema.since("0.2.0"))

    @property
    def gt_field(self) -> str:
        """The ground truth's member."""
        return f"gt.{self.gt}"

    @property
    def frame_fields(self) -> tuple[str, ...]:
        """The frames' members; empty in a recipe store."""
        count = self.frames if self.store == "pairs" else 0
        return tuple(f"frame{k}.{self.frame}" for k in range(count))

    @property
    def fields(self) -> tuple[str, ...]:
        """Every member of a sample, in the order in which they are stored."""
        return (RECIPE, self.gt_field, SEGMENTS, *self.map_fields, *self.frame_fields)

    @property
    def map_fields(self) -> tuple[str, ...]:
        """The members of the focus map and of the targets beside it; empty in a recipe store."""
        if self.store == "recipe":
            return ()
        return (FOCUS, NEAREST, CERTAIN) if self.targets else (FOCUS,)

    @property
    def least(self) -> int:
        """Bytes that a sample takes at least: a header and a block of content for each member."""
        return 2 * _BLOCK * len(self.fields)


def shard_name(split: str, index: int) -> str:
    """The name of a shard.

    >>> shard_name("val2017", 7)
    'val2017-000007.tar'
    """
    return f"{split}-{index:06d}.tar"


def in_parts(name: str) -> str:
    """The name of a file in `.parts`, as the data set's folder has it.

    >>> in_parts(BUILD)
    '.parts/build.json'
    """
    return f"{PARTS}/{name}"


def check_split(split: str) -> str:
    """The split's name, if it may have it: names in a manifest must not be trusted.

    Raises:
        ShardError: If it is not one of letters, digits, `.`, `_` and `-`.
    """
    if len(split) > _SPLIT_LENGTH or not re.fullmatch(_SPLIT, split, re.ASCII):
        raise ShardError(f"{split[:_SPLIT_LENGTH]!r} is not the name of a split", _TAMPERED)
    return split


def check_shard_name(name: str, split: str) -> str:
    """The name, if a shard of this split may have it: names in a manifest must not be trusted.

    Raises:
        ShardError: If it is not.
    """
    if split_of(name) != split:
        raise ShardError(f"{name[:_SPLIT_LENGTH]!r} is not the name of a shard of {split!r}", _TAMPERED)
    return name


def split_of(name: str) -> str | None:
    """The split in a shard's name; None if it is not the name of a shard.

    >>> split_of("val2017-000007.tar")
    'val2017'
    """
    match = _SHARD.fullmatch(name)
    return match["split"] if match else None


def member_name(key: str, field: str) -> str:
    """The name of a member inside a shard.

    >>> member_name("000000000139-000", "gt.jpg")
    '000000000139-000.gt.jpg'
    """
    return f"{key}.{field}"


def split_member(name: str) -> tuple[str, str]:
    """Key and field of a member's name.

    Raises:
        ShardError: If it is not the name of a member of this format.
    """
    match = _MEMBER.fullmatch(name)
    if not match:
        raise ShardError(f"{name!r} is not the name of a member of this format")
    return match["key"], match["field"]


def is_ours(name: str) -> bool:
    """Whether a file in a data set's folder has a name that this format uses."""
    return name in (MANIFEST, PARTS) or split_of(name) is not None
