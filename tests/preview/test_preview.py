from __future__ import annotations

import base64
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.errors import MissingExtraError, OptionsError, OutputError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.preview.colors import color_map, dark_color, focus_shares
from mfsynth.preview.samples import places, preview
from mfsynth.preview.sheet import caption


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
    """The focus map has two colors that nothing else on the sheet has, so it can be measured."""
    preview(str(data.pairs), tmp_path / "sheet.png", samples=1)
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))[:, : 3 * 420]
    plane = [(pixels == color).all(axis=-1) for color in ((0, 114, 178), (230, 159, 0))]
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
    assert shown["subtitle"].startswith("8 of 8 samples")
    assert [entry["name"] for entry in shown["scenes"]] == [sample.key for sample in samples]
    for entry, sample in zip(shown["scenes"], samples, strict=True):
        assert (entry["width"], entry["height"]) == sample.gt.shape[1::-1]
        assert [view["name"] for view in entry["views"]] == ["frame 0", "frame 1", "ground truth"]
        assert [view["press"] for view in entry["views"]] == ["1", "2", "g"]
        for view, pixels in zip(entry["views"], (*sample.frames, sample.gt), strict=True):
            seen = picture(shown["pictures"][view["picture"]])
            assert seen.shape == pixels.shape
            assert np.abs(seen.astype(int) - pixels).mean() < 5
            blue = picture(shown["pictures"][view["overlay"]])[..., 2]
            np.testing.assert_array_equal(blue == 0, sample.focus == 1)
        assert dict(entry["facts"])["key"] == sample.key
        assert entry["json"] == json.loads(sample.recipe.to_json())


def test_page_needs_nothing_but_itself(data, tmp_path):
    preview(str(data.pairs), tmp_path / "page.html", samples=2)
    html = (tmp_path / "page.html").read_text()
    assert not re.search(r"""(src|href|action)\s*=\s*["']?\s*(https?:)?//""", html)
    assert not re.search(r"@import|url\(|<link|<iframe|fetch\(|XMLHttpRequest", html)
    assert "default-src 'none'" in html


def test_text_of_the_data_set_stays_text(data, tmp_path):
    """The pictures' URLs and a license's name try to end the script."""
    preview(str(data.pairs), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert html.count("</script") == html.count("<script") == 2
    assert "<!--" not in html
    image = page_data(tmp_path / "page.html")["scenes"][0]["json"]["image"]
    assert image["coco_url"].startswith("</script><script>alert(")
    assert "innerHTML" not in html


def test_both_stores_look_the_same(data, tmp_path):
    for name in ("sheet.png", "page.html"):
        shown = []
        for store in (data.pairs, data.recipes):
            preview(str(store), tmp_path / name, samples=2)
            shown.append((tmp_path / name).read_bytes().replace(b"recipe store", b"pairs store"))
        assert shown[0] == shown[1]


def test_samples_are_spread_evenly_or_chosen_by_seed(data, tmp_path):
    def keys(**how: int) -> list[str]:
        preview(str(data.pairs), tmp_path / "page.htm", **how)
        return [entry["name"] for entry in page_data(tmp_path / "page.htm")["scenes"]]

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
    with pytest.raises(OptionsError, match="at least one"):
        preview(str(data.pairs), tmp_path / "page.html", samples=0)


def test_place_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        preview(str(data.pairs), tmp_path / "file" / "page.html", samples=1)


def test_only_the_sheet_needs_matplotlib(data, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"\[preview\]"):
        preview(str(data.pairs), tmp_path / "sheet.png")
    preview(str(data.pairs), tmp_path / "page.html", samples=1)
    assert (tmp_path / "page.html").exists()


# --- stacks -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moved(tiny_coco, tmp_path_factory):
    """Stacks of six frames, with everything that a recipe of format 2 can say."""
    out = tmp_path_factory.mktemp("moved") / "set"
    options = BuildOptions(
        "tiny", frames=6, kernel="polygon", boundary="spread", light="linear", capture="camera",
        noise_model="poisson-gaussian", noise=(0.02, 0.02), breathing=1.0, shards=1,
    )  # fmt: skip
    build(options, Run(tiny_coco, out, workers=1))
    return out


def test_page_flips_through_any_number_of_frames(small_stacks, tmp_path):
    preview(str(small_stacks), tmp_path / "page.html", samples=2)
    shown = page_data(tmp_path / "page.html")
    first = next(iter(shown["scenes"]))
    names = [*(f"frame {k}" for k in range(12)), "ground truth", "certain"]
    assert [view["name"] for view in first["views"]] == names
    assert [view["press"] for view in first["views"]] == [*"123456789", "", "", "", "g", "c"]
    assert shown["slides"] == 12
    assert [name for name, _ in shown["legend"]] == names[:12]
    assert len({color for _, color in shown["legend"]}) == 12
    assert (shown["overlay"]["name"], [each["name"] for each in shown["others"]]) == (
        "focus map",
        ["nearest"],
    )


def test_page_of_large_stacks_shows_fewer_samples(small_stacks, tmp_path):
    assert preview(str(small_stacks), tmp_path / "page.html").samples == 8
    assert preview(str(small_stacks), tmp_path / "page.html", samples=10).samples == 10


def test_page_shows_the_targets_of_a_stack(small_stacks, tmp_path):
    preview(str(small_stacks), tmp_path / "page.html", samples=18)
    shown = page_data(tmp_path / "page.html")
    colors = np.array([[int(color[k : k + 2], 16) for k in (1, 3, 5)] for _, color in shown["legend"]])
    differ = 0
    for entry, sample in zip(shown["scenes"], mfsynth.open(small_stacks), strict=True):
        (certain,) = [view for view in entry["views"] if view["name"] == "certain"]
        np.testing.assert_array_equal(picture(shown["pictures"][certain["picture"]])[..., 0], sample.certain)
        for view in entry["views"]:
            np.testing.assert_array_equal(picture(shown["pictures"][view["overlay"]]), colors[sample.focus])
            (nearest,) = (picture(shown["pictures"][place]) for place in view["others"])
            np.testing.assert_array_equal(nearest, colors[sample.nearest])
        differ += int((sample.nearest != sample.focus).any())
    assert differ


def test_page_of_pairs_has_neither_targets_nor_slider(data, tmp_path):
    preview(str(data.pairs), tmp_path / "page.html", samples=1)
    shown = page_data(tmp_path / "page.html")
    assert not shown.keys() & {"others", "slides"}
    assert [name for name, _ in shown["legend"]] == ["frame 0", "frame 1"]


def test_page_tells_how_every_frame_was_taken(moved, tmp_path):
    preview(str(moved), tmp_path / "page.html", samples=1)
    (entry,) = page_data(tmp_path / "page.html")["scenes"]
    facts, optics = dict(entry["facts"]), entry["json"]["optics"]
    assert f"radius {optics['radius']:.3f} px" in facts["blur"]
    assert facts["edges, light"] == "spread, linear light"
    assert facts["planes"] == "6, 0 the farthest"
    for k, shot in enumerate(optics["frames"]):
        if shot["quality"]:
            assert f"JPEG {shot['quality']}" in facts[f"frame {k} taken"]
        if shot["scale"] != 1:
            assert f"scale {shot['scale']:.4f}" in facts[f"frame {k} taken"]


@pytest.mark.parametrize(("store", "lines"), [("small_stacks", 3), ("moved", 3), ("small_pairs", 1)])
def test_a_sheet_has_lines_of_at_most_six_pictures(store, lines, tmp_path, request):
    """Twelve frames fill two lines below that of the maps, six one, and one more where each is sharp."""
    preview(str(request.getfixturevalue(store)), tmp_path / "sheet.png", samples=1)
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    assert pixels.shape[1] == pytest.approx(2507, abs=10)
    gray = np.convolve((pixels[:, 100:400] < 250).any(axis=1), np.ones(60), "same") == 60
    assert np.count_nonzero(np.diff(gray.astype(int)) == 1) == lines


def test_every_frame_is_named_on_a_sheet(small_stacks, monkeypatch, tmp_path):
    from mfsynth.preview.kit.sheet import _Pen

    written = []
    monkeypatch.setattr(_Pen, "write_line", lambda self, text, *_: written.append(text))
    preview(str(small_stacks), tmp_path / "sheet.png", samples=2)
    assert [text for text in written if text.startswith("frame")] == 2 * [f"frame {k}" for k in range(12)]
    assert [text for text in written if not text.startswith("frame")].count("certain") == 2


def test_a_caption_says_what_was_drawn(moved, data):
    (recipe, *_) = mfsynth.open(moved).recipes()
    words = caption(recipe)
    assert f"radius {recipe.optics.radius:.2f} px" in words
    assert "spread, linear light" in words
    assert f"noise {recipe.optics.shot_noise**0.5:.2%} at white" in words
    assert "breathing " in words
    assert ("JPEG " in words) == any(shot.quality for shot in recipe.optics.frames)
    (recipe, *_) = mfsynth.open(data.pairs).recipes()
    assert caption(recipe).startswith(f"blur σ = {recipe.blur.sigma:.2f} px  ·  noise σ = ")


def test_thirty_two_frames_have_colors_that_differ():
    """CIELAB by OpenCV: 2.3 is just noticeable."""
    lab = cv2.cvtColor(
        color_map(np.arange(32, dtype=np.uint8)[None]).astype(np.float32) / 255, cv2.COLOR_RGB2LAB
    )
    between = np.linalg.norm(lab[0][:, None] - lab[0][None], axis=2) + 999 * np.eye(32)
    assert between.min() > 25
    white = cv2.cvtColor(np.ones((1, 1, 3), np.float32), cv2.COLOR_RGB2LAB)[0, 0]
    text = np.array([dark_color(frame) for frame in range(32)], np.float32)[None] / 255
    assert np.linalg.norm(cv2.cvtColor(text, cv2.COLOR_RGB2LAB)[0] - white, axis=1).min() > 45


def test_shares_are_of_frames_not_of_planes(small_stacks):
    """Where there are more planes than frames, a segment counts where it is sharpest."""
    for sample in mfsynth.open(small_stacks):
        found = np.bincount(sample.focus.ravel(), minlength=12) / sample.focus.size
        assert focus_shares(sample.recipe) == pytest.approx(found)
