"""Depth maps against drawn truth, and pages as a reader opens them."""

import base64
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mfsynth.errors import OptionsError
from zoo.alignment.canvas import Canvas
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.networks import Config, Network
from zoo.stacks.files import fuse_files
from zoo.stacks.fuse import FusedStack
from zoo.stacks.options import Extras, FuseOptions
from zoo.stacks.planning.exposure import Tone
from zoo.stacks.planning.levels import Levels
from zoo.stacks.planning.plan import FramePlan, StackPlan
from zoo.stacks.report import report_of
from zoo.stacks.request import FuseRequest, fuse_as_asked
from zoo.stacks.stack import ArrayStack
from zoo.stacks.views.depth import depth_map
from zoo.stacks.views.maps import depth_of
from zoo.stacks.views.page import MOST, write_page
from zoo.stacks.views.write import write_extras

RNG = np.random.default_rng(0)
BYTES = Levels(0.0, 255.0)
H, W, FRAMES = 96, 144, 9


def texture():
    noise = cv2.GaussianBlur(RNG.random((H, W), np.float32), None, 1)
    return cv2.normalize(noise, None, 0, 1, cv2.NORM_MINMAX)


def decided(truth, softness=8.0):
    """What a network says of a surface: the nearest frame, and how surely, from where both are as sharp."""
    decision = np.rint(truth)
    toward = 0.5 - np.abs(truth - decision)  # frames to the step
    sure = 1 / (1 + np.exp(-softness * toward))
    return decision.astype(np.uint8), sure.astype(np.float16)


def planned(number, height, width, levels=BYTES, **changed):
    """The plan of a stack in which nothing is wrong, gray; frames may be given."""
    plain = tuple(FramePlan(k, f"f{k}", IDENTITY, Tone((1.0,), (0.0,))) for k in range(number))
    canvas = Canvas(0, 0, height, width)
    canvas = changed.get("canvas", canvas)
    return StackPlan(changed.get("frames", plain), {}, levels, canvas, 0.0, (), height, width)


def reported(fused, stack):
    return report_of(Path("fused.png"), fused, stack.names, FuseOptions(), "weighted")


def page_of(fused, pixels):
    stack = ArrayStack(pixels)
    page = write_page(fused, stack, FuseOptions(), reported(fused, stack)).decode()
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def tilted():
    return np.tile(np.linspace(0, FRAMES - 1, W, dtype=np.float32), (H, 1))


def test_depth_of_a_tilted_plane_lies_between_the_frames():
    truth = tilted()
    depth = depth_map(*decided(truth), texture(), FRAMES)
    assert depth.dtype == np.float32
    assert np.abs(np.rint(truth) - truth).mean() == pytest.approx(0.25, abs=0.01)  # the staircase
    assert np.abs(depth - truth).mean() < 0.08


def test_depth_keeps_the_outline_of_an_object():
    truth = tilted()
    inside = np.zeros((H, W), bool)
    inside[30:70, 90:130] = True
    truth[inside] = 1
    depth = depth_map(*decided(truth), texture(), FRAMES)
    rim = cv2.dilate(inside.astype(np.uint8), np.ones((7, 7))) - cv2.erode(
        inside.astype(np.uint8), np.ones((7, 7))
    )
    assert np.abs(depth - truth)[rim == 0].max() < 0.6
    assert np.abs(depth - truth)[rim == 1].mean() < 0.6  # frames; the step is of 4 to 6


def test_depth_is_filled_smoothly_where_nothing_is_sharp():
    truth = tilted()
    guide = texture()
    guide[20:60, 40:90] = 0.5
    decision, sure = decided(truth)
    decision[24:56, 44:86] = RNG.integers(0, FRAMES, (32, 42))
    depth = depth_map(decision, sure, guide, FRAMES)
    inside = (slice(28, 52), slice(48, 82))
    assert np.abs(depth - truth)[inside].mean() < 1.5 < np.abs(decision - truth)[inside].mean()
    assert np.abs(np.diff(depth[inside], axis=0)).max() < 0.5


def test_depth_of_two_frames_is_their_decision_off_its_edges():
    decision = np.zeros((H, W), np.uint8)
    decision[:, 60:] = 1
    depth = depth_map(decision, None, texture(), 2)
    assert depth[:, :54].max() < 0.1
    assert depth[:, 66:].min() > 0.9


def test_depth_of_one_frame_is_flat_at_any_size():
    for shape in ((16, 16), (16, 300), (97, 33)):
        depth = depth_map(np.full(shape, 3, np.uint8), None, np.zeros(shape, np.float32), 5)
        np.testing.assert_allclose(depth, 3, atol=1e-5)


# --- files --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Network(Config(task="seg", width=4, depth=2)).eval()


def frames(folder, names, dtype=np.uint8):
    folder.mkdir()
    sharp = np.dstack([texture()] * 3)
    paths = [folder / name for name in names]
    for number, path in enumerate(paths):
        frame = cv2.GaussianBlur(sharp, None, 2)
        part = slice(number * W // len(paths), (number + 1) * W // len(paths))
        frame[:, part] = sharp[:, part]
        data = cv2.imencode(path.suffix, (frame * np.iinfo(dtype).max).astype(dtype))[1]
        path.write_bytes(data.tobytes())
    return paths


def data_of(page):
    text = page.read_text("utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    )


HOSTILE = (
    "</script><script>alert(1)</script>.png".replace("/", "_"),
    "<img src=x onerror=alert(1)>.png",
    "a'\"&\u202e.png",
)


def test_depth_map_is_16_bit_gray_and_gives_the_frame_back(tmp_path):
    truth, guide = tilted(), (texture() * 255).astype(np.uint8)
    fused = FusedStack(guide, *decided(truth), planned(FRAMES, H, W))
    stack = ArrayStack([guide] * FRAMES)
    write_extras(Extras(depth_map=tmp_path / "d.png"), fused, stack, FuseOptions(), reported(fused, stack))
    depth = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint16, (H, W))
    assert np.abs(depth / 65535 * (FRAMES - 1) - truth).mean() < 0.08


def test_depth_is_smooth_where_a_frame_was_left_out():
    truth, guide = tilted(), (texture() * 255).astype(np.uint8)
    decision, sure = decided(truth / 2)  # by every second frame
    plan = planned(FRAMES, H, W, frames=planned(FRAMES, H, W).frames[::2])
    depth = depth_of(FusedStack(guide, 2 * decision, sure, plan), FRAMES) * (FRAMES - 1)
    assert np.abs(depth - truth).mean() < 2 * 0.08  # as with all frames, by steps of two


def test_depth_map_for_people_is_in_colors(model, tmp_path):
    paths = frames(tmp_path / "stack", ["a.png", "b.png"])
    fuse_files(
        model, paths, tmp_path / "fused.png", FuseOptions(), extras=Extras(depth_map=tmp_path / "depth.jpg")
    )
    depth = cv2.imread(str(tmp_path / "depth.jpg"), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint8, (H, W, 3))


def test_page_shows_any_names_as_text(model, tmp_path):
    paths = frames(tmp_path / "stack", HOSTILE)
    fuse_files(
        model, paths, tmp_path / "fused.png", FuseOptions(), extras=Extras(preview=tmp_path / "page.html")
    )
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("<script") == 2  # its data and its own
    assert "<img src" not in text
    data = data_of(tmp_path / "page.html")
    names = [view["name"] for view in data["scenes"][0]["views"]]
    assert names == [f"{k} · {name}".replace("\u202e", "\\u202e") for k, name in enumerate(HOSTILE, 1)] + [
        "result", "decision", "depth", "confidence",
    ]  # fmt: skip
    assert data["scenes"][0]["json"]["per_frame"][1]["name"] == HOSTILE[1]


def test_page_shows_names_that_are_not_text():
    pixels = [np.zeros((16, 16), np.uint8)] * 2
    frames = tuple(FramePlan(k, f"caf\udce9{k}", IDENTITY, Tone((1.0,), (0.0,))) for k in range(2))
    fused = FusedStack(pixels[0], np.zeros((16, 16), np.uint8), None, planned(2, 16, 16, frames=frames))
    assert page_of(fused, pixels)["scenes"][0]["views"][1]["name"] == "2 · caf\\udce91"


def test_page_of_16_bit_gray_shows_what_the_levels_span(tmp_path):
    values = [np.full((32, 48), value, np.uint16) for value in (250, 500, 1000)]
    plan = planned(3, 32, 48, Levels(250.0, 1000.0))
    decision = np.full((32, 48), 2, np.uint8)
    fused = FusedStack(values[2], decision, np.ones((32, 48), np.float16), plan)
    data = page_of(fused, values)
    shown = [pictures_of(data)[view["picture"]] for view in data["scenes"][0]["views"][:4]]
    assert [int(np.median(picture)) for picture in shown] == [0, 85, 255, 255]  # three frames, the result


def test_page_shows_moved_frames_as_given_too_and_gray_where_they_show_nothing():
    pixels = [np.full((64, 64, 3), value, np.uint8) for value in (200, 100)]
    tone = Tone((2.0,) * 3, (0.0,) * 3)
    moved = Similarity(1.0, 0.0, -32.0, 0.0)  # the second shows only the right half
    frames = (FramePlan(0, "a", IDENTITY, Tone((1.0,) * 3, (0.0,) * 3)), FramePlan(1, "b", moved, tone))
    plan = planned(2, 64, 64, frames=frames)
    fused = FusedStack(pixels[0], np.zeros((64, 64), np.uint8), None, plan)
    data = page_of(fused, pixels)
    first, second = data["scenes"][0]["views"][:2]
    assert "error" not in first
    picture = pictures_of(data)[second["picture"]]
    assert picture[32, 16, 0] == pytest.approx(128, abs=2)
    assert picture[32, 48, 0] == pytest.approx(200, abs=2)
    given = pictures_of(data)[second["error"]]
    assert given.shape == (32, 32, 3)
    assert given.mean() == pytest.approx(100, abs=2)


def test_maps_and_page_tell_what_no_frame_shows_from_the_first_frame(tmp_path):
    """The canvas's upper half shows nothing; the decision is the last of two frames everywhere."""
    pixels = [np.full((32, 64), 100, np.uint8)] * 2
    plan = planned(2, 32, 64, canvas=Canvas(-32, 0, 64, 64))
    fused = FusedStack(
        np.full((64, 64), 100, np.uint8), np.ones((64, 64), np.uint8), np.ones((64, 64), np.float16), plan
    )
    maps = {name: tmp_path / name for name in ("map.png", "depth.png", "depth.jpg")}
    for name, path in maps.items():
        extras = Extras(decision_map=path) if name == "map.png" else Extras(depth_map=path)
        stack = ArrayStack(pixels)
        write_extras(extras, fused, stack, FuseOptions(), reported(fused, stack))
    read = {name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for name, path in maps.items()}
    for name, white in (("map.png", 255), ("depth.png", 65535)):
        assert (read[name][16, 32], read[name][48, 32]) == (0, white)
    np.testing.assert_allclose(read["depth.jpg"][16, 32], 128, atol=2)
    data = page_of(fused, pixels)
    for view in data["scenes"][0]["views"][3:]:
        picture = pictures_of(data)[view["picture"]].astype(int)
        np.testing.assert_allclose(picture[16, 32], 128, atol=2, err_msg=view["name"])
        assert np.abs(picture[48, 32] - 128).max() > 40


def test_page_of_a_long_stack_shows_an_even_choice():
    number = 100
    pixels = [np.full((16, 16), 2 * k, np.uint8) for k in range(number)]
    plan = planned(number, 16, 16)
    data = page_of(FusedStack(pixels[0], np.zeros((16, 16), np.uint8), None, plan), pixels)
    names = [view["name"] for view in data["scenes"][0]["views"]]
    assert len(names) == MOST + 3
    assert names[0] == "1 · f0"
    assert names[MOST - 1] == "100 · f99"
    assert f"{MOST} of {number}" in data["sections"][0]["note"]


def pictures_of(data):
    for_cv = [np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8) for uri in data["pictures"]]
    return [cv2.imdecode(each, cv2.IMREAD_COLOR)[..., ::-1] for each in for_cv]


def test_rules_that_choose_no_frames_have_no_maps(tmp_path):
    reg = Network(Config(task="reg", width=4, depth=2))
    paths = (tmp_path / "a.png", tmp_path / "b.png")
    for extras in (Extras(depth_map=tmp_path / "d.png"), Extras(preview=tmp_path / "p.html")):
        with pytest.raises(OptionsError, match=r"chooses no frames.*--rule nearest"):
            fuse_as_asked(reg, FuseRequest(paths, tmp_path / "fused.png", extras=extras))


def test_a_page_is_not_written_under_the_name_of_a_picture(tmp_path):
    with pytest.raises(OptionsError, match=r"page\.png must end in \.html"):
        Extras(preview=tmp_path / "page.png")
