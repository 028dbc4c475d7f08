"""Side files: what each finished shard holds. A stopped build continues from them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from mfsynth import schema, storage
from mfsynth.building.origin import Origin
from mfsynth.errors import MfsynthError, NotThereError, OutputError, ShardError
from mfsynth.schema import since
from mfsynth.shards import tar
from mfsynth.shards.layout import PARTS, RECIPE, in_parts
from mfsynth.shards.manifest import Shard, fingerprint
from mfsynth.shards.recipes import recipe_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mfsynth.sample import ImageInfo
    from mfsynth.storage import Folder


_AT_ONCE = 16
"""Side files that are read at the same time: in a bucket, each takes a while to answer."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An image that turned out unusable; `files` gives each file's SHA-256, "missing" or "unreadable"."""

    image_id: int
    reason: str
    detail: str
    files: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"image {self.image_id} cannot be used: {self.detail}"


@dataclass(frozen=True, slots=True)
class Part:
    """The side file of a finished shard: samples by license id, images left out, notes on the others.

    A shard without samples is not written: only its side file is there. `digest` is the SHA-256 of all else.
    `origin` is what the shard was made from, unless an older release made it.
    """

    shard: Shard
    licenses: dict[int, int]
    left_out: tuple[Exclusion, ...]
    digest: str = field(default="", metadata=since("0.2.0"))
    noted: dict[str, tuple[int, ...]] = field(default_factory=dict, metadata=since("0.2.0"))
    origin: Origin | None = field(default=None, metadata=since("0.2.0"))


def part_name(shard: str) -> str:
    """The name of a shard's side file in the data set's folder."""
    return in_parts(f"{shard.removesuffix('.tar')}.json")


def write_part(out: Folder, part: Part) -> Part:
    """Write a side file; return its content, with the digest."""
    part = replace(part, digest=_digest(part))
    name = part.shard.name
    out.write(part_name(name), schema.encode(part), scratch_name(name))
    return part


def scratch_name(shard: str) -> str:
    """What the names of a shard's scratch files begin with, after `tmp-`."""
    return f"{shard}-"


def read_part(out: Folder, shard: str) -> Part | None:
    """The content of a shard's side file if it is whole; else None.

    Raises:
        OSError: If it is there and cannot be read.
    """
    text = out.read(part_name(shard))
    if text is None:
        return None
    try:
        part = schema.decode(text, Part, f"the side file of {shard}", error=ShardError)
    except ShardError:
        return None
    older = not part.digest and part.origin is None  # 0.1.0 wrote neither
    return part if (older or part.digest == _digest(part)) and part.shard.name == shard else None


def read_parts(out: Folder, shards: Sequence[str]) -> list[Part | None]:
    """As `read_part` for each of several shards; many are read at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(partial(read_part, out), shards))


def whole_part(
    out: Folder,
    shard: str,
    images: Sequence[int],
    variants: int,
    origin: Origin | None = None,
    size: int | None = None,
) -> Part | None:
    """The content of a shard's side file if it is whole, and the shard is what it says; else None.

    Args:
        out: The data set's folder.
        shard: The shard's name.
        images: Ids of the images that the shard should hold.
        variants: Samples of each image.
        origin: What the shard should be made from, if that matters.
        size: The shard's size in bytes. In a folder that keeps what it has, the shard is then not read.

    Raises:
        OSError: If a file is there and cannot be read.
        OutputError: If the object store cannot be read.
    """
    part = read_part(out, shard)
    if part is None or (origin and part.origin and not part.origin.makes_the_same(origin)):
        return None
    if out.durable and size is not None and part.digest:
        return part if part.shard.size == size and _fits(part, images, variants) else None
    return part if is_told(out, part, images, variants) else None


def is_told(out: Folder, part: Part, images: Sequence[int], variants: int) -> bool:
    """Whether a shard is what its side file says, and holds what it should; the whole shard is read.

    Args:
        out: The data set's folder.
        part: The side file's content.
        images: Ids of the images that the shard should hold.
        variants: Samples of each image.

    Raises:
        OSError, OutputError: As `whole_part`.
    """
    found = _counted(out, part.shard) if part.shard.samples else _Counted(0, Counter(), set())
    return found is not None and _agrees(part, found, images, variants)


def exclusions_in(out: Folder) -> list[Exclusion]:
    """The images left out, as the side files tell; those that cannot be read tell nothing."""
    names = sorted(name for name in out.listing() if fnmatchcase(name, f"{PARTS}/*-*.json"))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(chain.from_iterable(pool.map(partial(_exclusions, out), names)))


def _exclusions(out: Folder, name: str) -> tuple[Exclusion, ...]:
    with suppress(OSError, OutputError, ShardError):
        return schema.decode(out.read(name) or b"", Part, name, error=ShardError).left_out
    return ()


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a shard's recipes say: number of samples, samples by license, and ids of images."""

    samples: int
    licenses: Counter[int]
    images: set[int]


def _counted(out: Folder, shard: Shard) -> _Counted | None:
    """What a shard holds; None if it is not there, or not what its side file says."""
    try:
        with storage.local_copy(storage.join(out.location, shard.name)) as path:
            images = _images(path, shard)
    except (FileNotFoundError, NotThereError):
        return None
    if images is None:
        return None
    return _Counted(len(images), Counter(image.license for image in images), {image.id for image in images})


def _images(path: Path, shard: Shard) -> list[ImageInfo] | None:
    """The images of a shard's samples; None if the file is not what its side file says."""
    if path.stat().st_size != shard.size or storage.digest(path) != shard.sha256:
        return None
    try:
        with path.open("rb") as file:
            members = tar.members(file, shard.name, RECIPE, shard.size)
            return [recipe_of(shard, *each).image for each in members]
    except MfsynthError:
        return None


def _fits(part: Part, images: Sequence[int], variants: int) -> bool:
    """Whether a side file counts as many samples as the shard should hold."""
    left_out = {each.image_id for each in part.left_out}
    used = len(images) - len(left_out)
    samples = variants * used
    return left_out <= set(images) and part.shard.samples == samples == sum(part.licenses.values())


def _agrees(part: Part, found: _Counted, images: Sequence[int], variants: int) -> bool:
    missing = [image for image in images if image not in found.images]
    return (
        part.shard.samples == found.samples == variants * len(found.images)
        and part.licenses == found.licenses
        and [each.image_id for each in part.left_out] == missing
    )


def _digest(part: Part) -> str:
    return fingerprint(schema.to_json(replace(part, digest="")))
