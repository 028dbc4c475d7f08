"""Stacks in memory and in files: what is read and kept, said and reported on the way to the picture."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from focus_stacks import stripes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import zoo
from zoo.errors import FrameError
from zoo.networks import Config
from zoo.pretrained import FusionModel
from zoo.stacks.memory import enough_memory
from zoo.stacks.pace import Pace
from zoo.stacks.planning.exposure import Tone
from zoo.stacks.prepare import matched, prepared
from zoo.stacks.remembered import RememberedStack
from zoo.stacks.stack import ArrayStack
from zoo.store.registry import BEST


@pytest.fixture(scope="module")
def model() -> FusionModel:
    torch.manual_seed(0)
    return FusionModel(Config(task="seg", width=4, depth=2)).eval()


def files_of(frames: Sequence[np.ndarray], folder: Path) -> list[Path]:
    """The frames as PNG files."""
    paths = [folder / f"{number}.png" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(str(path), frame[..., ::-1])
    return paths


@dataclass
class CountedStack:
    """Frames that are made when they are asked for, and counted."""

    made: list[np.ndarray]
    asked: list[int] = field(default_factory=list)
    alive: int = 0

    @property
    def names(self) -> list[str]:
        return [f"frame {number}" for number in range(len(self.made))]

    def frame(self, number: int) -> np.ndarray:
        frame = self.made[number].copy()
        self.asked.append(number)
        self.alive += 1
        weakref.finalize(frame, self._gone)
        return frame

    def _gone(self) -> None:
        self.alive -= 1


def test_a_stack_with_nothing_wrong_is_fused_as_by_the_network(model: FusionModel) -> None:
    frames = stripes(3, 96, 128)
    options = zoo.FuseOptions(rule="select", raw_decision=True)
    stack, bare = model.fuse_stack(frames, options), model.fuse(frames, rule="select")
    np.testing.assert_array_equal(stack.image, bare.image)
    np.testing.assert_array_equal(stack.decision, bare.decision)  # type: ignore[arg-type]
    assert [each.tone.plain for each in stack.plan.frames] == [True] * 3
    assert stack.burst == "joint"
    assert [*stack.seconds] == ["reading", "aligning", "fusing"]


def test_files_give_what_their_arrays_give(model: FusionModel, tmp_path: Path) -> None:
    frames = stripes(3)
    paths = [str(path) for path in files_of(frames, tmp_path)]
    by_path, by_array = zoo.fuse_stack(model, paths), zoo.fuse_stack(model, np.stack(frames))
    np.testing.assert_array_equal(by_path.image, by_array.image)
    assert [each.name for each in by_path.plan.frames] == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ("stack.tif", "a single path is not a stack"),
        ([np.zeros((32, 32), np.uint8), "far.png"], "some frames are paths, others are arrays"),
        ([np.zeros((32, 32), np.uint8)], "from 2 to 255 frames, not 1; give two or more"),
        ([np.zeros((32, 32), np.uint8)] * 256, "not 256; leave some out"),
        ([np.zeros((32, 32))] * 2, "frame 0 is float64"),
        ([np.zeros((32, 32, 4), np.uint8)] * 2, "frame 0 has"),
        ([np.zeros((32, 32), np.float32), np.full((32, 32), np.nan, np.float32)], "frame 1 .*finite"),
        ([np.zeros((32, 32), np.uint8), np.zeros((32, 33), np.uint8)], "frame 1 is 33 x 32"),
        ([f"{number}.png" for number in range(256)], "not 256; leave some out"),
    ],
)
def test_what_is_no_stack_is_refused(model: FusionModel, frames: Any, text: str) -> None:
    with pytest.raises(FrameError, match=text):
        model.fuse_stack(frames)


def test_frames_may_come_from_a_generator(model: FusionModel) -> None:
    frames = stripes(2)
    fused = model.fuse_stack(each for each in frames)  # type: ignore[arg-type]
    np.testing.assert_array_equal(fused.image, model.fuse_stack(frames).image)


def test_what_to_do_without_memory_is_said(model: FusionModel) -> None:
    class Vast(CountedStack):
        def frame(self, number: int) -> np.ndarray:
            return np.zeros((10**7, 10**7, 3), np.uint8)

    with pytest.raises(FrameError, match=r"not enough memory: Unable to allocate 273\. TiB .*--tile 256"):
        model.fuse_stack(Vast(stripes(2)))


@pytest.mark.parametrize(
    "vast",
    [
        lambda: torch.empty(10**15),
        lambda: cv2.copyMakeBorder(np.zeros((30000, 30000), np.uint8), *[10**6] * 4, cv2.BORDER_CONSTANT),
    ],
    ids=["torch", "OpenCV"],
)
def test_memory_that_a_library_lacks_is_told_alike(vast: Callable[[], object]) -> None:
    with pytest.raises(FrameError, match=r"not enough memory: .*\d{13} bytes.*--tile"), enough_memory():
        vast()


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="must match"), enough_memory():
        torch.zeros(2) + torch.zeros(3)
    with pytest.raises(cv2.error), enough_memory():
        cv2.resize(np.zeros((0, 0), np.uint8), (2, 2))


def test_what_all_comparisons_of_many_frames_cost_is_said(model: FusionModel) -> None:
    said: list[str] = []
    zoo.fuse_stack(model, stripes(9), zoo.FuseOptions(burst="joint"), say=said.append)
    instead = f"a tournament, without it, would take 8, and --model {BEST} one pass"
    assert f"--burst joint takes 36 comparisons; {instead}" in said
    said.clear()
    zoo.fuse_stack(model, stripes(8), say=said.append)
    assert not [line for line in said if "comparisons" in line or "tournament" in line]


def test_frames_are_read_once_if_they_fit_in_memory_and_let_go_when_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = CountedStack(stripes(3))
    size = stack.made[0].nbytes
    for limit, once in ((3 * size, True), (3 * size - 1, False)):
        monkeypatch.setattr("zoo.stacks.remembered.LIMIT", limit)
        stack.asked.clear()
        remembered = RememberedStack(stack)
        for look in range(3):  # the third is that of a page
            for number in range(3):
                np.testing.assert_array_equal(remembered.frame(number), stack.made[number])
            assert len(stack.asked) == 3 * (look + 1 - (once and look > 0))
        assert stack.alive == 0
    stack.asked.clear()
    remembered = RememberedStack(stack, stack.made[0])
    assert remembered.frame(0) is stack.made[0]
    assert not stack.asked


def test_many_frames_meet_in_a_tournament_and_are_never_held_together(model: FusionModel) -> None:
    stack = CountedStack(stripes(20))
    said: list[str] = []
    alive: list[int] = []

    def progress(stage: str, _done: float, _total: float) -> None:
        if stage == "fusing":
            alive.append(stack.alive)

    fused = zoo.fuse_stack(
        model, stack, zoo.FuseOptions(raw_decision=True), say=said.append, progress=progress
    )
    assert fused.burst == "tournament"
    assert "20 frames meet in a tournament of 19 comparisons; --burst joint would take 190" in said
    assert sorted(stack.asked) == sorted([*range(20)] * 2)
    assert max(alive) <= 6  # log2(20), and the frame at hand
    assert fused.decision is not None
    assert len(np.unique(fused.decision)) > 5


def test_a_network_for_sets_takes_any_number_of_frames_in_one_pass_each_prepared_once(
    set_model: FusionModel,
) -> None:
    stack = CountedStack(stripes(12, 64, 96))
    said: list[str] = []
    told: list[tuple[str, float, float]] = []
    alive: list[int] = []

    def progress(stage: str, done: float, total: float) -> None:
        told.append((stage, done, total))
        if stage == "preparing":
            alive.append(stack.alive)

    fused = zoo.fuse_stack(set_model, stack, say=said.append, progress=progress)
    assert not [line for line in said if "comparison" in line or "tournament" in line]
    assert stack.asked == [*range(12)] * 2
    assert fused.burst is None
    assert [*fused.seconds] == ["reading", "aligning", "preparing", "fusing"]
    assert [*dict.fromkeys(stage for stage, _, _ in told)] == ["reading", "preparing", "fusing"]
    assert [each for each in told if each[0] == "preparing"] == [
        ("preparing", done, 12) for done in range(13)
    ]
    fusing = [(done, total) for stage, done, total in told if stage == "fusing"]
    assert fusing == sorted(fusing)
    assert (fusing[0], fusing[-1]) == ((0, 1), (1, 1))


def test_a_disk_without_room_for_the_frames_is_told_before_the_file_is_begun(
    set_model: FusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[float] = []
    monkeypatch.setattr("zoo.fusing.fuse_layers.MEMORY", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(FrameError, match=r"0\.0 GB free.* set TMPDIR to a folder with more"):
        set_model.fuse_stack(
            stripes(6),
            progress=lambda stage, done, _: prepared.append(done) if stage == "preparing" else None,
        )
    assert prepared == [0]


@pytest.mark.parametrize("count", [3, 7, 12])
def test_the_order_of_files_does_not_matter_to_a_network_for_sets(
    set_model: FusionModel, tmp_path: Path, count: int
) -> None:
    """But for the first, which sets exposure and canvas."""
    paths = files_of(stripes(count, 48, 72), tmp_path)
    straight = set_model.fuse_stack(paths)
    order = [0, *1 + np.random.default_rng(count).permutation(count - 1)]
    fused = set_model.fuse_stack([paths[place] for place in order])
    np.testing.assert_array_equal(fused.image, straight.image)
    np.testing.assert_array_equal(np.array(order)[fused.decision], straight.decision)


@pytest.mark.parametrize("rule", ["select", "weighted"])
def test_what_one_frame_shows_comes_from_it_whatever_the_network_says(
    set_model: FusionModel, tmp_path: Path, rule: Any
) -> None:
    """Frames cut from one texture, moved to the four sides, on the canvas that covers all of them."""
    corners = [(20, 20), (0, 20), (40, 20), (20, 0), (20, 40)]
    coarse = cv2.resize(np.random.default_rng(1).integers(0, 128, (17, 21, 3), np.uint8), (168, 136))
    frames = [
        (each // 2 + coarse)[top : top + 96, left : left + 128]
        for each, (top, left) in zip(stripes(5, 136, 168), corners, strict=True)
    ]
    options = zoo.FuseOptions(rule=rule, align=True, crop="none")
    fused = set_model.fuse_stack(files_of(frames, tmp_path), options)
    assert len(fused.plan.frames) == 5
    assert fused.decision is not None
    layers = [prepared(frames[each.place], each, fused.plan, options) for each in fused.plan.frames]
    shown = np.stack(
        [np.ones(fused.decision.shape, bool) if each.shown is None else each.shown for each in layers]
    )
    alone = shown.sum(0) == 1
    assert 0.05 < alone.mean() < 0.5
    np.testing.assert_array_equal(fused.decision[alone], shown.argmax(0)[alone])
    for number, layer in enumerate(layers):
        only = alone & shown[number]
        np.testing.assert_array_equal(fused.image[only], layer.pixels[only])
    hidden = ~shown.any(0)
    assert hidden.any()
    assert not fused.image[hidden].any()


@pytest.mark.parametrize(("count", "burst", "pairs"), [(4, "joint", 6), (4, "fold", 3), (9, None, 8)])
def test_progress_goes_from_nothing_to_all_in_parts_of_a_comparison(
    model: FusionModel, count: int, burst: Any, pairs: int
) -> None:
    told: dict[str, list[tuple[float, float]]] = {}
    zoo.fuse_stack(
        model,
        ArrayStack(stripes(count, 64, 64)),
        zoo.FuseOptions(burst=burst, tile=32),
        progress=lambda stage, done, total: told.setdefault(stage, []).append((done, total)),
    )
    assert [*told] == ["reading", "fusing"]
    for stage, total in (("reading", count), ("fusing", pairs)):
        done = [each for each, _ in told[stage]]
        assert {most for _, most in told[stage]} == {total}
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, total)
    assert told["fusing"][1][0] < 1


@pytest.mark.parametrize(
    ("seconds", "fewer", "said"),
    [
        (10, None, ["fusing will take about 13 minutes"]),
        (10, 4, ["fusing will take about 13 minutes; a tournament would take about 3 minutes"]),
        (0.5, 4, []),
    ],
)
def test_a_long_wait_is_announced_once(seconds: float, fewer: int | None, said: list[str]) -> None:
    clock = iter(np.arange(0, 1000, seconds).tolist())
    told: list[str] = []
    pace = Pace(20, told.append, lambda _done, _total: None, fewer, clock=lambda: next(clock))
    for step in range(1, 81):
        pace(step / 4)
    assert told == said


@settings(max_examples=20)
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.uint16]), (7, 5, 3)),
    st.tuples(*[st.floats(0.25, 4)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_integers_in_another_exposure_are_rounded_and_saturate(
    pixels: np.ndarray, gain: tuple[float, ...], offset: tuple[float, ...]
) -> None:
    exact = np.rint(pixels * np.array(gain) + np.array(offset)).clip(0, np.iinfo(pixels.dtype).max)
    result = matched(pixels, Tone(gain, offset))
    assert result.dtype == pixels.dtype
    np.testing.assert_array_equal(result, exact)
    gray = matched(pixels[..., 0], Tone(gain[:1], offset[:1]))
    np.testing.assert_array_equal(gray, exact[..., 0])


def test_floats_in_another_exposure_are_not_clipped() -> None:
    pixels = np.array([[[-1.0, 0.5, 900.0]]], np.float32)
    result = matched(pixels, Tone((2.0, 2.0, 2.0), (0.0, 1.0, -1.0)))
    np.testing.assert_array_equal(result, np.array([[[-2.0, 2.0, 1799.0]]], np.float32))
    assert result.dtype == np.float32
    assert matched(pixels, Tone((1.0,) * 3, (0.0,) * 3)) is pixels
