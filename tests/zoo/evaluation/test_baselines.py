"""The classic methods: what they must give by construction, and what the authors of two published."""

import itertools
import sys

import cv2
import numpy as np
import pytest
from conftest import SHARED

from mfsynth.errors import MissingExtraError
from zoo.errors import FrameError, UnknownModelError
from zoo.evaluation import baselines
from zoo.metrics import psnr

NAMES = baselines.names()
DECIDING = ("cnn", "dct", "dct+cv", "im")
FUSING = (*DECIDING, "gff", "pyramid")


def run_of(names):
    """The names as parameters; Numba compiles `im` for half a minute in a fresh environment."""
    return [pytest.param(name, marks=pytest.mark.slow) if name == "im" else name for name in names]


def fuse(name, *frames):
    return baselines.get(name).fuse(frames)


def texture(height=64, width=96, channels=3, seed=0):
    """Noise of several scales, as sharp everywhere."""
    rng = np.random.default_rng(seed)
    fine = rng.uniform(0, 255, (height, width, 3)).astype(np.float32)
    values = 0.5 * fine + 4 * (cv2.GaussianBlur(fine, None, 3) - 127.5) + 64
    picture = values.clip(0, 255).astype(np.uint8)
    return picture if channels == 3 else picture[..., 0]


def stripes(truth, frames=2):
    """Frames that are sharp in one upright stripe each, and the stripes' numbers."""
    blurred = cv2.GaussianBlur(truth, None, 3)
    numbers = np.arange(truth.shape[1]) * frames // truth.shape[1]
    mask = numbers if truth.ndim == 2 else numbers[:, None]
    return [np.where(mask == number, truth, blurred) for number in range(frames)], numbers


def as_dtype(picture, dtype):
    factor = {"uint8": 1, "uint16": 257, "float32": np.float32(1 / 255)}[dtype]
    return (picture * np.asarray(factor, dtype)).astype(dtype)


def lytro(number, method):
    """A pair of Lytro, and what a method's authors made of it."""
    if not (SHARED / "golden" / f"lytro_{method}").is_dir():
        pytest.skip("the published pictures are not beside this checkout")
    names = [f"lytro/lytro-{number:02}-{letter}.jpg" for letter in "AB"]
    return [
        cv2.cvtColor(cv2.imread(str(SHARED / name)), cv2.COLOR_BGR2RGB)
        for name in (*names, f"golden/lytro_{method}/lytro-{number:02}.png")
    ]


@pytest.fixture(params=[3, 1], ids=["color", "gray"])
def truth(request):
    return texture(channels=request.param)


@pytest.mark.parametrize("name", run_of(FUSING))
def test_sharp_halves_come_back(name, truth):
    frames, _ = stripes(truth)
    fused = fuse(name, *frames).image
    away = np.abs(np.arange(96) - 48) > 16
    error = np.abs(fused.astype(int) - truth)[:, away]
    assert error.mean() < 2  # the pyramid's top is a mean; the blurred halves are wrong by 30
    assert fused.shape == truth.shape


@pytest.mark.parametrize("name", run_of(DECIDING))
def test_decisions_name_the_sharp_half(name, truth):
    frames, numbers = stripes(truth)
    fused = fuse(name, *frames)
    wrong = fused.decision != np.broadcast_to(numbers, (64, 96))
    assert (
        wrong.mean() < 0.04
    )  # the seam may lie two columns aside: this noise has no edge for a matte to follow
    assert fused.decision.dtype == np.uint8
    assert fused.confidence.dtype == np.float16
    assert (fused.confidence >= 0.5).all()
    assert (fused.confidence <= 1).all()


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(DECIDING)))
def test_others_decide_nothing(name, truth):
    fused = fuse(name, truth, truth)
    assert fused.decision is None
    assert fused.confidence is None


@pytest.mark.parametrize("frames", [2, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("name", run_of(NAMES))
def test_identical_frames_come_back(name, dtype, frames, truth):
    frame = as_dtype(truth, dtype)
    fused = fuse(name, *[frame] * frames).image
    assert fused.dtype == dtype
    np.testing.assert_allclose(fused, frame, rtol=0, atol=2e-7 if dtype == "float32" else 0)


@pytest.mark.parametrize("count", [3, 6])
@pytest.mark.parametrize("name", run_of(FUSING))
def test_bursts_take_from_every_frame(name, count):
    truth = texture(64, 48 * count)
    frames, numbers = stripes(truth, count)
    fused = fuse(name, *frames)
    inside = np.abs(np.arange(48 * count) % 48 - 23.5) < 10
    assert np.abs(fused.image.astype(int) - truth)[:, inside].mean() < 2
    if fused.decision is not None:
        assert (fused.decision == numbers)[:, inside].mean() > 0.98


@pytest.mark.parametrize("name", run_of(NAMES))
def test_sixteen_bits_are_eight_finer_ones(name, truth):
    frames, _ = stripes(truth)
    eight = fuse(name, *frames).image
    sixteen = fuse(name, *[as_dtype(frame, "uint16") for frame in frames]).image
    assert np.median(np.abs(sixteen / 257 - eight)) <= 0.5


@pytest.mark.parametrize("name", run_of(NAMES))
@pytest.mark.parametrize("size", [(16, 16), (17, 41)])
def test_small_and_odd_sizes(name, size):
    frames = [texture(*size, seed=seed) for seed in (0, 1)]
    before = [frame.copy() for frame in frames]
    fused = fuse(name, *frames)
    assert fused.image.shape == (*size, 3)
    np.testing.assert_array_equal(frames, before)
    np.testing.assert_array_equal(fuse(name, *frames).image, fused.image)


@pytest.mark.parametrize("name", run_of(NAMES))
def test_frames_are_checked(name, truth):
    with pytest.raises(FrameError, match="frames, not 1"):
        fuse(name, truth)
    with pytest.raises(FrameError, match="one size"):
        fuse(name, truth, truth[1:])


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(UnknownModelError, match=r"no baseline 'gf'.*did you mean gff"):
        baselines.get("gf")


def test_matting_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(MissingExtraError, match=r"PyMatting.*\[evaluate\]"):
        baselines.get("im")


# --- average and dummies -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_average_is_exact(dtype):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, np.iinfo(dtype).max, (3, 20, 30, 3), dtype=dtype, endpoint=True)
    pair = (frames[0].astype(np.uint32) + frames[1] + 1) // 2
    np.testing.assert_array_equal(fuse("average", *frames[:2]).image, pair)
    burst = (2 * frames.sum(0, dtype=np.uint32) + 3) // 6
    np.testing.assert_array_equal(fuse("average", *frames).image, burst)


@pytest.mark.parametrize(("name", "number"), [("dummy-a", 0), ("dummy-b", 1)])
def test_dummies_copy(name, number):
    frames = [texture(seed=seed) for seed in range(3)]
    fused = fuse(name, *frames).image
    np.testing.assert_array_equal(fused, frames[number])
    assert not np.shares_memory(fused, frames[number])


# --- DCT -----------------------------------------------------------------------------------------------


def test_dct_decides_by_blocks():
    """Any mask of whole blocks, the cut ones at the border too, comes back to the pixel."""
    truth = texture(60, 92)
    blocks = np.random.default_rng(3).integers(0, 3, (8, 12), dtype=np.uint8)
    mask = blocks.repeat(8, 0).repeat(8, 1)[:60, :92]
    frames = [np.where((mask == number)[..., None], truth, 90).astype(np.uint8) for number in range(3)]
    fused = fuse("dct", *frames)
    np.testing.assert_array_equal(fused.decision, mask)
    np.testing.assert_array_equal(fused.image, truth)
    assert (fused.confidence == 1).all()


def test_dct_orders_blocks_by_the_energy_of_their_ac_coefficients():
    frames = [texture(64, 96, 1, seed) for seed in range(2)]

    def energies(frame):
        blocks = frame.reshape(8, 8, 12, 8).swapaxes(1, 2).astype(np.float64)
        return np.array([[np.square(cv2.dct(block)).sum() - cv2.dct(block)[0, 0] ** 2 for block in row]
                         for row in blocks])  # fmt: skip

    larger = energies(frames[1]) > energies(frames[0])
    np.testing.assert_array_equal(fuse("dct", *frames).decision[::8, ::8], larger)


def test_consistency_verification_overrules_lone_blocks():
    truth = texture(128, 128)
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 1
    clean = mask.copy()
    mask[4, 3] = 1
    mask[10, 12] = 0
    pixels = mask.repeat(8, 0).repeat(8, 1)[..., None]
    frames = [np.where(pixels == number, truth, truth // 2 + 60) for number in range(2)]
    frames = [frame.astype(np.uint8) for frame in frames]
    np.testing.assert_array_equal(fuse("dct", *frames).decision[::8, ::8], mask)
    np.testing.assert_array_equal(fuse("dct+cv", *frames).decision[::8, ::8], clean)


# --- CNN -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3])
def test_cnn_gives_the_same_bits_in_every_order(count, truth):
    frames, _ = stripes(truth, count)
    fused = fuse("cnn", *frames)
    for order in itertools.permutations(range(count)):
        other = fuse("cnn", *[frames[number] for number in order])
        np.testing.assert_array_equal(other.image, fused.image)
        np.testing.assert_array_equal(np.array(order)[other.decision], fused.decision)
        np.testing.assert_array_equal(other.confidence, fused.confidence)


def test_cnn_takes_the_frame_that_is_sharp_everywhere(truth):
    blurred = cv2.GaussianBlur(truth, None, 3)
    fused = fuse("cnn", blurred, truth)
    np.testing.assert_array_equal(fused.image, truth)
    assert (fused.decision == 1).all()
    assert (fused.confidence == 1).all()


@pytest.mark.parametrize("number", [0, 1])
def test_cnn_gives_small_regions_of_either_frame_to_the_other(number):
    truth = texture(256, 256)
    blurred = cv2.GaussianBlur(truth, None, 3)
    island = np.zeros((256, 256, 1), bool)
    island[100:124, 60:84] = True  # 0.9% of the picture
    frames = [np.where(island, blurred, truth), np.where(island, truth, blurred)]
    frames = frames[::-1] if number else frames
    kept = baselines.Cnn(smallest=0).fuse(frames)
    assert (kept.decision != number)[105:119, 65:79].all()
    assert (fuse("cnn", *frames).decision == number).all()


def test_cnns_windows_do_not_show(monkeypatch):
    frames, _ = stripes(texture(99, 141))
    whole = fuse("cnn", *frames)
    monkeypatch.setattr("zoo.evaluation.baselines.cnn._WINDOW", 13)
    np.testing.assert_array_equal(fuse("cnn", *frames).decision, whole.decision)


@pytest.mark.parametrize("number", [9, pytest.param(16, marks=pytest.mark.slow)])
def test_cnn_comes_near_to_its_authors_pictures(number):
    """They trained other weights on other pairs."""
    *frames, published = lytro(number, "cnn")
    assert psnr(published, fuse("cnn", *frames).image) > 50


# --- GFF -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 9, 16])
def test_gff_is_its_authors(number):
    """Their pictures, of which floating point may tip a few pixels."""
    *frames, published = lytro(number, "gff")
    assert psnr(published, fuse("gff", *frames).image) > 85
