"""Frames of another scene, turned frames and duplicates are told before anything is fused."""

import cv2
import numpy as np
import pytest
from PIL import Image

from zoo.errors import FrameError
from zoo.pictures.read import read_picture
from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.plan import plan
from zoo.stacks.planning.survey import survey
from zoo.stacks.stack import ArrayStack

SIZE = (120, 160)


def scene(seed=0, size=SIZE):
    """Soft blobs of several sizes: uint8 RGB."""
    random = np.random.default_rng(seed)
    picture = np.zeros((*size, 3), np.float32)
    for step in (1, 2, 4, 8, 16):
        small = random.random((size[0] // step + 2, size[1] // step + 2, 3), np.float32)
        picture += cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC) * np.sqrt(step)
    return cv2.normalize(picture, None, 10, 245, cv2.NORM_MINMAX).astype(np.uint8)


def frames_of(picture, count, sigma=3.0):
    """Each sharp in its own stripe."""
    width = picture.shape[1]
    frames = []
    for number in range(count):
        frame = cv2.GaussianBlur(picture, None, sigma)
        stripe = slice(number * width // count, (number + 1) * width // count)
        frame[:, stripe] = picture[:, stripe]
        frames.append(frame)
    return frames


def planned(frames, **options):
    return plan(survey(ArrayStack([np.ascontiguousarray(each) for each in frames])), FuseOptions(**options))


TURNS = {
    "turned by 180 degrees": lambda frame: frame[::-1, ::-1],
    "mirrored left to right": lambda frame: frame[:, ::-1],
    "mirrored top to bottom": lambda frame: frame[::-1],
}


def test_two_scenes_are_refused_by_name():
    with pytest.raises(
        FrameError, match=r"frame 1 shows another scene than frame 0.*give frames of one scene"
    ):
        planned([scene(0), scene(1)])


@pytest.mark.parametrize(("words", "turn"), TURNS.items(), ids=TURNS.keys())
def test_turned_frames_are_named_and_left_out(words, turn):
    first, second, third = frames_of(scene(), 3)
    how = planned([turn(first), second, third])
    assert how.left_out == {"frame 0": f"is {words} relative to frame 1"}
    assert [each.name for each in how.frames] == ["frame 1", "frame 2"]
    with pytest.raises(FrameError, match=f"frame 0 is {words}.*--strict"):
        planned([turn(first), second, third], strict=True)


def test_a_quarter_turn_is_named_in_squares_and_where_sizes_are_swapped():
    square = scene(size=(120, 120))
    how = planned([square, *frames_of(square, 2), np.rot90(square)])
    assert how.left_out == {"frame 3": "is turned by 90 degrees relative to frame 0"}
    with pytest.raises(FrameError, match="frame 1 is turned by 90 degrees relative to frame 0"):
        planned([scene(), np.rot90(scene())])


def test_a_stack_that_turns_midway_keeps_its_larger_part():
    """As with a phone's orientation tag that changes while it looks down."""
    frames = frames_of(scene(), 8)
    how = planned([*frames[:5], *(each[::-1, ::-1] for each in frames[5:])])
    assert [each.place for each in how.frames] == [0, 1, 2, 3, 4]
    assert [*how.left_out] == ["frame 5", "frame 6", "frame 7"]


def test_where_no_scene_has_the_majority_all_are_refused():
    with pytest.raises(FrameError, match=r"different scenes: frame 0, frame 1 \| frame 2, frame 3"):
        planned([*frames_of(scene(0), 2), *frames_of(scene(1), 2)])


def test_frames_of_one_scene_are_left_alone():
    big = scene(3, (180, 240))
    moved = cv2.warpAffine(big, cv2.getRotationMatrix2D((120, 90), 3, 1.04), (240, 180))[25:145, 30:190]
    cases = {
        "hardly anything sharp in both": [scene(), cv2.GaussianBlur(scene(), None, 8)],
        "moved, turned and scaled": [big[25:145, 30:190], moved],
        "the ends of a deep stack": frames_of(scene(), 12, sigma=6),
        "half as bright": [scene(), scene() // 2],
        "nothing to see": [np.full((*SIZE, 3), 90, np.uint8), np.full((*SIZE, 3), 91, np.uint8)],
    }
    for name, frames in cases.items():
        assert not planned(frames).left_out, name


def test_duplicates_are_told_even_saved_again(tmp_path):
    first, second = frames_of(scene()[..., :1].repeat(3, axis=2), 2)
    Image.fromarray(first).save(tmp_path / "again.jpg", quality=97)
    again = read_picture(tmp_path / "again.jpg").pixels
    for duplicate in (first.copy(), again):
        assert planned([first, second, duplicate]).warnings == (
            "frame 2 shows the same as frame 0, in the same focus",
        )
    assert not planned([first, second]).warnings


@pytest.mark.parametrize("unit", [1e-9, 1e30])
def test_floats_in_any_unit_are_no_duplicates(unit):
    frames = [each.astype(np.float32) * np.float32(unit) for each in frames_of(scene(), 3)]
    how = planned(frames)
    assert not how.warnings
    assert all(each.tone.plain for each in how.frames)
    assert [line.split(",")[0] for line in planned([*frames, frames[0].copy()]).warnings] == [
        "frame 3 shows the same as frame 0"
    ]


def test_a_slope_of_strong_defocus_is_not_taken_for_a_shift():
    """From sharp to a blur of a tenth of the picture, from top to bottom and back."""
    picture = scene().astype(np.float32)
    far = np.linspace(0, 1, len(picture), dtype=np.float32)[:, None, None] * 8
    blurred = [cv2.GaussianBlur(picture, None, 2 * k) if k else picture for k in range(9)]
    frames = [
        sum(each * (1 - abs(depth - k)).clip(0) for k, each in enumerate(blurred)) for depth in (far, 8 - far)
    ]
    assert not planned([each.round().astype(np.uint8) for each in frames]).warnings


def test_shifts_are_told_between_neighbors_in_one_line():
    """Six frames, of which two lie where the others do not."""
    big = scene(5, (140, 200))
    lefts = [0] * 4 + [9, 9]
    frames = [big[10:130, 10 + left : 170 + left] for left in lefts]
    shifts = [line for line in planned(frames).warnings if "shifted" in line]
    assert len(shifts) == 1
    assert "frame 4 and 1 other frame look shifted, by up to 9" in shifts[0]
    assert "consider --align" in shifts[0]
    assert not [line for line in planned(frames, align=True).warnings if "shifted" in line]
