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


def section(data, name):
    return next(each for each in data["sections"] if each["id"] == name)


def tables(data, name, place=0):
    """The tables in a place of a section, by name."""
    return {table["name"]: table for table in section(data, name)["tables"][place]["tables"]}


def texts(rows):
    return [[cell["text"] for cell in row] for row in rows]


def test_means_and_the_papers_stand_in_the_table(data):
    assert data["measures"] == ["Q_MI ↑", "decision ↑", "swap, mean ↓"]
    table = tables(data, "summary")["means"]
    assert [cell["text"] for cell in table["head"]] == ["method", *data["measures"]]
    (name, mi, decision, _), *_, last = table["rows"]
    assert name == {"text": "gff"}
    assert mi == {"text": "1.1250", "more": "± 0.1250", "below": ["paper 1.0932 ± 0.1209"]}
    assert decision == {"text": "–"}
    assert texts([last]) == [["cnn (paper)", "1.1467 ± 0.1107", "–", "–"]]


def test_the_best_is_the_largest_where_more_is_better_and_else_the_least(data):
    rows = tables(data, "summary")["means"]["rows"]
    best = [[cell.get("style") == "best" for cell in row[1:]] for row in rows]
    assert [row[0] for row in best] == [False, False, True, False]
    assert [row[2] for row in best] == [True, False, False, False]


def test_every_value_is_there(data):
    every = tables(data, "every")
    assert list(every) == ["Q_MI", "decision", "swap, mean"]
    assert texts(every["Q_MI"]["rows"]) == [
        ["one", "1.0000", "2.0000", "3.0000"],
        ["two", "1.1250", "2.1250", "3.1250"],
        [HOSTILE, "1.2500", "2.2500", "3.2500"],
    ]
    assert texts(every["decision"]["rows"])[0] == ["one", "–", "0.5000", "0.5000"]
    assert texts(every["swap, mean"]["rows"])[0] == ["one", "1.0e-04", "2.0e-04", "3.0e-04"]
    assert [cell["scene"] for cell, *_ in every["Q_MI"]["rows"]] == ["one", "two", HOSTILE]
    assert [cell.get("style", "") for cell in every["Q_MI"]["rows"][0]] == ["", "", "", "best"]
    assert [cell.get("style", "") for cell in every["swap, mean"]["rows"][0]] == ["", "best", "", ""]


def test_ranks_and_what_was_not_tested(data):
    ranks = tables(data, "ranks")["ranks"]
    assert [cell["text"] for cell in ranks["head"]] == [
        "method",
        "of means",
        "all seven",
        "Q_MI",
        "swap, mean",
    ]
    assert [row[:4] for row in texts(ranks["rows"])] == [
        ["copy", "1.00", "1.00", "1.00"],
        [HOSTILE, "2.00", "2.00", "2.00"],
        ["gff", "3.00", "3.00", "3.00"],
    ]
    feet = {name: values for name, *values in texts(ranks["feet"])}
    assert (
        feet["p"][2] == "0.050"
    )  # three pictures that agree: chi-squared 6 with 2 degrees of freedom, exp(-3)
    assert feet["Friedman's χ²"][2] == "6.00"
    pairs = tables(data, "ranks", 1)
    best, _, worst = pairs["Q_MI"]["rows"]
    assert [cell["text"] for cell in best] == ["1  copy", "·", best[2]["text"], best[3]["text"]]
    assert float(best[3]["text"]) < 0.05 < float(best[2]["text"])
    assert [cell.get("style", "") for cell in worst] == ["", "far", "", "quiet"]
    assert pairs["decision"]["note"] == "not tested: no picture has a value of every method (3 left out)"


def test_pictures_are_those_of_the_exhibits(data, evaluation):
    for entry, exhibit in zip(data["scenes"], evaluation.exhibits, strict=True):
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
        assert entry["views"][entry["shown"]]["name"] == "gff"
    first, second, _ = data["scenes"]
    assert first["views"][first["shown"]]["values"] == ["1.0000", "", "1.0e-04"]
    assert first["notes"][2].startswith("|fused − truth|")
    assert second["notes"][2].startswith("sharpness")


def test_keys_show_each_picture(data):
    assert [view["press"] for view in data["scenes"][0]["views"]] == ["a", "b", "t", "1", "2", "3"]
    assert (data["overlay"]["press"], data["error"]["press"]) == ("d", "e")


def test_decision_maps_are_shown_exactly(data, evaluation):
    (view,) = [view for view in data["scenes"][1]["views"] if "overlay" in view]
    assert view["name"] == HOSTILE
    seen = shown(data, view["overlay"])
    np.testing.assert_array_equal(seen[..., 0] == 230, evaluation.exhibits[1].decisions[HOSTILE] == 1)


def test_a_picture_that_comes_twice_is_kept_once(data):
    first, _, *others = data["scenes"][0]["views"]
    (copy,) = [view for view in others if view["name"] == "copy"]
    assert copy["picture"] == first["picture"]
    assert len(data["pictures"]) == len(set(data["pictures"]))


def test_text_stays_text(html, data):
    """Names of data, methods, pairs and figures try to end the script."""
    assert html.count("</script") == html.count("<script") == 2
    assert "<img src=x" not in html
    assert "<!--" not in html
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)
    assert HOSTILE in data["title"]
    figures = section(data, "figures")["figures"]
    assert (
        data["scenes"][2]["name"] == data["scenes"][0]["views"][4]["name"] == figures[1]["caption"] == HOSTILE
    )
    assert data["problems"] == ["1 stack left out:", f"four: {HOSTILE}"]
    assert data["command"] == MANIFEST["command"]
    assert data["made_from"] == ["numpy 2.4", MANIFEST]


def test_page_needs_nothing_but_itself(html):
    assert not re.search(r"""(src|href|action)\s*=\s*["']?\s*(https?:)?//""", html)
    assert not re.search(
        r"https?://|@import|url\(|<link|<iframe|fetch\(|XMLHttpRequest|sendBeacon|WebSocket", html
    )
    assert "default-src 'none'" in html


def test_large_pictures_are_made_smaller(evaluation):
    """Photographs of twelve megapixels would make a page too large to open."""
    large = tuple(np.zeros((1500, 3000, 3), np.uint8) + value for value in (10, 200))
    fused = {"gff": large[0] // 2 + large[1] // 2}
    decisions = {"gff": np.ones((1500, 3000), np.uint8)}
    entry = Exhibit("large", (large[0], large[1]), None, None, fused, decisions)
    html = page(evaluation, exhibits=[entry])
    data = data_of(html)
    (shown_pair,) = data["scenes"]
    assert (shown_pair["width"], shown_pair["height"]) == (1024, 512)
    assert shown_pair["notes"][0] == "shown at reduced size"
    assert shown(data, shown_pair["views"][2]["picture"]).shape == (512, 1024, 3)
    assert shown(data, shown_pair["views"][2]["overlay"]).shape == (512, 1024, 3)


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
    assert data["scenes"] == data["pictures"] == []
    assert [each["id"] for each in data["sections"]] == ["summary", "ranks", "every"]


def test_one_pair_and_one_method_have_no_deviation_and_no_ranks(evaluation):
    rows = tuple(row for row in evaluation.scores.rows if (row.image, row.method) == ("one", "gff"))
    scores = Scores("one", ("one",), ("gff",), rows)
    html = write_page(scores, [], ranks=rank(scores), figures={}, manifest={}).decode()
    data = data_of(html)
    assert tables(data, "summary")["means"]["rows"][0][1] == {"text": "1.0000"}
    assert "at least 3 methods" in tables(data, "ranks", 1)["all seven"]["note"]


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_infinite_values_are_written(evaluation):
    rows = tuple(
        type(row)(row.image, row.method, row.values | {"psnr": np.inf}) for row in evaluation.scores.rows
    )
    scores = Scores("pairs", evaluation.scores.images, evaluation.scores.methods, rows)
    data = data_of(write_page(scores, [], ranks=rank(scores), figures={}, manifest={}).decode())
    assert texts(tables(data, "every")["PSNR, dB"]["rows"])[0] == ["one", *["inf"] * 3]
