"""ATTRIBUTION.tsv: the license and the URLs of every image, as CC BY requires."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mfsynth.errors import ShardError
from mfsynth.publish.licenses import licenses_of
from mfsynth.shards.recipes import recipes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.shards.manifest import Manifest

ATTRIBUTION = "ATTRIBUTION.tsv"
COLUMNS = {
    "image_id": "the image's id",
    "file_name": "the picture's file name",
    "license": "its license",
    "license_url": "the license's text",
    "coco_url": "the picture's URL at COCO, if the annotation file gives it",
    "flickr_url": "the URL at which it was published, if the annotation file gives it",
    "samples": "the number of samples made from it",
}
"""The table's columns, and what they contain."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The table as the bytes of a file, and the number of images by license id."""

    table: bytes
    images: Counter[int]


def attribute(
    folder: Path,
    manifest: Manifest,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Attribution:
    """List every image of a data set; only recipes are read from the shards.

    Args:
        folder: The data set's folder.
        manifest: Its manifest.
        progress: Called with the numbers of samples read and to read.

    Raises:
        ShardError: If recipes are damaged, or their licenses contradict the manifest.
    """
    known = {each.count.id: (each.name, each.url) for each in licenses_of(manifest)}
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    images: Counter[int] = Counter()
    samples: Counter[int] = Counter()
    # The samples of an image are consecutive, so earlier images need not be kept.
    for image, made in groupby(recipes(folder, manifest), key=lambda recipe: recipe.image):
        count = sum(1 for _ in made)
        name, url = known.get(image.license, ("", ""))
        table.writerow((image.id, image.file_name, name, url, image.coco_url, image.flickr_url, count))
        images[image.license] += 1
        samples[image.license] += count
        progress(samples.total(), manifest.samples)
    if samples != {each.id: each.samples for each in manifest.licenses if each.samples}:
        raise ShardError("the recipes have other licenses than the manifest", "run `mfsynth verify`")
    return Attribution(text.getvalue().encode(), images)
