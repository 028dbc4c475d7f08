"""The page: an evaluation's tables, ranks, figures and pictures in one HTML file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.preview.colors import color_map, css_color
from mfsynth.preview.kit.page import VIEWER, Figure, Page, Pictures, Scene, Section, Switch, View, data_uri
from zoo.evaluation.report.maps import decision_words, error_map, error_words
from zoo.evaluation.report.tables import label_of, rank_tables, stack_tables, summary_table, written

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.evaluation.paper import Printed
    from zoo.evaluation.ranks import Ranks
    from zoo.evaluation.scores import Exhibit, Scores

_LARGEST = 1024  # of a picture's longer side; twenty stacks at full size are too much for a page
_QUALITY, _MAP_QUALITY, _LOSSLESS = 90, 75, 101

_CAPTIONS = {
    "boxes": "Every measure over the methods.",
    "ranks": "Mean ranks over the paper's measures; a bar joins methods that do not differ significantly.",
}
_RANKS = (
    "Rank 1 is the best. “Of means” is the mean over the paper's measures of the rank among the methods'"
    " means, as in published tables. The others are mean ranks over the stacks: “all seven” ranks a stack's"
    " methods by their mean rank in the paper's measures. Friedman's p says how probable such ranks are if"
    " all methods are alike; mean ranks further apart than the critical difference differ significantly."
)
_BOUNDS = (
    "The last rows are bounds, not methods: for each pixel, the frame that is nearest to the truth (oracle),"
    " and the one that is nearest before noise (right-decision)."
)
_LETTERS = "abcfghijklmoqruvwyz"  # keys of frames: not those of the viewer


def write_page(
    scores: Scores,
    exhibits: Iterable[Exhibit],
    *,
    ranks: Ranks,
    figures: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    paper: Printed | None = None,
) -> bytes:
    """The page as UTF-8, with every picture inside as a data URI.

    Pictures are WebP of quality 90, of at most 1024 pixels a side: some 70 KB for each fused picture of
    520 x 520, its maps included.

    Args:
        scores: What was measured.
        exhibits: The stacks to show, taken one by one; twenty are plenty.
        ranks: What `rank` says of the scores.
        figures: PNGs by name.
        manifest: JSON of what the evaluation was made from; `command` and `packages` are shown first.
        paper: What a paper prints for such stacks, to compare the same methods with.
    """
    pictures = Pictures()
    scenes, frames = [], [0]
    for exhibit in exhibits:
        scenes.append(_scene(scores, exhibit, pictures))
        frames.append(len(exhibit.frames))
    shown = {scene.name for scene in scenes}
    burst = max(frames) > 2
    return Page(
        kind="mfsynth evaluation",
        title=scores.data,
        subtitle=" · ".join(
            _count(len(some), word)
            for some, word in (
                (scores.images, "stack"),
                (scores.methods, "method"),
                (scores.measures, "measure"),
            )
        ),
        sections=tuple(_sections(scores, ranks, figures, paper or {}, shown)),
        scenes=tuple(scenes),
        pictures=pictures.uris,
        overlay=Switch("decision map", "d"),
        error=Switch("error map", "e"),
        command=manifest.get("command", ""),
        problems=tuple(_problems(manifest)),
        made_from=(_packages(manifest), manifest) if manifest else None,
        measures=tuple(label_of(name) for name in scores.measures),
        footer="Pictures are shown as WebP of quality 90; what was scored are the methods' own.",
        legend=tuple((f"frame {k}", css_color(k)) for k in range(max(frames))) if burst else (),
        slides=min(frames[1:]) if burst else 0,
    ).to_html()


def _sections(
    scores: Scores, ranks: Ranks, figures: Mapping[str, bytes], paper: Printed, shown: set[str]
) -> Iterator[Section]:
    note = "Mean ± sample standard deviation over the stacks; the best mean is bold."
    note += " Below it is what the paper prints." if paper else ""
    note += f" {_BOUNDS}" if scores.references else ""
    yield Section("summary", "Means", note, (summary_table(scores, paper),))
    if shown:
        yield Section("pictures", "Pictures", VIEWER)
    yield Section("ranks", "Ranks", _RANKS, rank_tables(ranks))
    if figures:
        drawn = tuple(
            Figure(_CAPTIONS.get(name, name), data_uri("png", png)) for name, png in figures.items()
        )
        yield Section("figures", "Figures", figures=drawn)
    note = "The best of each stack is bold; click a heading to sort."
    yield Section("every", "Every stack", note, (stack_tables(scores, shown),))


def _problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    left_out = manifest.get("left_out", {})
    if left_out:
        yield f"{_count(len(left_out), 'stack')} left out:"
        yield from (f"{name}: {why}" for name, why in left_out.items())


def _packages(manifest: Mapping[str, Any]) -> str:
    return " · ".join(f"{name} {version}" for name, version in manifest.get("packages", {}).items())


def _scene(scores: Scores, exhibit: Exhibit, pictures: Pictures) -> Scene:
    views = tuple(_views(scores, exhibit, _Shrunk(exhibit, pictures)))
    height, width = exhibit.frames[0].shape[:2]
    scale = _scale(exhibit)
    return Scene(
        exhibit.image,
        round(width * scale),
        round(height * scale),
        views,
        shown=len(views) - len(exhibit.fused),
        notes=(
            "shown at reduced size" if scale < 1 else "",
            decision_words(exhibit),
            _errors(exhibit),
        ),
    )


def _errors(exhibit: Exhibit) -> str:
    """What the error maps show."""
    rim = "" if exhibit.certain is None else "; of the ground truth: darker where no frame shows it"
    return error_words(exhibit) + rim


def _gray(values: NDArray[np.uint8]) -> Picture:
    return np.repeat(values[..., None], 3, 2)


def _views(scores: Scores, exhibit: Exhibit, shrunk: _Shrunk) -> Iterator[View]:
    for number, frame in enumerate(exhibit.frames):
        yield View(f"frame {number}", _LETTERS[number : number + 1], shrunk.add(frame))
    if exhibit.truth is not None:
        yield View(
            "ground truth",
            "t",
            shrunk.add(exhibit.truth),
            overlay=None if exhibit.focus is None else shrunk.add(color_map(exhibit.focus), _LOSSLESS),
            error=None if exhibit.certain is None else shrunk.add(_gray(exhibit.certain), _MAP_QUALITY, 0.5),
        )
    for number, (name, fused) in enumerate(exhibit.fused.items(), 1):
        decision = exhibit.decisions.get(name)
        yield View(
            name,
            str(number) if number < 10 else "",
            shrunk.add(fused),
            overlay=None if decision is None else shrunk.add(color_map(decision), _LOSSLESS),
            error=shrunk.add(error_map(exhibit, fused), _MAP_QUALITY, 0.5),
            values=tuple(_values(scores, exhibit.image, name)),
        )


def _values(scores: Scores, image: str, method: str) -> Iterator[str]:
    """A picture's measures as they are written; empty where there is none."""
    row = next((row for row in scores.rows if (row.image, row.method) == (image, method)), None)
    for name in scores.measures:
        yield written(name, math.nan if row is None else row.values.get(name, math.nan))


class _Shrunk:
    """Adds one stack's pictures to the page, reduced if they are large."""

    def __init__(self, exhibit: Exhibit, pictures: Pictures) -> None:
        self.pictures = pictures
        self.height, self.width = exhibit.frames[0].shape[:2]
        self.scale = _scale(exhibit)

    def add(self, picture: Picture, quality: int = _QUALITY, share: float = 1.0) -> int:
        """The number of a picture, H x W x 3 uint8 RGB."""
        scale = self.scale * share
        size = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        if size != (self.width, self.height):
            how = cv2.INTER_NEAREST if quality == _LOSSLESS else cv2.INTER_AREA
            picture = cv2.resize(picture, size, interpolation=how)  # type: ignore[assignment]
        encoded, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
        if not encoded:
            raise RuntimeError("OpenCV cannot write WebP")
        return self.pictures.add("webp", data.tobytes())


def _scale(exhibit: Exhibit) -> float:
    height, width = exhibit.frames[0].shape[:2]
    return min(1.0, float(_LARGEST / max(height, width)))


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
