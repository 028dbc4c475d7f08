"""What is told of a fused stack, against plans whose answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoo.alignment.canvas import Canvas
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.stacks.fuse import FusedStack
from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.exposure import Tone
from zoo.stacks.planning.levels import Levels
from zoo.stacks.planning.plan import FramePlan, StackPlan
from zoo.stacks.report import report_of
from zoo.stacks.words import plan_lines

PLAIN = Tone((1.0,) * 3, (0.0,) * 3)
BRIGHTER = Tone((1.25, 1.25, 1.25), (0.0, 0.0, 0.0))


def planned(*frames, left_out=None, canvas=None, warnings=()):
    canvas = canvas or Canvas(0, 0, 100, 200)
    return StackPlan(frames, left_out or {}, Levels(0.0, 255.0), canvas, 0.25, warnings, 100, 200)


def frame(place, name="", move=IDENTITY, tone=PLAIN, hot=()):
    return FramePlan(place, name or f"{place}.png", move, tone, np.array(hot, np.int64))


def told_of(plan, decision, names, options=None, burst="joint"):
    image = np.zeros((100, 200, 3), np.uint8)
    fused = FusedStack(image, decision, None, plan, burst, {"fusing": 1.234})
    return report_of(Path("out.png"), fused, names, options or FuseOptions(), "select")


@pytest.mark.parametrize(
    ("move", "canvas", "share"),
    [
        (IDENTITY, Canvas(0, 0, 100, 200), 1),
        (Similarity(1, 0, -50, 0), Canvas(0, 0, 100, 200), 0.75),  # what the first shows at 50 is here at 0
        (Similarity(1, 0, 0, 25), Canvas(0, 0, 100, 200), 0.75),
        (Similarity(0.5, 0, 50, 25), Canvas(0, 0, 100, 200), 1),
        (Similarity(2, 0, -100, -50), Canvas(0, 0, 100, 200), 0.25),
        (IDENTITY, Canvas(-100, 0, 200, 200), 0.5),
        (Similarity(1, 0, 900, 0), Canvas(0, 0, 100, 200), 0),
    ],
)
def test_coverage_is_the_part_of_the_canvas_that_a_frame_shows(move, canvas, share):
    plan = planned(frame(0, move=move), frame(1), canvas=canvas)
    told = told_of(plan, np.zeros((canvas.height, canvas.width), np.uint8), ["0.png", "1.png"])
    assert told.frames[0].coverage == pytest.approx(share, abs=0.02)


def test_what_no_frame_shows_is_in_no_share():
    """The canvas's upper half shows nothing; the decision there is 0, though frame 0 is left out."""
    plan = planned(frame(1), frame(2), left_out={"0.png": "is black"}, canvas=Canvas(-100, 0, 200, 200))
    decision = np.zeros((200, 200), np.uint8)
    decision[100:125], decision[125:] = 1, 2
    options = FuseOptions(align=True, crop="none")
    assert told_of(plan, decision, ["0.png", "1.png", "2.png"], options).shares == (0, 0.25, 0.75)


def test_report_tells_every_frame_through_json():
    moved = Similarity(1.01, 0.5, 3.0, -2.0)
    plan = planned(
        frame(0),
        frame(2, "c.png", moved, BRIGHTER, hot=[7, -9]),
        left_out={"b.png": "is black"},
        warnings=("odd",),
    )
    decision = np.zeros((100, 200), np.uint8)
    decision[:25] = 2
    report = told_of(plan, decision, ["0.png", "b.png", "c.png"])
    told = json.loads(json.dumps(report.to_json()))
    assert told["frames"] == 3
    assert told["shares"] == [0.75, 0.0, 0.25]
    assert told["moves"] == [moved.describe()]
    first, second, third = told["per_frame"]
    assert second == {"name": "b.png", "left_out": "is black"}
    assert first["share"] == 0.75
    assert first["coverage"] == 1
    assert third["gain"] == [1.25] * 3
    assert (first["hot_pixels"], third["hot_pixels"]) == (0, 2)
    assert third["move"] == {"dx": 3.0, "dy": -2.0, "scale": 1.01, "angle": 0.5}
    assert (told["levels"], told["drift"], told["warnings"]) == ([0, 255], 0.25, ["odd"])
    assert [told[name] for name in ("rule", "burst", "exposure", "crop")] == [
        "select",
        "joint",
        "first",
        "first",
    ]
    assert told["canvas"] == {"top": 0, "left": 0, "height": 100, "width": 200}
    assert told["seconds"] == {"fusing": 1.23}
    assert report.line() == "out.png  2 of 3 frames, 200 x 100, shares 75%, 0%, 25%"


def test_line_of_a_long_stack_names_the_ends():
    plan = planned(*(frame(place) for place in range(20)))
    decision = np.repeat(np.arange(20, dtype=np.uint8), 1000).reshape(100, 200)
    decision[decision == 7] = 11
    line = told_of(plan, decision, [f"{k}.png" for k in range(20)]).line()
    assert line == "out.png  20 frames, 200 x 100, shares from 0% (7.png) to 10% (11.png)"


@pytest.mark.parametrize(
    ("taken", "of", "words"),
    [(3, 3, "3 frames in one pass"), (3, 4, "3 of 4 frames in one pass"), (2, 2, "2 frames")],
)
def test_one_pass_for_more_than_two_frames_is_told(taken, of, words):
    names = [f"{place}.png" for place in range(of)]
    left_out = dict.fromkeys(names[taken:], "is black")
    plan = planned(*(frame(place) for place in range(taken)), left_out=left_out)
    told = told_of(plan, np.zeros((100, 200), np.uint8), names, burst=None)
    assert told.line().startswith(f"out.png  {words}, 200 x 100, shares 100%")
    assert told.to_json()["burst"] is None


def test_nothing_is_said_where_nothing_is_wrong():
    assert plan_lines(planned(frame(0), frame(1))) == []


def test_few_frames_are_told_one_by_one():
    shifted = Similarity(1.0, 0.0, 3.0, 4.0)
    plan = planned(
        frame(0), frame(1, "", shifted, BRIGHTER), left_out={"b.png": "is black"}, warnings=("odd",)
    )
    assert plan_lines(plan) == [
        "odd",
        "b.png is left out: it is black",
        "1.png is matched in exposure: gain 1.25",
        f"1.png relative to 0.png: {shifted.describe()}",
    ]


@pytest.mark.parametrize(
    ("tone", "words"),
    [
        (Tone((0.9, 0.87, 0.86), (-70.2, -69.8, -71.0)), "gains 0.90, 0.87, 0.86, offsets -70, -70, -71"),
        (Tone((1.0,) * 3, (4.0,) * 3), "gain 1.00, offset +4"),
        (Tone((1.25,) * 3, (3.5,) * 3), "gain 1.25"),  # as light of 1.7 times, in sRGB's values
    ],
)
def test_an_offset_is_told_where_it_does_more_than_the_gain(tone, words):
    told = plan_lines(planned(frame(0), frame(1, tone=tone)))
    assert told == [f"1.png is matched in exposure: {words}"]


def test_a_gain_from_a_black_other_than_zero_is_no_offset():
    plan = planned(frame(0), frame(1, tone=Tone((1.25,), (-250.0,))))  # 1.25 (value - 1000) + 1000
    plan = replace(plan, levels=Levels(1000.0, 1400.0))
    assert plan_lines(plan) == ["1.png is matched in exposure: gain 1.25"]


def test_repaired_pixels_are_told():
    assert plan_lines(planned(frame(0), frame(1, hot=[5, -2, 9]))) == [
        "3 values of hot or dead pixels were repaired in 1.png"
    ]
    assert plan_lines(planned(frame(0, hot=[5]), frame(1, hot=[5]))) == [
        "2 values of hot or dead pixels were repaired in 2 frames"
    ]


def test_many_frames_are_told_in_a_line():
    tones = [PLAIN, *(Tone((1 + 0.01 * k, 1.0, 1.0), (0.0,) * 3) for k in range(1, 30))]
    moves = [IDENTITY, *(Similarity(1.0, 0.0, 3.0 * k, 4.0 * k) for k in range(1, 30))]
    plan = planned(*(frame(k, "", moves[k], tones[k]) for k in range(30)))
    assert plan_lines(plan) == [
        "29 frames are matched in exposure: gains 1.00 to 1.29",
        "29 frames are moved, relative to 0.png, by up to 145.0 pixels at a corner (29.png)",
    ]
