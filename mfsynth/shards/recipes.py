"""The recipes of a data set, without its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth import storage
from mfsynth.errors import ShardError
from mfsynth.sample import Recipe
from mfsynth.shards import tar
from mfsynth.shards.layout import RECIPE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from mfsynth.shards.manifest import Manifest, Shard


def recipes(folder: str | os.PathLike[str], manifest: Manifest) -> Iterator[Recipe]:
    """Every recipe of a data set in a folder or at a URL, in the manifest's order.

    Raises:
        ShardError: If a shard is damaged, or holds fewer or more samples than the manifest says.
    """
    for shard in manifest.shards:
        count = 0
        with storage.open_file(storage.join(folder, shard.name)) as file:
            for key, text in tar.members(file, shard.name, RECIPE):
                yield recipe_of(shard, key, text)
                count += 1
        check_count(shard, count)


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
