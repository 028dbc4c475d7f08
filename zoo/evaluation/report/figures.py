"""The figures: box plots, critical differences, curves and bars, each as PNG bytes.

All raise MissingExtraError if matplotlib is not installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfsynth import plots
from mfsynth.preview.colors import hex_colour
from mfsynth.preview.histograms import shorten, style
from zoo.evaluation.ranks import Test, cliques
from zoo.evaluation.scores import Scores
from zoo.metrics.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DPI = 150
_LONGEST_NAME = 22

# Sizes in inches, type in points.
_MARGIN, _TITLE_ROOM = 0.25, 0.6
_TITLE, _HEAD, _TYPE = 12, 9.5, 8
_LETTER = 0.62 * _TYPE / 72  # a letter's width, on average
_INK, _QUIET, _GRID, _PALE, _BEST = "#1a1a1a", "#555555", "#e4e4e4", "#cfe3ef", "#e69f00"
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
_Place = Callable[[float], float]
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def boxes(scores: Scores, measures: Sequence[str] = (), methods: Sequence[str] = ()) -> bytes:
    """Box plots of measures over the methods, a panel for each measure; the best mean's box is orange.

    Boxes reach from quartile to quartile, whiskers to the last value within 1.5 of that length; dots lie
    beyond, and a diamond is the mean.

    Args:
        scores: What was measured.
        measures: Those to draw, in order; all that have values if empty.
        methods: Along x, in order; all if empty.
    """
    methods = tuple(methods) or scores.methods
    tables = {name: scores.table(name, methods) for name in measures or scores.measures}
    tables = {name: table for name, table in tables.items() if np.isfinite(table).any()}
    across = min(len(tables), 2 if len(methods) > 8 else 3) or 1
    down = max(1, math.ceil(len(tables) / across))
    names = [shorten(name, _LONGEST_NAME) for name in methods]
    label = _names_height(names)
    panel = max(2.6, 0.34 * len(methods)), 1.5
    left, between, below = 0.65, 0.7, label + 0.5
    width = left + across * panel[0] + (across - 1) * between + _MARGIN
    height = _TITLE_ROOM + 0.3 + down * (panel[1] + below) - 0.35
    with plots.figure(width, height, DPI) as figure:
        pictures = f"{len(scores.images)} pair{'s' if len(scores.images) != 1 else ''}"
        _title(figure, f"{scores.data}: {pictures}", "box: quartiles; diamond: mean; orange: best mean")
        for place, (name, table) in enumerate(tables.items()):
            row, column = divmod(place, across)
            top = _TITLE_ROOM + 0.3 + row * (panel[1] + below)
            axes = _axes(figure, left + column * (panel[0] + between), top, *panel)
            _draw_boxes(axes, name, table, names)
        return plots.png(figure)


def critical_differences(test: Test, title: str = "") -> bytes:
    """Mean ranks on a line, as Demšar (2006) draws them: a bar joins what does not differ significantly.

    Args:
        test: What `friedman` found.
        title: Above the drawing; what was ranked.
    """
    names = [shorten(name, _LONGEST_NAME) for name in test.methods]
    margin = max(map(len, names)) * _LETTER + 0.65
    axis, step = max(4.0, 0.42 * len(names)), 0.23
    bars = cliques(test)
    rows = math.ceil(len(names) / 2)
    top = _TITLE_ROOM + 0.75
    first = top + 0.2 + 0.13 * len(bars) + 0.12
    width, height = 2 * margin + axis, first + rows * step + 0.1
    with plots.figure(width, height, DPI) as figure:
        _title(figure, title or "mean ranks", f"{test.images} pairs; Friedman p {_probability(test.p_value)}")
        axes = _canvas(figure, width, height)

        def at(rank: float) -> float:
            return margin + axis * (rank - 1) / (len(names) - 1)

        _draw_rank_axis(axes, len(names), at, top)
        _draw_difference(axes, test, at, top - 0.42)
        _draw_cliques(axes, test, bars, at, top + 0.2)
        _draw_stems(axes, test, names, at, (top, first, step), (margin, margin + axis))
        return plots.png(figure)


def curves(
    title: str,
    x: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    xlabel: str,
    *,
    log: bool = False,
) -> bytes:
    """A line for each method over x, in a panel for each quantity.

    Args:
        title: Above the panels.
        x: Places along x, such as noise levels.
        panels: By the quantity's label, such as "PSNR, dB": a method's values at each x; NaN leaves a gap.
        xlabel: What x is.
        log: Whether both axes are logarithmic.
    """
    methods = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    names = [shorten(name, _LONGEST_NAME) for name in methods]
    legend = max(map(len, names)) * _LETTER + 0.75
    panel, left, between = (3.5, max(2.6, 0.19 * len(names))), 0.7, 0.75
    width = left + len(panels) * panel[0] + (len(panels) - 1) * between + 0.2 + legend
    height = _TITLE_ROOM + panel[1] + 0.75
    with plots.figure(width, height, DPI) as figure:
        _title(figure, title, "")
        for column, (label, lines) in enumerate(panels.items()):
            axes = _axes(figure, left + column * (panel[0] + between), _TITLE_ROOM + 0.15, *panel)
            style(axes, label)
            axes.grid(color=_GRID, linewidth=0.7)
            axes.set_xlabel(xlabel, fontsize=_TYPE, color=_QUIET)
            if log:
                axes.set_xscale("log")
                axes.set_yscale("log")
                _plain_ticks(axes.xaxis, axes.yaxis)
                axes.set_xticks(x, [f"{place:g}" for place in x])
            for place, method in enumerate(methods):
                if method in lines:
                    axes.plot(x, lines[method], **_line(place))
        handles = [axes.plot([], [], label=name, **_line(place))[0] for place, name in enumerate(names)]
        key = figure.legend(
            handles=handles, loc="upper left", borderaxespad=0, frameon=False, fontsize=_TYPE,
            labelspacing=0.45, handlelength=3,
            bbox_to_anchor=(1 - legend / width, 1 - (_TITLE_ROOM + 0.05) / height),
        )  # fmt: skip
        for text in key.get_texts():
            text.set_parse_math(False)
        return plots.png(figure)


def bars(title: str, values: Mapping[str, float], xlabel: str, *, log: bool = False) -> bytes:
    """A bar for each method with its value, such as the seconds it takes.

    Args:
        title: Above the bars.
        values: By method's name, from the top.
        xlabel: What the values are.
        log: Whether x is logarithmic, which only positive values can be.
    """
    names = [shorten(name, _LONGEST_NAME) for name in values]
    left = max(map(len, names)) * _LETTER + 0.35
    tall = 0.24 * len(names)
    width, height = left + 4.6 + 0.75, _TITLE_ROOM + tall + 0.55
    with plots.figure(width, height, DPI) as figure:
        _title(figure, title, "")
        axes = _axes(figure, left, _TITLE_ROOM, 4.6, tall)
        style(axes, "")
        axes.grid(axis="x", color=_GRID, linewidth=0.7)
        if log:
            axes.set_xscale("log")
            _plain_ticks(axes.xaxis)
        drawn = axes.barh(range(len(names)), list(values.values()), height=0.68, color=hex_colour(0))
        axes.bar_label(drawn, fmt=lambda value: f"{value:.3g}", padding=4, fontsize=_TYPE, color=_QUIET)
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(xlabel, fontsize=_TYPE, color=_QUIET)
        return plots.png(figure)


def _draw_boxes(axes: Axes, measure: str, table: NDArray[np.float64], names: Sequence[str]) -> None:
    about = MEASURES[measure]
    style(axes, f"{about.label}  {'↑' if about.rising else '↓'}")
    axes.grid(axis="y", color=_GRID, linewidth=0.7)
    values = [column[np.isfinite(column)] for column in table.T]
    places = [place for place, column in enumerate(values) if column.size]
    best = (max if about.rising else min)(places, key=lambda place: values[place].mean())
    drawn = axes.boxplot(
        [values[place] for place in places], positions=places, widths=0.62, patch_artist=True, showmeans=True,
        flierprops={"marker": ".", "markersize": 3.5, "markerfacecolor": _QUIET, "markeredgecolor": "none"},
        meanprops={"marker": "D", "markersize": 3, "markerfacecolor": _INK, "markeredgecolor": "white",
                   "markeredgewidth": 0.5},
        medianprops={"color": _INK, "linewidth": 1.1},
        whiskerprops={"color": _QUIET, "linewidth": 0.8}, capprops={"color": _QUIET, "linewidth": 0.8},
        boxprops={"facecolor": _PALE, "edgecolor": hex_colour(0), "linewidth": 0.8},
    )  # fmt: skip
    drawn["boxes"][places.index(best)].set(facecolor=_BEST, edgecolor="#8a5f00", alpha=0.85)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(
        range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.locator_params(axis="y", nbins=5)
    axes.yaxis.get_offset_text().set(fontsize=_TYPE, color=_QUIET)


def _draw_rank_axis(axes: Axes, methods: int, at: _Place, top: float) -> None:
    axes.plot([at(1), at(methods)], [top, top], color=_INK, linewidth=1.1)
    for rank in range(1, methods + 1):
        axes.plot([at(rank)] * 2, [top - 0.07, top], color=_INK, linewidth=1.1)
        axes.text(at(rank), top - 0.11, str(rank), ha="center", va="bottom", fontsize=_TYPE, color=_QUIET)


def _draw_difference(axes: Axes, test: Test, at: _Place, y: float) -> None:
    """The critical difference to scale, above the axis; at most as long as that."""
    end = min(1 + test.difference, float(len(test.methods)))
    axes.plot([at(1), at(end)], [y, y], color=_INK, linewidth=1.4)
    for x in (at(1), at(end)):
        axes.plot([x, x], [y - 0.05, y + 0.05], color=_INK, linewidth=1.4)
    more = " (longer than the axis)" if end < 1 + test.difference else ""
    label = f"critical difference {test.difference:.2f} at {test.alpha:g}{more}"
    axes.text(at(1), y - 0.08, label, ha="left", va="bottom", fontsize=_TYPE, color=_INK)


def _draw_cliques(axes: Axes, test: Test, groups: list[tuple[int, ...]], at: _Place, top: float) -> None:
    for row, group in enumerate(groups):
        ends = at(test.ranks[group[0]]) - 0.05, at(test.ranks[group[-1]]) + 0.05
        axes.plot(ends, [top + 0.13 * row] * 2, color=_BEST, linewidth=3.4, solid_capstyle="butt")


def _draw_stems(
    axes: Axes,
    test: Test,
    names: Sequence[str],
    at: _Place,
    rows: tuple[float, float, float],
    sides: tuple[float, float],
) -> None:
    """From each mean rank down and out to its name: the better half on the left, the best uppermost."""
    top, first, step = rows
    order = np.argsort(test.ranks, kind="stable")
    half = math.ceil(len(order) / 2)
    for place, method in enumerate(order):
        on_left = place < half
        row = place if on_left else len(order) - 1 - place
        y, x = first + (row + 0.4) * step, at(test.ranks[method])
        end = sides[0] - 0.08 if on_left else sides[1] + 0.08
        axes.plot([x, x, end], [top, y, y], color=_QUIET, linewidth=0.8)
        axes.plot([x], [top], marker="o", markersize=3.6, color=_INK)
        label = [names[method], f"{test.ranks[method]:.2f}"]
        axes.text(
            end + (-0.05 if on_left else 0.05), y, "  ".join(label if on_left else label[::-1]),
            ha="right" if on_left else "left", va="center_baseline",
            fontsize=_TYPE, color=_INK, parse_math=False,
        )  # fmt: skip


def _probability(value: float) -> str:
    """A p-value, for people.

    >>> _probability(0.03124), _probability(1e-12)
    ('= 0.031', '< 0.001')
    """
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _line(place: int) -> dict[str, Any]:
    """How the line of a place looks; the first eighteen differ in colour or dashes, and in markers."""
    return {
        "color": hex_colour(place), "linestyle": _DASHES[place // 6 % 3], "linewidth": 1.4,
        "marker": _MARKERS[place % 7], "markersize": 3.8, "markeredgewidth": 0,
    }  # fmt: skip


def _names_height(names: Sequence[str]) -> float:
    """How far names reach below an axis at 40 degrees."""
    return max(map(len, names), default=0) * _LETTER * math.sin(math.radians(40)) + 0.15


def _plain_ticks(*axes: Axis) -> None:
    """Numbers rather than powers of ten on logarithmic axes, and nothing between them."""
    for axis in axes:
        axis.set_major_formatter("{x:g}")
        axis.minorticks_off()


def _title(figure: Figure, title: str, note: str) -> None:
    """A line above all panels, and a smaller one below it."""
    height, width = figure.get_figheight(), figure.get_figwidth()
    left = _MARGIN / width
    figure.text(
        left, 1 - 0.24 / height, title,
        fontsize=_TITLE, fontweight="bold", color=_INK, va="center", parse_math=False,
    )  # fmt: skip
    figure.text(left, 1 - 0.46 / height, note, fontsize=_TYPE, color=_QUIET, va="center", parse_math=False)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    wide, tall = figure.get_figwidth(), figure.get_figheight()
    return figure.add_axes((left / wide, 1 - (top + height) / tall, width / wide, height / tall))


def _canvas(figure: Figure, width: float, height: float) -> Axes:
    """The whole figure in inches from the upper left corner, to draw on."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes
