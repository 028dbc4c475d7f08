"""The recipes of a data set, without its pictures."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from mfsynth import storage
from mfsynth.errors import ShardError
from mfsynth.sample import Recipe
from mfsynth.shards import tar
from mfsynth.shards.checked import check_file
from mfsynth.shards.layout import RECIPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.shards.cache import Cache
    from mfsynth.shards.manifest import Manifest, Shard


def recipes(
    folder: str | os.PathLike[str], manifest: Manifest, *, check: bool = True, cache: Cache | None = None
) -> Iterator[Recipe]:
    """Every recipe of a data set in a folder or at a URL, in the manifest's order.

    Args:
        folder: The data set's folder.
        manifest: Its manifest.
        check: Compare each local shard's hash with the manifest's first. Of a remote one only the recipes are
            read, so its hash is not known.
        cache: Where copies of remote shards may be, for a data set at a URL; none is made.

    Raises:
        ShardError: If a shard is damaged, or holds fewer or more samples than the manifest says.
    """
    for shard in manifest.shards:
        count = 0
        copy = cache.find(shard, check=check) if cache else None
        with copy or open_shard(folder, shard, check=check) as file:
            for key, text in tar.members(file, shard.name, RECIPE, shard.size):
                yield recipe_of(shard, key, text)
                count += 1
        check_count(shard, count)


@contextmanager
def open_shard(
    folder: str | os.PathLike[str], shard: Shard, *, check: bool, cache: Cache | None = None
) -> Iterator[IO[bytes]]:
    """A shard at its beginning; on request a local one's hash is compared with the manifest's first.

    Args:
        folder: The data set's folder.
        shard: What the manifest says of it.
        check: Compare its hash, if it is local or in the cache.
        cache: Where a copy is read from, and made if there is none, for a data set at a URL.

    Raises:
        ShardError: If it is not there, cannot be read, or its hash differs.
    """
    if cache:
        with cache.open(os.fspath(folder), shard, check=check) as file:
            yield file
        return
    with storage.open_file(storage.join(folder, shard.name)) as file:
        if check and not storage.is_url(folder):
            check_file(file, shard)
        yield file


def check_count(shard: Shard, found: int) -> None:
    """Check that a shard holds as many samples as the manifest says.

    Raises:
        ShardError: If it does not.
    """
    if found != shard.samples:
        raise ShardError(
            f"{shard.name} holds {found} samples, the manifest says {shard.samples}", "run `mfsynth verify`"
        )


def recipe_of(shard: Shard, key: str, text: bytes | None) -> Recipe:
    """A sample's recipe, from its member.

    Raises:
        ShardError: If there is none, it is not a recipe, or it is that of another sample.
    """
    if text is None:
        raise ShardError(f"{shard.name}: sample {key} has no recipe", "run `mfsynth verify`")
    try:
        return read_recipe(key, text)
    except ShardError as error:
        raise ShardError(f"{shard.name}: sample {key}: {error}") from error


def read_recipe(key: str, text: bytes) -> Recipe:
    """The recipe of the sample with a key. Every recipe in a shard is read by this function.

    Raises:
        ShardError: If it is not a recipe, or that of another sample.
    """
    recipe = Recipe.from_json(text)
    if recipe.key != key:
        raise ShardError(f"its recipe is that of another sample, {recipe.key}")
    return recipe
