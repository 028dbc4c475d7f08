"""The page: all of an evaluation in one HTML file that needs nothing else.

What comes from outside reaches the page as JSON alone, and its script shows it as text alone.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import cv2

from zoo.evaluation.ranks import Test
from zoo.evaluation.report.maps import decision_map, error_map, error_words
from zoo.evaluation.tables import best, mean_and_deviation
from zoo.metrics.measures import MEASURES

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.evaluation.paper import Printed
    from zoo.evaluation.ranks import Ranks, Untested
    from zoo.evaluation.scores import Exhibit, Scores

_TEMPLATE = "page.html"
_DATA = "@DATA@"
_LARGEST = 1024  # of a picture's sides; twenty pairs of photographs would make the page too large to open
_QUALITY, _MAP_QUALITY, _LOSSLESS = 90, 75, 101

_CAPTIONS = {
    "boxes": "Every measure over the methods.",
    "ranks": "Mean ranks over the paper's measures; a bar joins methods that do not differ significantly.",
}


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
        exhibits: The pairs to look at, taken one by one; twenty are plenty.
        ranks: What `rank` says of the scores.
        figures: PNGs by name.
        manifest: JSON of what the evaluation was made from; `command` and `packages` are shown first.
        paper: What a paper prints of these pairs, to stand beside the same methods.
    """
    pictures = _Pictures()
    shown = [_exhibit(exhibit, pictures) for exhibit in exhibits]
    data = {
        "data": scores.data,
        "methods": scores.methods,
        "measures": [
            {"name": name, "label": MEASURES[name].label, "rising": MEASURES[name].rising}
            for name in scores.measures
        ],
        "summary": _summary(scores, paper or {}),
        "ranks": _ranks(ranks),
        "figures": [
            {"caption": _CAPTIONS.get(name, name), "source": _uri("png", png)}
            for name, png in figures.items()
        ],
        "images": scores.images,
        "values": {name: _values(scores, name) for name in scores.measures},
        "exhibits": shown,
        "pictures": pictures.uris,
        "manifest": manifest,
    }
    template = files(__package__).joinpath(_TEMPLATE).read_text("utf-8")
    return template.replace(_DATA, _script_json(data)).encode()


class _Pictures:
    """Pictures of the page, each once however often it is shown, as a method that returns a frame does."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def uris(self) -> list[str]:
        return list(self._places)

    def add(self, picture: Picture, quality: int = _QUALITY) -> int:
        """The number of a picture, H x W x 3 uint8 RGB."""
        encoded, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
        if not encoded:
            raise RuntimeError("OpenCV cannot write WebP")
        return self._places.setdefault(_uri("webp", data.tobytes()), len(self._places))


def _exhibit(exhibit: Exhibit, pictures: _Pictures) -> dict[str, Any]:
    """A pair as the page's script reads it: views with the numbers of their pictures."""
    height, width = exhibit.frames[0].shape[:2]
    scale = min(1.0, _LARGEST / max(height, width))

    def add(picture: Picture, quality: int = _QUALITY, share: float = 1.0) -> int:
        size = max(1, round(width * scale * share)), max(1, round(height * scale * share))
        if size != (width, height):
            how = cv2.INTER_NEAREST if quality == _LOSSLESS else cv2.INTER_AREA
            picture = cv2.resize(picture, size, interpolation=how)  # type: ignore[assignment]
        return pictures.add(picture, quality)

    views: list[dict[str, Any]] = [
        {"name": f"frame {k}", "kind": "frame", "picture": add(frame)}
        for k, frame in enumerate(exhibit.frames)
    ]
    if exhibit.truth is not None:
        views.append({"name": "ground truth", "kind": "truth", "picture": add(exhibit.truth)})
        if exhibit.focus is not None:
            views[-1]["decision"] = add(decision_map(exhibit.focus), _LOSSLESS)
    for name, fused in exhibit.fused.items():
        view = {"name": name, "kind": "method", "picture": add(fused)}
        view["error"] = add(error_map(exhibit, fused), _MAP_QUALITY, 0.5)
        if name in exhibit.decisions:
            view["decision"] = add(decision_map(exhibit.decisions[name]), _LOSSLESS)
        views.append(view)
    return {
        "image": exhibit.image,
        "width": round(width * scale),
        "height": round(height * scale),
        "reduced": scale < 1,
        "errors": error_words(exhibit),
        "views": views,
    }


def _summary(scores: Scores, paper: Printed) -> list[dict[str, Any]]:
    """A row for each method; methods that only the paper has come last."""
    others = [method for method in paper if method not in scores.methods]
    firsts = {name: best(scores, name) for name in scores.measures}
    return [
        {
            "method": method,
            "ours": method in scores.methods,
            "cells": [
                {"paper": _printed(paper, method, name)}
                | (_cell(scores, name, method, method in firsts[name]) if method in scores.methods else {})
                for name in scores.measures
            ],
        }
        for method in (*scores.methods, *others)
    ]


def _cell(scores: Scores, measure: str, method: str, first: bool) -> dict[str, Any]:
    values = scores.table(measure, [method])[:, 0]
    mean, deviation = mean_and_deviation(values)
    count = sum(not math.isnan(value) for value in values)
    return {
        "mean": _written(measure, mean),
        "deviation": _written(measure, deviation),
        "best": first,
        "count": count if 0 < count < len(values) else None,
    }


def _printed(paper: Printed, method: str, measure: str) -> str:
    values = paper.get(method, {}).get(measure)
    return " ± ".join(_written(measure, value) for value in values) if values else ""


def _values(scores: Scores, measure: str) -> list[list[str]]:
    """A measure's values as they are written, images x methods; empty where there is none."""
    return [[_written(measure, value) for value in row] for row in scores.table(measure)]


def _written(measure: str, value: float) -> str:
    return "" if math.isnan(value) else MEASURES[measure].form.format(value)


def _ranks(ranks: Ranks) -> dict[str, Any]:
    together = {"label": "all seven", **_test(ranks.together)}
    tests = [{"label": MEASURES[name].label, **_test(test)} for name, test in ranks.tests.items()]
    by_means = None if ranks.by_means is None else [f"{rank:.2f}" for rank in ranks.by_means]
    return {"methods": ranks.methods, "byMeans": by_means, "tests": [together, *tests]}


def _test(test: Test | Untested) -> dict[str, Any]:
    if not isinstance(test, Test):
        return {"reason": test.reason, "leftOut": test.left_out}
    return {
        "ranks": [f"{rank:.2f}" for rank in test.ranks],
        "images": test.images,
        "leftOut": test.left_out,
        "statistic": f"{test.statistic:.2f}",
        "p": _probability(test.p_value),
        "difference": f"{test.difference:.2f}",
        "alpha": test.alpha,
        "nemenyi": [[round(float(value), 4) for value in row] for row in test.nemenyi],
    }


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def _script_json(data: Any) -> str:
    r"""JSON that cannot end the script element it stands in.

    >>> _script_json("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False, default=str).replace("<", "\\u003c")


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
