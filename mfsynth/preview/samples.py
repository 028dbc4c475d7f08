"""Samples to look at: a contact sheet, or a page to flip through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth import plots, storage
from mfsynth.errors import OptionsError, ShardError
from mfsynth.order import permutation
from mfsynth.shards.reader import open as open_data_set

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mfsynth.sample import Sample
    from mfsynth.shards.reader import DataSet

SHEET_SAMPLES = 6
PAGE_SAMPLES = 12
_PAGE = (".html", ".htm")


def preview(location: str, output: Path, *, samples: int | None = None, seed: int | None = None) -> None:
    """Draw samples of a data set to a file: `.png` is a contact sheet, `.html` a self-contained page.

    Args:
        location: The data set's folder, a local path or URL.
        output: The file to write; an existing one is replaced.
        samples: How many; None is 6 for a sheet, 12 for a page. A smaller data set is shown whole.
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
    default = SHEET_SAMPLES if kind == ".png" else PAGE_SAMPLES
    chosen = read(data, places(len(data), default if samples is None else samples, seed))
    if kind == ".png":
        from mfsynth.preview.sheet import draw_sheet

        storage.write(output, draw_sheet(list(chosen)))
    else:
        from mfsynth.preview.page import write_page

        storage.write(output, write_page(chosen, data.manifest))


def places(total: int, count: int, seed: int | None = None) -> list[int]:
    """Which of `total` samples to show, in ascending order.

    >>> places(100, 4)
    [12, 37, 62, 87]

    Raises:
        OptionsError: If `count` is below 1.
    """
    if count < 1:
        raise OptionsError(f"cannot show {count} samples", "ask for at least one")
    count = min(count, total)
    if seed is not None:
        return sorted(permutation(total, "preview", seed)[:count].tolist())
    return [(2 * k + 1) * total // (2 * count) for k in range(count)]


def read(data: DataSet[Sample], chosen: list[int]) -> Iterator[Sample]:
    """The samples at some places of a data set, and no others."""
    for place in chosen:
        yield from data.read(place, place + 1)
