"""The files of a published data set: its shards and manifest unchanged, and documents that describe them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from mfsynth import storage
from mfsynth.errors import HubConflictError, ShardError, install_command
from mfsynth.publish.attribution import ATTRIBUTION, attribute
from mfsynth.publish.card import dataset_card
from mfsynth.publish.croissant import croissant
from mfsynth.shards.checked import wrong_bytes
from mfsynth.shards.layout import MANIFEST, split_of
from mfsynth.verification.claims import contradictions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.hub import Repository
    from mfsynth.shards.manifest import Manifest

    Progress = Callable[[str, int, int], None]
    """Called with the current step, how much of it is done, and its total."""

CARD = "README.md"
CROISSANT = "croissant.json"
PICTURE = "samples.png"
_DOCUMENTS = (CARD, CROISSANT, PICTURE, ATTRIBUTION, MANIFEST)
_PICTURE_SAMPLES = 3
_PICTURE_DPI = 150


def check_shards(folder: Path, manifest: Manifest, progress: Progress, called: str = "") -> None:
    """Compare the manifest with itself, and every shard's size and hash with it.

    Raises:
        ShardError: If the manifest contradicts itself, or a shard is missing, damaged or without samples.
    """
    for claim in contradictions(manifest):
        raise ShardError(f"{MANIFEST} {claim}; nothing was sent", f"run `mfsynth verify {called or folder}`")
    for shard in manifest.shards:
        if not shard.samples:
            raise ShardError(
                f"{shard.name} holds no samples, which other readers refuse; nothing was sent",
                "build the data set again: shards without samples are no longer written",
            )
    total = len(manifest.shards)
    for done, shard in enumerate(manifest.shards, 1):
        try:
            with storage.open_regular(folder / shard.name) as file:
                problem = wrong_bytes(file, shard)
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
        if problem:
            raise ShardError(
                f"{shard.name} {problem}; nothing was sent",
                f"run `mfsynth verify {called or folder} --repair`",
            )
        progress("checking shards", done, total)


def contents(
    folder: Path, manifest: Manifest, repository: Repository, say: Callable[[str], None], progress: Progress
) -> dict[str, bytes | Path]:
    """The files of a data set and the documents that describe it, by path in the repository.

    Args:
        folder: The data set's folder; nothing is written to it.
        manifest: Its manifest.
        repository: The repository to publish it in.
        say: Called with a line if the card lacks a picture.
        progress: See `Progress`.

    Raises:
        ShardError: If recipes are damaged.
    """
    attribution = attribute(folder, manifest, lambda *count: progress("reading recipes", *count))
    documents: dict[str, bytes | Path] = {MANIFEST: folder / MANIFEST, ATTRIBUTION: attribution.table}
    pictures = _pictures(folder, say)
    card = dataset_card(manifest, repository, attribution.images, next(iter(pictures), ""))
    description = croissant(manifest, repository, attribution.images.total(), documents)
    shards = {shard.name: folder / shard.name for shard in manifest.shards}
    return {CARD: card.encode(), **pictures, CROISSANT: description, **documents, **shards}


def _pictures(folder: Path, say: Callable[[str], None]) -> dict[str, bytes]:
    """A picture of some samples, if matplotlib is installed."""
    if find_spec("matplotlib") is None:
        say(f"the card shows no samples, since matplotlib is not installed; {install_command('preview')}")
        return {}
    from mfsynth.preview.samples import places, read
    from mfsynth.preview.sheet import draw_sheet
    from mfsynth.shards.reader import open as open_data_set

    data = open_data_set(folder)
    chosen = list(read(data, places(len(data), _PICTURE_SAMPLES)))
    return {PICTURE: draw_sheet(chosen, _PICTURE_DPI)}


def stale_in(repository: Repository, manifest: Manifest) -> Callable[[str], bool]:
    """A function from a path in the repository to whether it belongs to an older version of the data set.

    The function raises HubConflictError for a shard of another split: a repository holds one data set.
    """

    def stale(path: str) -> bool:
        split = split_of(path)
        if split not in (None, manifest.split):
            raise HubConflictError(
                f"{repository} holds shards of {split}, and a repository can hold only one data set",
                f"publish {manifest.split} in another one, or remove those shards first",
            )
        return split is not None or path in _DOCUMENTS

    return stale
