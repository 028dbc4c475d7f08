"""The manifest: what a data set was made from, and what it holds. It is written last, when all is there.

It depends only on inputs and options: it contains no time, host or path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from mfsynth import limits, schema, storage
from mfsynth.console import count
from mfsynth.errors import ShardError
from mfsynth.shards.layout import MANIFEST, Layout, check_shard_name, check_split

MANIFEST_FORMAT = 1
_LARGEST = 2**63 - 1
_OPTION_LEVELS = 8
SHA256 = re.compile(r"[0-9a-f]{64}")
DAMAGED = "it is damaged, or not an mfsynth manifest: fetch it again, or give a data set's folder"
"""The remedy that the errors of a damaged manifest name."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard: size in bytes, SHA-256 as hex text, number of samples."""

    name: str
    size: int
    sha256: str
    samples: int

    def check(self, layout: Layout) -> None:
        """Check that a file can be what this says.

        Raises:
            ShardError: If none can.
        """
        if self.samples < 0:
            raise ShardError("it contradicts itself: a shard has a negative number of samples")
        if self.samples * layout.least > self.size:
            raise ShardError(
                f"it contradicts itself: {count(self.samples, 'sample')} do not fit into the "
                f"{self.size:,} bytes of {self.name}"
            )
        if not SHA256.fullmatch(self.sha256):
            raise ShardError(f"the hash of {self.name} is not a SHA-256")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a data set was made from.

    `annotations` is the annotation file, or the pictures' folder, such as `mine/`, where they are listed
    without one; its hash is then that of their ids, names and sizes. `pictures`, `masks` and `depth_maps` are
    the SHA-256 of the sorted names and sizes of the files used (empty if there are none); `fingerprint` is
    the SHA-256 of these and the hash of the annotations.
    """

    annotations: str
    annotations_sha256: str
    pictures: str
    masks: str
    files: int
    fingerprint: str
    depth_maps: str = field(default="", metadata=schema.since("0.2.0"))


@dataclass(frozen=True, slots=True)
class LicenseCount:
    """A license in COCO's table, and the number of samples under it."""

    id: int
    name: str
    url: str
    samples: int


@dataclass(frozen=True)
class Manifest:
    """A data set: its options, inputs, shards, licenses, and the ids of all images left out, by reason.

    `left_out_files` gives the SHA-256 of each file that made an image unusable ("missing" for a missing one),
    so that a later build can detect that it has changed. `skipped` counts the records of the annotations that
    were skipped without leaving out an image, by reason. `noted` gives the ids of images that are used, but
    not quite as they are, by a code from `mfsynth.coco.notes`.
    """

    format: int
    split: str
    samples: int
    options: dict[str, Any]
    options_fingerprint: str
    inputs: Inputs
    packages: dict[str, str]
    layout: Layout
    shards: tuple[Shard, ...]
    licenses: tuple[LicenseCount, ...]
    left_out: dict[str, tuple[int, ...]] = field(default_factory=dict)
    left_out_files: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict, metadata=schema.since("0.2.0"))
    noted: dict[str, tuple[int, ...]] = field(default_factory=dict, metadata=schema.since("0.2.0"))

    def to_json(self) -> bytes:
        """The manifest as indented JSON, the same bytes for equal manifests."""
        return (json.dumps(schema.to_json(self), indent=1, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_json(text: bytes, where: str = MANIFEST) -> Manifest:
        """The manifest that `to_json` wrote.

        Raises:
            ShardError: If the text is not a manifest of this format, has a field that this release does not
                know, or contradicts itself.
        """
        manifest = _decode(text, where)
        try:
            manifest.check()
        except ShardError as error:
            raise ShardError(f"{where}: {error.message}", error.hint) from error
        return manifest

    def check(self) -> None:
        """Check what the types of the fields cannot say: names that could be paths, and numbers.

        Raises:
            ShardError: If it contradicts itself, or the format.
        """
        check_split(self.split)
        for shard in self.shards:
            check_shard_name(shard.name, self.split)
            shard.check(self.layout)
        if len({shard.name for shard in self.shards}) < len(self.shards):
            raise ShardError("it contradicts itself: it lists a shard twice")
        if self.samples != sum(shard.samples for shard in self.shards):
            raise ShardError("it contradicts itself: its shards do not add up to its samples")
        if self.samples > limits.SAMPLES or sum(shard.size for shard in self.shards) > _LARGEST:
            raise ShardError(f"it gives {self.samples:,} samples, or more bytes than any data set can have")
        if _is_deep(self.options, _OPTION_LEVELS):
            raise ShardError("its options are nested too deeply")

    @staticmethod
    def read(location: str | os.PathLike[str]) -> Manifest:
        """The manifest of a data set, at a local path or URL.

        Args:
            location: The data set's folder, or the manifest itself: a file of any name ending in .json.

        Raises:
            ShardError: If there is no manifest, or it is broken.
        """
        folder, where = data_set_at(location)
        if storage.is_file(folder):
            raise ShardError(f"{folder} is a file", "give a data set's folder, or its manifest")
        if (meant := storage.meant_url(folder)) and not storage.is_there(where):
            raise ShardError(
                f"{folder} is neither a local folder nor a URL",
                f"write a URL as a text that begins with {meant}",
            )
        try:
            text = storage.read(where)
        except ShardError as error:
            if storage.is_url(where) or storage.is_there(where):
                raise
            raise ShardError(
                f"{error.message}: this is not a finished data set",
                "to finish one, run the same `mfsynth build` again; parts are joined by `mfsynth merge`",
            ) from error
        return Manifest.from_json(text, storage.shown(where))


def data_set_at(location: str | os.PathLike[str]) -> tuple[str, str]:
    """The folder and the manifest of a data set, given either, as local paths or URLs.

    >>> data_set_at("sets/val2017")
    ('sets/val2017', 'sets/val2017/manifest.json')
    >>> data_set_at("sets/val2017/other.json")
    ('sets/val2017', 'sets/val2017/other.json')
    >>> data_set_at("file:///sets/val2017")
    ('/sets/val2017', '/sets/val2017/manifest.json')
    """
    given = os.fspath(storage.local_path(location) or location)
    if not storage.shown(given).endswith(".json") or storage.is_folder(given):
        return given, storage.join(given, MANIFEST)
    return storage.parent(given), given


def fingerprint(value: object) -> str:
    """SHA-256, as hex text, of a value's JSON with sorted names."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _is_deep(value: object, levels: int) -> bool:
    """Whether lists and objects are nested in more levels than so many."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(each, levels - 1) for each in inner)


def _decode(text: bytes, where: str) -> Manifest:
    head = schema.decode(text, _Head, where, error=ShardError, hint=DAMAGED)
    if head.format != MANIFEST_FORMAT:
        raise ShardError(
            f"{where} has format {head.format}, this release reads {MANIFEST_FORMAT}", "update mfsynth"
        )
    plain = schema.decode(text, dict, where, error=ShardError, hint=DAMAGED)
    schema.check_fields(plain, Manifest, where, error=ShardError, release=head.packages.get("mfsynth", ""))
    return schema.decode(text, Manifest, where, error=ShardError, hint=DAMAGED)


@dataclass(frozen=True)
class _Head:
    """What is read from a manifest of any format."""

    format: int
    packages: dict[str, str] = field(default_factory=dict)
