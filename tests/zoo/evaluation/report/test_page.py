import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from zoo.evaluation.ranks import rank
from zoo.evaluation.report.page import write_page
from zoo.evaluation.scores import Exhibit, Scores

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
MANIFEST = {
    "command": "mfsynth evaluate --data x",
    "packages": {"numpy": "2.4"},
    "left_out": {"four": HOSTILE},
}


def page(evaluation, **changes):
    given = {
        "figures": {"boxes": b"\x89PNG", HOSTILE: b"\x89PNG"},
        "manifest": MANIFEST,
        "paper": None,
    } | changes
    exhibits = given.pop("exhibits", evaluation.exhibits)
    return write_page(evaluation.scores, iter(exhibits), ranks=rank(evaluation.scores), **given).decode()


def data_of(html):
    """What the page's script reads, found as a browser finds it: up to the first end tag."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script', html, re.DOTALL)
    assert match
    return json.loads(match[1])


def shown(data, number):
    """A picture of the page, H x W x 3."""
    kind, _, text = data["pictures"][number].partition(";base64,")
    assert kind == "data:image/webp"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def html(evaluation):
    return page(evaluation, paper={"gff": {"q_mi": (1.0932, 0.1209)}, "cnn": {"q_mi": (1.1467, 0.1107)}})


@pytest.fixture(scope="module")
def data(html):
    return data_of(html)


def test_means_and_the_papers_stand_in_the_table(data):
    assert [measure["label"] for measure in data["measures"]] == ["Q_MI", "decision", "swap, mean"]
    first, *_, last = data["summary"]
    assert first["method"] == "gff"
    cell = first["cells"][0]
    assert (cell["mean"], cell["deviation"], cell["paper"]) == ("1.1250", "0.1250", "1.0932 ± 0.1209")
    assert first["cells"][1]["mean"] == ""
    assert last == {
        "method": "cnn",
        "ours": False,
        "cells": [{"paper": "1.1467 ± 0.1107"}, {"paper": ""}, {"paper": ""}],
    }


def test_the_best_is_the_largest_where_more_is_better_and_else_the_least(data):
    best = [[cell.get("best", False) for cell in row["cells"]] for row in data["summary"]]
    assert [row[0] for row in best] == [False, False, True, False]
    assert [row[2] for row in best] == [True, False, False, False]
    directions = [measure["rising"] for measure in data["measures"]]
    assert directions == [True, True, False]


def test_every_value_is_there(data):
    assert data["values"]["q_mi"] == [
        ["1.0000", "2.0000", "3.0000"],
        ["1.1250", "2.1250", "3.1250"],
        ["1.2500", "2.2500", "3.2500"],
    ]
    assert data["values"]["accuracy"][0] == ["", "0.5000", "0.5000"]
    assert data["values"]["swap_mean"][0] == ["1.0e-04", "2.0e-04", "3.0e-04"]


def test_ranks_and_what_was_not_tested(data):
    together, mi, accuracy, _ = data["ranks"]["tests"]
    assert together["ranks"] == mi["ranks"] == ["3.00", "2.00", "1.00"]
    assert mi["p"] == "0.050"  # three pictures that agree: chi-squared 6 with 2 degrees of freedom, exp(-3)
    assert mi["statistic"] == "6.00"
    assert mi["nemenyi"][0][0] == 1
    assert mi["nemenyi"][0][2] < 0.05 < mi["nemenyi"][0][1]
    assert (accuracy["reason"], accuracy["leftOut"]) == ("no picture has a value of every method", 3)


def test_pictures_are_those_of_the_exhibits(data, evaluation):
    for entry, exhibit in zip(data["exhibits"], evaluation.exhibits, strict=True):
        assert (entry["height"], entry["width"]) == exhibit.frames[0].shape[:2]
        given = {"frame 0": exhibit.frames[0], "frame 1": exhibit.frames[1], **exhibit.fused}
        if exhibit.truth is not None:
            given["ground truth"] = exhibit.truth
        views = {view["name"]: view for view in entry["views"]}
        assert set(views) == set(given)
        for name, pixels in given.items():
            seen = shown(data, views[name]["picture"])
            assert seen.shape == pixels.shape
            # Chroma is coarser, and these pictures are noise: their brightness must do.
            assert np.abs(seen.mean(axis=2) - pixels.mean(axis=2)).mean() < 25
    assert data["exhibits"][0]["errors"].startswith("|fused − truth|")
    assert data["exhibits"][1]["errors"].startswith("sharpness")


def test_decision_maps_are_shown_exactly(data, evaluation):
    (view,) = [view for view in data["exhibits"][1]["views"] if "decision" in view]
    assert view["name"] == HOSTILE
    seen = shown(data, view["decision"])
    np.testing.assert_array_equal(seen[..., 0] == 230, evaluation.exhibits[1].decisions[HOSTILE] == 1)


def test_a_picture_that_comes_twice_is_kept_once(data):
    first, _, *others = data["exhibits"][0]["views"]
    (copy,) = [view for view in others if view["name"] == "copy"]
    assert copy["picture"] == first["picture"]
    assert len(data["pictures"]) == len(set(data["pictures"]))


def test_text_stays_text(html, data):
    """Names of data, methods, pairs and figures try to end the script."""
    assert html.count("</script") == html.count("<script") == 2
    assert "<img src=x" not in html
    assert "<!--" not in html
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)
    assert HOSTILE in data["data"]
    assert data["methods"][1] == data["images"][2] == data["figures"][1]["caption"] == HOSTILE
    assert data["manifest"] == MANIFEST


def test_page_needs_nothing_but_itself(html):
    assert not re.search(r"""(src|href|action)\s*=\s*["']?\s*(https?:)?//""", html)
    assert not re.search(
        r"https?://|@import|url\(|<link|<iframe|fetch\(|XMLHttpRequest|sendBeacon|WebSocket", html
    )
    assert "default-src 'none'" in html


def test_large_pictures_are_made_smaller(evaluation):
    """Photographs of twelve megapixels would make a page that nobody can open."""
    large = tuple(np.zeros((1500, 3000, 3), np.uint8) + value for value in (10, 200))
    fused = {"gff": large[0] // 2 + large[1] // 2}
    decisions = {"gff": np.ones((1500, 3000), np.uint8)}
    entry = Exhibit("large", (large[0], large[1]), None, None, fused, decisions)
    html = page(evaluation, exhibits=[entry])
    data = data_of(html)
    (shown_pair,) = data["exhibits"]
    assert (shown_pair["width"], shown_pair["height"], shown_pair["reduced"]) == (1024, 512, True)
    assert shown(data, shown_pair["views"][2]["picture"]).shape == (512, 1024, 3)
    assert shown(data, shown_pair["views"][2]["decision"]).shape == (512, 1024, 3)


def test_page_is_little_more_than_its_pictures(evaluation):
    """Maps, base64 and the rest must not make a page too large to send."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (54, 54, 3), np.uint8)
    photo = np.asarray(Image.fromarray(coarse).resize((260, 260), Image.Resampling.BICUBIC))
    fused = {f"method-{k}": np.roll(photo, 20 * k, axis=1) for k in range(1, 9)}
    maps = {name: (picture[..., 0] > 128).astype(np.uint8) for name, picture in fused.items()}
    exhibit = Exhibit("photo", (photo, np.roll(photo, 7, axis=0)), None, None, fused, maps)
    size = 0
    for picture in (*exhibit.frames, *fused.values()):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "webp", quality=90)
        size += len(buffer.getvalue())
    bare = len(page(evaluation, exhibits=[]))
    assert len(page(evaluation, exhibits=[exhibit])) - bare < 2 * size


def test_nothing_to_look_at_is_a_page_too(evaluation):
    data = data_of(page(evaluation, exhibits=[], figures={}, manifest={}))
    assert data["exhibits"] == data["pictures"] == data["figures"] == []


def test_one_pair_and_one_method_have_no_deviation_and_no_ranks(evaluation):
    rows = tuple(row for row in evaluation.scores.rows if (row.image, row.method) == ("one", "gff"))
    scores = Scores("one", ("one",), ("gff",), rows)
    html = write_page(scores, [], ranks=rank(scores), figures={}, manifest={}).decode()
    data = data_of(html)
    assert data["summary"][0]["cells"][0]["deviation"] == ""
    assert "at least 3 methods" in data["ranks"]["tests"][0]["reason"]


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_infinite_values_are_written(evaluation):
    rows = tuple(
        type(row)(row.image, row.method, row.values | {"psnr": np.inf}) for row in evaluation.scores.rows
    )
    scores = Scores("pairs", evaluation.scores.images, evaluation.scores.methods, rows)
    data = data_of(write_page(scores, [], ranks=rank(scores), figures={}, manifest={}).decode())
    assert data["values"]["psnr"][0] == ["inf"] * 3
