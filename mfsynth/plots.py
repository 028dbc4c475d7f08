"""What drawings have in common: matplotlib, if it is installed, and the house's style.

Lengths are in inches, type in points. Text is shown as it is written: a dollar sign starts no formula.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfsynth.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
TITLE, HEAD, TYPE = 12.0, 9.5, 8.0
LETTER = 0.62 * TYPE / 72
"""A letter's width in the smallest type, on average."""
MARGIN, TITLE_ROOM = 0.25, 0.6
INK, QUIET, GRID, PALE, BEST = "#1a1a1a", "#555555", "#e4e4e4", "#cfe3ef", "#e69f00"
LONGEST_NAME = 22

# Okabe and Ito's colors, which color-blind readers can tell apart.
_COLORS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (86, 180, 233))
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_FEW_POINTS = 40
_PANEL = 3.5, 2.6  # of curves


def color(number: int) -> tuple[int, int, int]:
    """The color of a plane or a line, by number: RGB, 0 to 255."""
    return _COLORS[number % len(_COLORS)]


def hex_color(number: int) -> str:
    """The same color as CSS and matplotlib write it.

    >>> hex_color(0)
    '#0072b2'
    """
    return "#{:02x}{:02x}{:02x}".format(*color(number))


def need_matplotlib() -> None:
    """Check that there is something to draw with, before the work begins.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401 - needed by whatever is called next
    except ImportError as error:
        raise MissingExtraError("matplotlib", "preview") from error


@contextmanager
def figure(width: float, height: float, dpi: float = DPI) -> Iterator[Figure]:
    """A figure on white, in matplotlib's default style whatever the user's is."""
    need_matplotlib()
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.style.context("default"):
        drawn = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
        FigureCanvasAgg(drawn)  # keeps one renderer; without it, measuring a text allocates a whole sheet
        yield drawn


def png(drawn: Figure) -> bytes:
    """A figure as PNG, in its own resolution."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=drawn.dpi)
    return buffer.getvalue()


def write_title(figure: Figure, title: str, note: str = "") -> None:
    """A line above all panels, and a smaller one below it."""
    width, height = figure.get_size_inches()
    style: dict[str, Any] = {"va": "center", "parse_math": False}
    figure.text(
        MARGIN / width, 1 - 0.24 / height, title, fontsize=TITLE, fontweight="bold", color=INK, **style
    )
    figure.text(MARGIN / width, 1 - 0.46 / height, note, fontsize=TYPE, color=QUIET, **style)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place from the upper left corner."""
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, 1 - (top + height) / tall, width / wide, height / tall))


def style_panel(axes: Axes, title: str, xlabel: str = "") -> None:
    """Style a panel: a title, an axis line below, no other frame."""
    axes.set_title(title, loc="left", fontsize=HEAD, color=INK, pad=6, parse_math=False)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TYPE, colors=QUIET, length=3, width=0.7)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(xlabel, fontsize=TYPE, color=QUIET)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(QUIET)
        spine.set_linewidth(0.7)


def shorten(text: str, length: int = LONGEST_NAME) -> str:
    """The text, or its beginning with an ellipsis where it is too long.

    >>> shorten("Attribution", 6)
    'Attri…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity's lines.

    Attributes:
        label: The quantity with its unit, such as "PSNR, dB".
        lines: x and y by the line's name; NaN leaves a gap.
        log: Whether y is logarithmic.
    """

    label: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    log: bool = False


def draw_curves(title: str, panels: Sequence[Panel], xlabel: str, note: str = "") -> bytes:
    """Panels side by side as PNG; a name has one color, dash and marker in all of them.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    legend = max((len(shorten(name)) for name in names), default=0) * LETTER + 0.75
    wide, tall = _PANEL[0], max(_PANEL[1], 0.19 * len(names))
    left, between = 0.7, 0.75
    width = left + len(panels) * wide + (len(panels) - 1) * between + 0.2 + legend
    height = TITLE_ROOM + tall + 0.75
    with figure(width, height) as drawn:
        write_title(drawn, title, note)
        for column, panel in enumerate(panels):
            axes = axes_at(drawn, left + column * (wide + between), TITLE_ROOM + 0.15, wide, tall)
            _draw_panel(axes, panel, names, xlabel)
        _draw_legend(drawn, names, (1 - legend / width, 1 - (TITLE_ROOM + 0.05) / height))
        return png(drawn)


def _draw_panel(axes: Axes, panel: Panel, names: Sequence[str], xlabel: str) -> None:
    style_panel(axes, panel.label, xlabel)
    if panel.log:
        _make_logarithmic(axes)
    axes.grid(which="both", color=GRID, linewidth=0.7)
    for number, name in enumerate(names):
        if name in panel.lines:
            x, y = panel.lines[name]
            axes.plot(x, y, **_line_style(number, marked=len(x) < _FEW_POINTS))


def _make_logarithmic(axes: Axes) -> None:
    """Make y logarithmic, with numbers rather than powers of ten."""
    from matplotlib.ticker import LogFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
    axes.tick_params(axis="y", which="minor", length=0, labelsize=TYPE, labelcolor=QUIET)


def _draw_legend(figure: Figure, names: Sequence[str], corner: tuple[float, float]) -> None:
    from matplotlib.lines import Line2D

    key = figure.legend(
        handles=[Line2D([], [], label=shorten(name), **_line_style(k)) for k, name in enumerate(names)],
        loc="upper left", borderaxespad=0, frameon=False, fontsize=TYPE, labelspacing=0.45,
        handlelength=3, bbox_to_anchor=corner,
    )  # fmt: skip
    for text in key.get_texts():
        text.set_parse_math(False)


def _line_style(number: int, marked: bool = True) -> dict[str, Any]:
    """How a line looks; the first eighteen differ in color or dashes, and in markers."""
    return {
        "color": hex_color(number), "linestyle": _DASHES[number // 6 % 3], "linewidth": 1.4,
        "marker": _MARKERS[number % 7] if marked else "", "markersize": 3.8, "markeredgewidth": 0,
    }  # fmt: skip
