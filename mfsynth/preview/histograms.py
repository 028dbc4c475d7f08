"""The statistics as a picture: a histogram for each quantity, and the licenses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mfsynth import plots, storage
from mfsynth.errors import OptionsError, ShardError
from mfsynth.plots import GRID, INK, QUIET, TYPE, axes_at, hex_color, shorten, style_panel
from mfsynth.preview.stats import license_name

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from mfsynth.preview.quantities import Quantity
    from mfsynth.preview.stats import Stats
    from mfsynth.shards.manifest import LicenseCount

DPI = 200
_FEWEST_BINS, _MOST_BINS = 10, 30
_COLUMNS = 3
_LONGEST_NAME = 54

# Sizes in inches, type in points.
_WIDTH, _PANEL, _BAR = 9.4, 1.3, 0.24
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN, _ROW_GAP = 0.55, 0.2, 0.8, 0.2, 0.45, 0.65
_TITLE = 13


def check_output(output: Path) -> None:
    """Check that distributions can be drawn to a file, before reading all recipes.

    Raises:
        OptionsError: If the output is not a `.png`.
        MissingExtraError: If matplotlib is not installed.
    """
    if output.suffix.lower() != ".png":
        raise OptionsError(f"distributions are drawn as PNG, not as {output.name}", "name the output .png")
    plots.need_matplotlib()


def draw(stats: Stats, output: Path) -> None:
    """Draw the distributions as a grid of histograms.

    Args:
        stats: What `collect` found.
        output: A PNG to write; an existing file is replaced.

    Raises:
        OptionsError: If the output is not a `.png`.
        MissingExtraError: If matplotlib is not installed.
        ShardError: If there is nothing to draw.
        OutputError: If the file cannot be written.
    """
    check_output(output)
    if not stats.samples:
        raise ShardError(f"{stats.split} holds no samples, there is nothing to draw")
    storage.write(output, draw_histograms(stats))


def draw_histograms(stats: Stats, dpi: float = DPI) -> bytes:
    """A grid of histograms as PNG.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    rows = -(-len(stats.quantities) // _COLUMNS)
    bars = max(1, len(stats.licenses)) * _BAR
    height = _TOP + rows * (_PANEL + _ROW_GAP) + bars + _BOTTOM
    panel = (_WIDTH - _LEFT - _RIGHT - (_COLUMNS - 1) * _BETWEEN) / _COLUMNS
    with plots.figure(_WIDTH, height, dpi) as figure:
        _draw_title(figure, stats)
        for place, quantity in enumerate(stats.quantities):
            row, column = divmod(place, _COLUMNS)
            left, top = _LEFT + column * (panel + _BETWEEN), _TOP + row * (_PANEL + _ROW_GAP)
            axes = axes_at(figure, left, top, panel, _PANEL)
            _draw_histogram(axes, quantity, stats.values[quantity.name])
        left = _LEFT + panel + _BETWEEN
        top = _TOP + rows * (_PANEL + _ROW_GAP)
        _draw_licenses(axes_at(figure, left, top, _WIDTH - _RIGHT - left, bars), stats.licenses)
        return plots.png(figure)


def _draw_title(figure: Figure, stats: Stats) -> None:
    width, height = figure.get_size_inches()
    y = 1 - 0.3 / height
    stack = f", {stats.frames} frames each" if stats.frames > 2 else ""
    title = f"{stats.split}: {stats.samples:,} samples of {stats.images:,} images{stack}"
    figure.text(
        _LEFT / width, y, title,
        fontsize=_TITLE, fontweight="bold", color=INK, va="center", parse_math=False,
    )  # fmt: skip
    each = dict.fromkeys(f"{quantity.each}s" for quantity in stats.quantities)
    note = f"{', '.join(each)} per bin; dashed: the median"
    figure.text(1 - _RIGHT / width, y, note, fontsize=TYPE, color=QUIET, ha="right", va="center")


def _draw_histogram(axes: Axes, quantity: Quantity, values: NDArray[np.float64]) -> None:
    style_panel(axes, f"{quantity.title} ({quantity.unit})")
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.hist(values, bins=bin_edges(values, quantity.whole), color=hex_color(0), rwidth=0.9)
    axes.axvline(float(np.median(values)), color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.locator_params(axis="y", integer=True, nbins=4)
    axes.locator_params(axis="x", integer=quantity.whole, nbins=7)
    if np.ptp(values) == 0:
        axes.set_xlim(values[0] - 5, values[0] + 5)
        axes.set_xticks([values[0]], [f"{values[0]:g}"])


def bin_edges(values: NDArray[np.float64], whole: bool) -> list[float]:
    """Edges of equal bins; each holds the same count of whole numbers, or every other bin would be too high.

    >>> bin_edges(np.array([1.0, 3.0]), whole=True)
    [0.5, 1.5, 2.5, 3.5]
    """
    low, high = float(values.min()), float(values.max())
    bins = max(_FEWEST_BINS, min(_MOST_BINS, round(2 * math.sqrt(values.size))))
    if whole or low == high:
        step = math.ceil((high - low + 1) / bins)
        return [low - 0.5 + step * k for k in range(math.ceil((high - low + 1) / step) + 1)]
    return list(np.linspace(low, high, bins + 1))


def _draw_licenses(axes: Axes, licenses: tuple[LicenseCount, ...]) -> None:
    style_panel(axes, "samples by license")
    places = range(len(licenses))
    bars = axes.barh(places, [each.samples for each in licenses], height=0.7, color=hex_color(0))
    axes.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize=TYPE, color=QUIET)
    names = [shorten(license_name(each), _LONGEST_NAME) for each in licenses]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(len(licenses) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
