"""What a repository is to hold of a data set: its shards and manifest as they are, and what tells of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from mfsynth.errors import HubConflictError, ShardError
from mfsynth.publish.attribution import ATTRIBUTION, attribute
from mfsynth.publish.card import dataset_card
from mfsynth.publish.croissant import croissant
from mfsynth.shards.layout import MANIFEST, split_of
from mfsynth.shards.verify import wrong_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.hub import Repository
    from mfsynth.shards.manifest import Manifest

    Progress = Callable[[str, int, int], None]
    """Told of what is being done, how much of it is done, and of how much."""

CARD = "README.md"
CROISSANT = "croissant.json"
PICTURE = "samples.png"
_DOCUMENTS = (CARD, CROISSANT, PICTURE, ATTRIBUTION, MANIFEST)
_PICTURE_SAMPLES = 3
_PICTURE_DPI = 150


def check_shards(folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Compare every shard's size and hash with the manifest.

    Raises:
        ShardError: If one is missing or damaged.
    """
    total = len(manifest.shards)
    for done, shard in enumerate(manifest.shards, 1):
        try:
            problem = wrong_bytes(folder / shard.name, shard)
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
        if problem:
            raise ShardError(
                f"{shard.name} {problem}; nothing was sent", f"run `mfsynth verify {folder} --repair`"
            )
        progress("checking shards", done, total)


def contents(
    folder: Path, manifest: Manifest, repository: Repository, say: Callable[[str], None], progress: Progress
) -> dict[str, bytes | Path]:
    """The files of a data set, and those that tell of it, by path in the repository.

    Args:
        folder: Of the data set; nothing is written to it.
        manifest: Its manifest.
        repository: Where it is going to lie.
        say: Told what is left out.
        progress: See `Progress`.

    Raises:
        ShardError: If the recipes are damaged.
    """
    attribution = attribute(folder, manifest, lambda *count: progress("reading recipes", *count))
    documents: dict[str, bytes | Path] = {MANIFEST: folder / MANIFEST, ATTRIBUTION: attribution.table}
    pictures = _pictures(folder, say)
    card = dataset_card(manifest, repository, attribution.images, next(iter(pictures), ""))
    description = croissant(manifest, repository, attribution.images.total(), documents)
    shards = {shard.name: folder / shard.name for shard in manifest.shards}
    return {CARD: card.encode(), **pictures, CROISSANT: description, **documents, **shards}


def _pictures(folder: Path, say: Callable[[str], None]) -> dict[str, bytes]:
    """The picture of samples, if there is something to draw it with."""
    if find_spec("matplotlib") is None:
        say("the card shows no samples: pip install 'mfsynth[look]' to have them drawn")
        return {}
    from mfsynth.preview.samples import places, read
    from mfsynth.preview.sheet import draw_sheet
    from mfsynth.shards.reader import open as open_data_set

    data = open_data_set(folder)
    chosen = list(read(data, places(len(data), _PICTURE_SAMPLES)))
    return {PICTURE: draw_sheet(chosen, _PICTURE_DPI)}


def stale_in(repository: Repository, manifest: Manifest) -> Callable[[str], bool]:
    """Whether a path of the repository is of an older version of the data set, so that it goes.

    The function raises HubConflictError at a shard of another split: a repository holds one data set.
    """

    def stale(path: str) -> bool:
        split = split_of(path)
        if split not in (None, manifest.split):
            raise HubConflictError(
                f"{repository} holds shards of {split}, and a repository holds one data set",
                f"publish {manifest.split} to another, or remove them there first",
            )
        return split is not None or path in _DOCUMENTS

    return stale
