"""`mfsynth stats`: the distributions of a data set, as a table and, on request, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.preview import histograms
from mfsynth.preview.stats import collect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.preview.stats import Stats


def distributions(
    location: str,
    picture: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Stats:
    """How blur, in-focus area, segments, noise and image size are distributed over a data set.

    Args:
        location: The data set's folder, a local path or URL.
        picture: A PNG to draw them to; None draws none.
        progress: Called with the number of samples done and to do.

    Raises:
        OptionsError: If the picture is not a `.png`.
        MissingExtraError: If there is something to draw and matplotlib is not installed.
        ShardError: If there is no data set, it is damaged, or there is nothing to draw.
        OutputError: If the picture cannot be written.
    """
    if picture is not None:
        histograms.check_output(picture)
    stats = collect(location, progress)
    if picture is not None:
        histograms.draw(stats, picture)
    return stats
