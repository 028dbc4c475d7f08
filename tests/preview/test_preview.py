from __future__ import annotations

import base64
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mfsynth
from mfsynth.errors import MissingExtraError, OptionsError, OutputError, ShardError
from mfsynth.preview.samples import places, preview


def page_data(path: Path) -> Any:
    """What a page's script reads, found as a browser finds it: up to the first end tag."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script', path.read_text(), re.DOTALL)
    assert match
    return json.loads(match[1])


def picture(uri: str) -> np.ndarray:
    """The picture in a data URI, H x W x 3."""
    assert uri.startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_sheet_is_a_picture_with_a_row_for_each_sample(data, tmp_path):
    sizes = []
    for count in (1, 3):
        preview(str(data.pairs), tmp_path / "sheet.png", samples=count)
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert min(sheet.info["dpi"]) >= 200
            sizes.append(sheet.size)
            pixels = np.asarray(sheet.convert("RGB"))
        assert (pixels[0] == 255).all()
        assert pixels.std() > 30
    assert sizes[0][0] == sizes[1][0] > 1500
    assert sizes[0][1] < sizes[1][1] < 3 * sizes[0][1]


def test_sheet_shows_the_pictures_in_their_proportions(data, tmp_path):
    """The focus map has two colours that nothing else on the sheet has, so it can be measured."""
    preview(str(data.pairs), tmp_path / "sheet.png", samples=1)
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))[:, : 3 * 420]
    plane = [(pixels == colour).all(axis=-1) for colour in ((0, 114, 178), (230, 159, 0))]
    rows, columns = np.nonzero(plane[0] | plane[1])
    (sample,) = mfsynth.open(data.pairs).read(places(8, 1)[0], places(8, 1)[0] + 1)
    height, width = sample.focus.shape
    shown = (np.ptp(rows) + 1) / (np.ptp(columns) + 1)
    assert shown == pytest.approx(height / width, rel=0.02)
    assert plane[1].sum() / (plane[0] | plane[1]).sum() == pytest.approx(sample.focus.mean(), abs=0.03)


def test_page_holds_every_sample_with_its_pictures_and_recipe(data, tmp_path):
    preview(str(data.pairs), tmp_path / "page.html")
    shown = page_data(tmp_path / "page.html")
    samples = list(mfsynth.open(data.pairs))
    assert (shown["total"], [entry["key"] for entry in shown["samples"]]) == (8, [s.key for s in samples])
    for entry, sample in zip(shown["samples"], samples, strict=True):
        assert (entry["width"], entry["height"]) == sample.gt.shape[1::-1]
        assert [view["name"] for view in entry["views"]] == ["frame 0", "frame 1", "ground truth"]
        for view, pixels in zip(entry["views"], (*sample.frames, sample.gt), strict=True):
            assert picture(view["source"]).shape == pixels.shape
            assert np.abs(picture(view["source"]).astype(int) - pixels).mean() < 5
        blue = picture(entry["focus"])[..., 2]
        np.testing.assert_array_equal(blue == 0, sample.focus == 1)
        assert entry["recipe"] == json.loads(sample.recipe.to_json())


def test_page_needs_nothing_but_itself(data, tmp_path):
    preview(str(data.pairs), tmp_path / "page.html", samples=2)
    html = (tmp_path / "page.html").read_text()
    assert not re.search(r"""(src|href|action)\s*=\s*["']?\s*(https?:)?//""", html)
    assert not re.search(r"@import|url\(|<link|<iframe|fetch\(|XMLHttpRequest", html)
    assert "default-src 'none'" in html


def test_text_of_the_data_set_stays_text(data, tmp_path):
    """The pictures' URLs and a licence's name try to end the script."""
    preview(str(data.pairs), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert html.count("</script") == html.count("<script") == 2
    assert "<!--" not in html
    image = page_data(tmp_path / "page.html")["samples"][0]["recipe"]["image"]
    assert image["coco_url"].startswith("</script><script>alert(")
    assert "innerHTML" not in html


def test_both_stores_look_the_same(data, tmp_path):
    for name in ("sheet.png", "page.html"):
        shown = []
        for store in (data.pairs, data.recipes):
            preview(str(store), tmp_path / name, samples=2)
            shown.append((tmp_path / name).read_bytes().replace(b'"recipe",', b'"pairs",'))
        assert shown[0] == shown[1]


def test_samples_are_spread_evenly_or_chosen_by_seed(data, tmp_path):
    def keys(**how: int) -> list[str]:
        preview(str(data.pairs), tmp_path / "page.htm", **how)
        return [entry["key"] for entry in page_data(tmp_path / "page.htm")["samples"]]

    every = [sample.key for sample in mfsynth.open(data.pairs)]
    assert keys(samples=2) == [every[2], every[6]]
    assert keys(samples=100) == every
    chosen = {seed: keys(samples=3, seed=seed) for seed in range(6)}
    assert all(sorted(some) == some and len(set(some)) == 3 for some in chosen.values())
    assert len(set(map(tuple, chosen.values()))) > 1
    assert keys(samples=3, seed=4) == chosen[4]


@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_places_are_different_and_in_order(total):
    for count in (1, 2, 5, 200):
        for seed in (None, 0):
            chosen = places(total, count, seed)
            assert chosen == sorted(set(chosen))
            assert len(chosen) == min(count, total)
            assert 0 <= chosen[0] <= chosen[-1] < total


def test_other_kinds_of_file_are_refused(data, tmp_path, mfsynth):
    done = mfsynth("preview", data.pairs, "-o", tmp_path / "sheet.pdf")
    assert done.returncode == 2
    assert ".png" in done.stderr
    assert ".html" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_command_writes_and_names_its_file(data, tmp_path, mfsynth):
    done = mfsynth("preview", data.recipes, "-o", tmp_path / "new" / "page.html", "-n", 1)
    assert done.returncode == 0, done.stderr
    assert "page.html" in done.stdout
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_no_data_set_is_an_error_and_leaves_nothing(tmp_path, mfsynth):
    (tmp_path / "empty").mkdir()
    done = mfsynth("preview", tmp_path / "empty", "-o", tmp_path / "page.html")
    assert done.returncode == 1
    assert "not a finished data set" in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_data_set_without_samples_is_an_error(data, tmp_path):
    manifest = json.loads((data.pairs / "manifest.json").read_text())
    manifest |= {"samples": 0, "shards": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match="no samples"):
        preview(str(tmp_path), tmp_path / "page.html")


def test_nothing_to_show_is_refused(data, tmp_path):
    with pytest.raises(OptionsError, match="one at least"):
        preview(str(data.pairs), tmp_path / "page.html", samples=0)


def test_place_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        preview(str(data.pairs), tmp_path / "file" / "page.html", samples=1)


def test_only_the_sheet_needs_matplotlib(data, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"mfsynth\[look\]"):
        preview(str(data.pairs), tmp_path / "sheet.png")
    preview(str(data.pairs), tmp_path / "page.html", samples=1)
    assert (tmp_path / "page.html").exists()
