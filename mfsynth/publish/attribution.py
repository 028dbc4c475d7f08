"""ATTRIBUTION.tsv: for every image its license and where it comes from, as CC BY asks."""

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
    "file_name": "the picture's file",
    "license": "its license",
    "license_url": "the license's text",
    "coco_url": "where COCO keeps the picture, if the annotation file says so",
    "flickr_url": "where it was published, if the annotation file says so",
    "samples": "how many samples are made of it",
}
"""The table's columns, and what they hold."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The table as a file's bytes, and the number of images by their license's id."""

    table: bytes
    images: Counter[int]


def attribute(
    folder: Path,
    manifest: Manifest,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Attribution:
    """List every image of a data set; of the shards, recipes alone are read.

    Args:
        folder: Of the data set.
        manifest: Its manifest.
        progress: Told of samples read and to read.

    Raises:
        ShardError: If the recipes are damaged, or contradict what the manifest says of licenses.
    """
    known = {each.count.id: (each.name, each.url) for each in licenses_of(manifest)}
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    images: Counter[int] = Counter()
    samples: Counter[int] = Counter()
    # The samples of an image follow one another, so that nothing need be kept of those before.
    for image, made in groupby(recipes(folder, manifest), key=lambda recipe: recipe.image):
        count = sum(1 for _ in made)
        name, url = known.get(image.license, ("", ""))
        table.writerow((image.id, image.file_name, name, url, image.coco_url, image.flickr_url, count))
        images[image.license] += 1
        samples[image.license] += count
        progress(samples.total(), manifest.samples)
    if samples != {each.id: each.samples for each in manifest.licenses if each.samples}:
        raise ShardError("the recipes have other licenses than the manifest says", "run `mfsynth verify`")
    return Attribution(text.getvalue().encode(), images)
