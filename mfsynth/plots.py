"""What drawings have in common: matplotlib, if it is installed, and the style of the house."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mfsynth.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure


def need_matplotlib() -> None:
    """Check that there is something to draw with, before the work begins.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401 - asked for by what is called next
    except ImportError as error:
        raise MissingExtraError("matplotlib", "look") from error


@contextmanager
def figure(width: float, height: float, dpi: float) -> Iterator[Figure]:
    """A figure of a size in inches on white, in matplotlib's own style whatever the user's is."""
    need_matplotlib()
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.style.context("default"):
        drawn = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
        FigureCanvasAgg(drawn)  # keeps one renderer; without it each measured text allocates a whole sheet
        yield drawn


def png(drawn: Figure) -> bytes:
    """A figure as PNG, in its own resolution."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=drawn.dpi)
    return buffer.getvalue()
