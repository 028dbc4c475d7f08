"""Data that use little of their range are stretched for the network; errors of the first look at frames."""

import cv2
import numpy as np
import pytest
import torch

from zoo.errors import FrameError
from zoo.networks import Config, Network
from zoo.stacks.fuse import fuse_stack
from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.levels import Levels, levels_of
from zoo.stacks.planning.survey import survey
from zoo.stacks.stack import ArrayStack

SIZE = (64, 80)


def ramp(low, high, dtype):
    """All values from low to high, smoothly, so that no pixel stands out: gray."""
    values = np.linspace(low, high, SIZE[1])[None].repeat(SIZE[0], axis=0)
    return (np.rint(values) if np.dtype(dtype).kind == "u" else values).astype(dtype)


def levels(*frames, given=None):
    return levels_of(survey(ArrayStack(frames)), given)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ramp(0, 255, np.uint8), (0, 255)),
        (ramp(20, 120, np.uint8), (0, 255)),  # a dark picture, but not narrow
        (ramp(5, 40, np.uint8), (5, 40)),
        (ramp(100, 4095, np.uint16), (100, 4095)),  # 12 bits in 16
        (ramp(500, 60000, np.uint16), (0, 65535)),
        (ramp(0.1, 0.9, np.float32), (0, 1)),
        (ramp(0.1, 0.2, np.float32), (0.1, 0.2)),
        (ramp(-3, 700, np.float32), (-3, 700)),
        (ramp(90, 93, np.uint8), (0, 255)),  # nothing but noise
        (ramp(0.5, 0.5 + 1e-6, np.float32), (0, 1)),
        (ramp(2e-9, 7e-9, np.float32), (2e-9, 7e-9)),  # in a unit that is large
    ],
)
def test_levels_are_the_datas_only_where_these_are_narrow(frame, expected):
    found = levels(frame, frame)
    np.testing.assert_allclose((found.black, found.white), expected, rtol=1e-6)


def test_levels_are_common_and_no_single_pixel_sets_them():
    frames = [ramp(100, 350, np.uint16), ramp(120, 600, np.uint16)]
    frames[0][10, 10], frames[1][20, 30] = 65535, 0
    found = levels(*frames)
    assert found == Levels(100.0, 600.0)
    saturated = np.full(SIZE, 65535, np.uint16)
    assert levels(*frames, saturated) == found


def test_given_levels_are_taken():
    assert levels(*[ramp(100, 350, np.uint16)] * 2, given=(0.0, 4095.0)) == Levels(0.0, 4095.0)


@pytest.mark.parametrize("outside", [(0.0, 20.0), (400.0, 900.0)])
def test_given_levels_that_hold_no_value_are_refused(outside):
    with pytest.raises(FrameError, match=r"from 100 to 350, none of them between black.*--range"):
        levels(*[ramp(100, 350, np.uint16)] * 2, given=outside)


def test_dim_counts_are_decided_as_if_stretched_and_keep_their_values():
    torch.manual_seed(0)
    network = Network(Config(task="seg", width=4, depth=2)).eval()
    noise = np.random.default_rng(0).random(SIZE, np.float32)
    sharp = cv2.normalize(cv2.GaussianBlur(noise, None, 1), None, 0, 1, cv2.NORM_MINMAX)
    soft = cv2.GaussianBlur(sharp, None, 3)
    counts = [np.rint(100 + 250 * np.hstack(halves)).astype(np.uint16)
              for halves in ((sharp[:, :40], soft[:, 40:]), (soft[:, :40], sharp[:, 40:]))]  # fmt: skip
    black, white = min(each.min() for each in counts), max(each.max() for each in counts)
    stretched = [((each - black) / (white - black)).astype(np.float32) for each in counts]
    options = FuseOptions(
        rule="select", raw_decision=True, hot_pixels=False, range=(float(black), float(white))
    )
    dim = fuse_stack(network, ArrayStack(counts), options)
    full = fuse_stack(network, ArrayStack(stretched), FuseOptions(rule="select", raw_decision=True))
    np.testing.assert_array_equal(dim.decision, full.decision)
    np.testing.assert_array_equal(dim.image, np.choose(dim.decision, counts))


COLOR = ramp(0, 255, np.uint8)[..., None].repeat(3, axis=2)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            COLOR[:50],
            "frame 0 is 80 x 64 pixels, 8-bit color, frame 1 is 80 x 50 pixels, 8-bit color.*one size",
        ),
        (COLOR[..., 0], "frame 1 is 80 x 64 pixels, 8-bit gray.*convert it"),
        (COLOR.astype(np.uint16), "frame 1 is 80 x 64 pixels, 16-bit color.*one depth"),
        (COLOR.astype(np.float32), "frame 1 is 80 x 64 pixels, 32-bit float color.*one depth"),
    ],
)
def test_frames_of_other_kinds_are_refused_by_name(other, message):
    with pytest.raises(FrameError, match=message):
        survey(ArrayStack([COLOR, other]))


def test_values_that_are_not_finite_are_refused_by_name():
    frames = [ramp(0, 1, np.float32), ramp(0, 1, np.float32)]
    frames[1][3, 4] = np.nan
    with pytest.raises(FrameError, match="frame 1 holds values that are not finite"):
        survey(ArrayStack(frames))
