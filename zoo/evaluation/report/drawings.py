"""Every file of an evaluation that is drawn: figures, contact sheet, page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mfsynth.plots import Panel, draw_curves
from zoo.evaluation.kept import Place, load_fused
from zoo.evaluation.ranks import Test
from zoo.evaluation.references import pictures_of
from zoo.evaluation.report import figures
from zoo.evaluation.report.page import write_page
from zoo.evaluation.report.sheet import write_sheet
from zoo.evaluation.scores import Exhibit
from zoo.metrics.measures import MEASURES, part_of

if TYPE_CHECKING:
    from zoo.evaluation.evaluated import Evaluated
    from zoo.evaluation.noise import NoiseCurve
    from zoo.evaluation.ranks import Ranks
    from zoo.evaluation.scores import Scores

    Progress = Callable[[str, int, int], None]


def drawings(
    evaluated: Evaluated, ranks: Ranks, manifest: Mapping[str, Any], progress: Progress
) -> Iterator[tuple[str, bytes]]:
    """Draw them one by one: file names and contents.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    drawn = dict(score_figures(evaluated.scores, ranks))
    yield from ((f"{name}.png", png) for name, png in drawn.items())
    yield "sheet.webp", write_sheet(_exhibits(evaluated, "drawing the sheet", progress))
    yield (
        "index.html",
        write_page(
            evaluated.scores,
            _exhibits(evaluated, "writing the page", progress),
            ranks=ranks,
            figures=drawn,
            manifest=manifest,
            paper=evaluated.paper,
        ),
    )


def score_figures(scores: Scores, ranks: Ranks) -> Iterator[tuple[str, bytes]]:
    """Names and PNGs of what can be drawn from scores only.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    drawn = [name for name in scores.measures if MEASURES[name].rising and not part_of(name)]
    yield "boxes", figures.boxes(scores, drawn)
    if isinstance(ranks.together, Test):
        title = f"{scores.data}: the paper's measures"
        yield "ranks", figures.critical_differences(ranks.together, title)


def draw_noise(title: str, curves: Mapping[str, NoiseCurve]) -> bytes:
    """Measures against the frames' noise, by the measure's name, as PNG.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    panels = [
        Panel(MEASURES[name].label, {method: (curve.levels, means) for method, means in curve.means.items()})
        for name, curve in curves.items()
    ]
    return draw_curves(title, panels, "standard deviation of the noise, of full range")


def _exhibits(evaluated: Evaluated, stage: str, progress: Progress) -> Iterator[Exhibit]:
    """The stacks to be shown, evenly chosen, one by one."""
    names = evaluated.scores.images
    count = min(evaluated.options.shown, len(names))
    for number in range(count):
        progress(stage, number, count)
        yield _exhibit(evaluated, names[number * len(names) // count])
    progress(stage, count, count)


def _exhibit(evaluated: Evaluated, name: str) -> Exhibit:
    stack = evaluated.data.load(name)
    fused, decisions = {}, {}
    for method in evaluated.methods:
        picture, decision = (
            load_fused(Place(evaluated.out, method, name))
            if method.fuses
            else (method.fused(stack).image, None)
        )
        fused[method.name] = picture
        if decision is not None:
            decisions[method.name] = decision
    fused |= pictures_of(stack)
    return Exhibit(name, stack.frames, stack.truth, stack.target, fused, decisions, stack.certain)
