"""The figures of scores: box plots and critical differences, each as PNG bytes.

Both raise MissingExtraError if matplotlib is not installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfsynth import plots
from mfsynth.plots import (
    BEST,
    GRID,
    INK,
    LETTER,
    MARGIN,
    PALE,
    QUIET,
    TITLE_ROOM,
    TYPE,
    axes_at,
    hex_color,
    shorten,
    style_panel,
    write_title,
)
from zoo.evaluation.ranks import Test, cliques
from zoo.evaluation.scores import Scores
from zoo.metrics.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Place = Callable[[float], float]


def boxes(scores: Scores, measures: Sequence[str] = (), methods: Sequence[str] = ()) -> bytes:
    """Box plots of measures over the methods, a panel for each measure; the best mean's box is orange.

    Boxes reach from quartile to quartile, whiskers to the last value within 1.5 of that length; dots are
    beyond, and a diamond is the mean.

    Args:
        scores: What was measured.
        measures: Those to draw, in order; if empty, all that have values.
        methods: Along x, in order; all if empty.
    """
    methods = tuple(methods) or scores.methods
    tables = {name: scores.table(name, methods) for name in measures or scores.measures}
    tables = {name: table for name, table in tables.items() if np.isfinite(table).any()}
    across = min(len(tables), 2 if len(methods) > 8 else 3) or 1
    down = max(1, math.ceil(len(tables) / across))
    names = [shorten(name) for name in methods]
    label = _names_height(names)
    panel = max(2.6, 0.34 * len(methods)), 1.5
    left, between, below = 0.65, 0.7, label + 0.5
    width = left + across * panel[0] + (across - 1) * between + MARGIN
    height = TITLE_ROOM + 0.3 + down * (panel[1] + below) - 0.35
    with plots.figure(width, height) as figure:
        pictures = f"{len(scores.images)} stack{'s' if len(scores.images) != 1 else ''}"
        write_title(figure, f"{scores.data}: {pictures}", "box: quartiles; diamond: mean; orange: best mean")
        for place, (name, table) in enumerate(tables.items()):
            row, column = divmod(place, across)
            top = TITLE_ROOM + 0.3 + row * (panel[1] + below)
            axes = axes_at(figure, left + column * (panel[0] + between), top, *panel)
            _draw_boxes(axes, name, table, names)
        return plots.png(figure)


def critical_differences(test: Test, title: str = "") -> bytes:
    """Mean ranks on a line, as Demšar (2006) draws them: a bar joins what does not differ significantly.

    Args:
        test: What `friedman` found.
        title: Above the drawing; what was ranked.
    """
    names = [shorten(name) for name in test.methods]
    margin = max(map(len, names)) * LETTER + 0.65
    axis, step = max(4.0, 0.42 * len(names)), 0.23
    bars = cliques(test)
    rows = math.ceil(len(names) / 2)
    top = TITLE_ROOM + 0.75
    first = top + 0.2 + 0.13 * len(bars) + 0.12
    width, height = 2 * margin + axis, first + rows * step + 0.1
    with plots.figure(width, height) as figure:
        write_title(
            figure, title or "mean ranks", f"{test.images} stacks; Friedman p {_probability(test.p_value)}"
        )
        axes = _canvas(figure, width, height)

        def at(rank: float) -> float:
            return margin + axis * (rank - 1) / (len(names) - 1)

        _draw_rank_axis(axes, len(names), at, top)
        _draw_difference(axes, test, at, top - 0.42)
        _draw_cliques(axes, test, bars, at, top + 0.2)
        _draw_stems(axes, test, names, at, (top, first, step), (margin, margin + axis))
        return plots.png(figure)


def _draw_boxes(axes: Axes, measure: str, table: NDArray[np.float64], names: Sequence[str]) -> None:
    known = MEASURES[measure]
    style_panel(axes, f"{known.label}  {'↑' if known.rising else '↓'}")
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    values = [column[np.isfinite(column)] for column in table.T]
    places = [place for place, column in enumerate(values) if column.size]
    best = (max if known.rising else min)(places, key=lambda place: values[place].mean())
    drawn = axes.boxplot(
        [values[place] for place in places], positions=places, widths=0.62, patch_artist=True, showmeans=True,
        flierprops={"marker": ".", "markersize": 3.5, "markerfacecolor": QUIET, "markeredgecolor": "none"},
        meanprops={"marker": "D", "markersize": 3, "markerfacecolor": INK, "markeredgecolor": "white",
                   "markeredgewidth": 0.5},
        medianprops={"color": INK, "linewidth": 1.1},
        whiskerprops={"color": QUIET, "linewidth": 0.8}, capprops={"color": QUIET, "linewidth": 0.8},
        boxprops={"facecolor": PALE, "edgecolor": hex_color(0), "linewidth": 0.8},
    )  # fmt: skip
    drawn["boxes"][places.index(best)].set(facecolor=BEST, edgecolor="#8a5f00", alpha=0.85)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(
        range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.locator_params(axis="y", nbins=5)
    axes.yaxis.get_offset_text().set(fontsize=TYPE, color=QUIET)


def _draw_rank_axis(axes: Axes, methods: int, at: _Place, top: float) -> None:
    axes.plot([at(1), at(methods)], [top, top], color=INK, linewidth=1.1)
    for rank in range(1, methods + 1):
        axes.plot([at(rank)] * 2, [top - 0.07, top], color=INK, linewidth=1.1)
        axes.text(at(rank), top - 0.11, str(rank), ha="center", va="bottom", fontsize=TYPE, color=QUIET)


def _draw_difference(axes: Axes, test: Test, at: _Place, y: float) -> None:
    """The critical difference to scale, above the axis and no longer than it."""
    end = min(1 + test.difference, float(len(test.methods)))
    axes.plot([at(1), at(end)], [y, y], color=INK, linewidth=1.4)
    for x in (at(1), at(end)):
        axes.plot([x, x], [y - 0.05, y + 0.05], color=INK, linewidth=1.4)
    more = " (longer than the axis)" if end < 1 + test.difference else ""
    label = f"critical difference {test.difference:.2f} at {test.alpha:g}{more}"
    axes.text(at(1), y - 0.08, label, ha="left", va="bottom", fontsize=TYPE, color=INK)


def _draw_cliques(axes: Axes, test: Test, groups: list[tuple[int, ...]], at: _Place, top: float) -> None:
    for row, group in enumerate(groups):
        ends = at(test.ranks[group[0]]) - 0.05, at(test.ranks[group[-1]]) + 0.05
        axes.plot(ends, [top + 0.13 * row] * 2, color=BEST, linewidth=3.4, solid_capstyle="butt")


def _draw_stems(
    axes: Axes,
    test: Test,
    names: Sequence[str],
    at: _Place,
    rows: tuple[float, float, float],
    sides: tuple[float, float],
) -> None:
    """From each mean rank down and out to its name: the better half on the left, the best at the top."""
    top, first, step = rows
    order = np.argsort(test.ranks, kind="stable")
    half = math.ceil(len(order) / 2)
    for place, method in enumerate(order):
        on_left = place < half
        row = place if on_left else len(order) - 1 - place
        y, x = first + (row + 0.4) * step, at(test.ranks[method])
        end = sides[0] - 0.08 if on_left else sides[1] + 0.08
        axes.plot([x, x, end], [top, y, y], color=QUIET, linewidth=0.8)
        axes.plot([x], [top], marker="o", markersize=3.6, color=INK)
        label = [names[method], f"{test.ranks[method]:.2f}"]
        axes.text(
            end + (-0.05 if on_left else 0.05), y, "  ".join(label if on_left else label[::-1]),
            ha="right" if on_left else "left", va="center_baseline",
            fontsize=TYPE, color=INK, parse_math=False,
        )  # fmt: skip


def _probability(value: float) -> str:
    """A p-value, for people.

    >>> _probability(0.03124), _probability(1e-12)
    ('= 0.031', '< 0.001')
    """
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _names_height(names: Sequence[str]) -> float:
    """How far names reach below an axis at 40 degrees."""
    return max(map(len, names), default=0) * LETTER * math.sin(math.radians(40)) + 0.15


def _canvas(figure: Figure, width: float, height: float) -> Axes:
    """The whole figure in inches from the upper left corner, to draw on."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes
