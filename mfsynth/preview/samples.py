"""Samples to look at: a contact sheet, or a page to flip through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfsynth import plots, storage
from mfsynth.console import count
from mfsynth.errors import OptionsError, ShardError
from mfsynth.order import some_of
from mfsynth.shards.reader import open as open_data_set

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mfsynth.sample import Sample
    from mfsynth.shards.reader import DataSet

SHEET_SAMPLES = 6
PAGE_SAMPLES = 12
PAGE_FRAMES = 96
"""A page of stacks shows fewer samples, or it would be too large to open: some 10 MB for so many frames."""
_PAGE = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Preview:
    """A file that shows samples: how many, and its size in bytes."""

    output: Path
    samples: int
    size: int

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {"output": str(self.output), "samples": self.samples, "bytes": self.size}

    def lines(self) -> list[str]:
        """As a line for people."""
        return [f"{self.output}  {count(self.samples, 'sample')}, {self.size / 1e6:.1f} MB"]


def preview(location: str, output: Path, *, samples: int | None = None, seed: int | None = None) -> Preview:
    """Draw samples of a data set to a file: `.png` is a contact sheet, `.html` a self-contained page.

    Args:
        location: The data set's folder, a local path or URL.
        output: The file to write; an existing one is replaced.
        samples: How many; None is 6 for a sheet, 12 for a page, or fewer of stacks of more than eight
            frames. A smaller data set is shown whole.
        seed: Chooses them at random; None spreads them evenly over the data set.

    Raises:
        OptionsError: If the output is of another kind, or fewer than one sample is asked for.
        MissingExtraError: If a sheet is to be drawn and matplotlib is not installed.
        ShardError: If there is no data set, or it is damaged or empty.
        OutputError: If the file cannot be written.
    """
    kind = output.suffix.lower()
    if kind not in (".png", *_PAGE):
        raise OptionsError(
            f"cannot tell what kind of file {output} is", "name it .png (contact sheet) or .html (page)"
        )
    if kind == ".png":
        plots.need_matplotlib()
    data = open_data_set(location)
    if not len(data):
        raise ShardError(f"{location} holds no samples, there is nothing to show")
    frames = data.manifest.layout.frames
    default = SHEET_SAMPLES if kind == ".png" else max(1, min(PAGE_SAMPLES, PAGE_FRAMES // frames))
    shown = places(len(data), default if samples is None else samples, seed)
    chosen = read(data, shown)
    if kind == ".png":
        from mfsynth.preview.sheet import draw_sheet

        storage.write(output, draw_sheet(list(chosen)))
    else:
        from mfsynth.preview.page import write_page

        storage.write(output, write_page(chosen, data.manifest))
    return Preview(output, len(shown), output.stat().st_size)


def places(total: int, wanted: int, seed: int | None = None) -> list[int]:
    """Which of `total` samples to show, in ascending order.

    >>> places(100, 4)
    [12, 37, 62, 87]

    Raises:
        OptionsError: If `wanted` is below 1.
    """
    if wanted < 1:
        raise OptionsError(f"cannot show {wanted} samples", "ask for at least one")
    wanted = min(wanted, total)
    if seed is not None:
        return some_of(total, wanted, "preview", seed)
    return [(2 * k + 1) * total // (2 * wanted) for k in range(wanted)]


def read(data: DataSet[Sample], chosen: list[int]) -> Iterator[Sample]:
    """The samples at some places of a data set, and no others."""
    return (data[place] for place in chosen)
