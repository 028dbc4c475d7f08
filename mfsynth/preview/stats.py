"""How the random draws of a data set are distributed; only recipes are read, no pictures."""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mfsynth.options import BuildOptions
from mfsynth.preview.quantities import Quantity, quantities_of
from mfsynth.shards.reader import open as open_data_set
from mfsynth.shards.recipes import recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mfsynth.shards.manifest import LicenseCount

_PROGRESS_STEP = 100


@dataclass(frozen=True, slots=True)
class Summary:
    """A distribution in six numbers; percentiles between two values are interpolated."""

    min: float
    p5: float
    median: float
    mean: float
    p95: float
    max: float

    @staticmethod
    def of(values: NDArray[np.float64]) -> Summary:
        """The summary of one or more values."""
        low, p5, median, p95, high = np.percentile(values, (0, 5, 50, 95, 100)).tolist()
        return Summary(low, p5, median, float(values.mean()), p95, high)


@dataclass(frozen=True, eq=False)
class Stats:
    """The distributions of a data set.

    `values` holds each quantity's values by its name, sample by sample: one of each, or as many as it has
    frames or segments.
    """

    split: str
    samples: int
    shards: int
    images: int
    frames: int
    planes: int
    quantities: tuple[Quantity, ...]
    licenses: tuple[LicenseCount, ...]
    left_out: dict[str, int]
    values: dict[str, NDArray[np.float64]]

    def to_json(self) -> dict[str, Any]:
        """Summaries and counts, without the individual values."""
        summaries = {
            quantity.name: {"unit": quantity.unit} | asdict(Summary.of(self.values[quantity.name]))
            for quantity in self.quantities
            if self.samples
        }
        return {
            "split": self.split,
            "samples": self.samples,
            "shards": self.shards,
            "images": self.images,
            "frames": self.frames,
            "planes": self.planes,
            "distributions": summaries,
            "licenses": [asdict(license) for license in self.licenses],
            "left_out": dict(self.left_out),
        }

    def lines(self) -> list[str]:
        """The same as an aligned table for people."""
        rows: list[tuple[str, ...]] = [("", "min", "5%", "median", "mean", "95%", "max")]
        for quantity in self.quantities if self.samples else ():
            numbers = asdict(Summary.of(self.values[quantity.name])).values()
            rows.append((f"{quantity.title} ({quantity.unit})", *map(_number, numbers)))
        left_out = "; ".join(f"{count} by {reason}" for reason, count in self.left_out.items())
        return [
            *(_aligned(rows) if self.samples else ()),
            *([""] if self.samples else ()),
            f"samples {self.samples}, shards {self.shards}, images {self.images}"
            + (f", frames {self.frames}, planes {self.planes}" if self.planes > 2 else ""),
            f"images left out: {left_out or 'none'}",
            "samples by license:",
            *(f"  {license.samples:>7}  {license_name(license)}" for license in self.licenses),
        ]


def collect(location: str, progress: Callable[[int, int], None]) -> Stats:
    """Read every recipe of a data set.

    Args:
        location: The data set's folder, a local path or URL.
        progress: Called with how many samples are done, and how many there are.

    Raises:
        ShardError: If there is no data set, or it is damaged.
    """
    data = open_data_set(location)
    manifest = data.manifest
    options = BuildOptions.of(manifest)
    quantities = quantities_of(options)
    values = {quantity.name: array("d") for quantity in quantities}
    images = set()
    for done, recipe in enumerate(recipes(data.folder, manifest), 1):
        for quantity in quantities:
            values[quantity.name].extend(quantity.of(recipe))
        images.add(recipe.image.id)
        if done % _PROGRESS_STEP == 0 or done == manifest.samples:
            progress(done, manifest.samples)
    return Stats(
        split=manifest.split,
        samples=manifest.samples,
        shards=len(manifest.shards),
        images=len(images),
        frames=options.frames,
        planes=options.draw.depths,
        quantities=quantities,
        licenses=manifest.licenses,
        left_out={reason: len(ids) for reason, ids in manifest.left_out.items()},
        values={name: np.array(column, np.float64) for name, column in values.items()},
    )


def _number(value: float) -> str:
    """Three significant digits, and all digits of whole numbers."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines, the first column flush left, numbers flush right."""
    first = max(len(row[0]) for row in rows)
    wide = max(9, 1 + max(len(text) for row in rows for text in row[1:]))
    return [row[0].ljust(first) + "".join(text.rjust(wide) for text in row[1:]) for row in rows]


def license_name(license: LicenseCount) -> str:
    """A license's name, with its id in COCO's table."""
    return f"{license.name or 'unnamed'} ({license.id})"
