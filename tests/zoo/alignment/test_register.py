from __future__ import annotations

import math
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SHARED

from zoo.alignment.align import align
from zoo.alignment.register import UNALIGNED, estimate, looks_unaligned
from zoo.alignment.similarity import Similarity
from zoo.errors import AlignmentError, FrameError

HEIGHT, WIDTH = 300, 400
MOVES = [
    Similarity(1.0, 0.0, 7.3, -4.6),
    Similarity(1.012, 0.0, -2.4, -1.8),
    Similarity(0.975, 1.4, 3.0, 9.1),
    Similarity(1.04, -0.9, -12.0, 5.5),
]


def texture(height: int, width: int, key: int = 1) -> np.ndarray:
    """Smooth noise of several grains in color, float32 in [0, 1]."""
    rng = np.random.Generator(np.random.Philox(key=key))
    sums = np.zeros((height, width, 3), np.float32)
    for grain in (2, 5, 12, 30):
        noise = rng.standard_normal((height // grain + 3, width // grain + 3, 3), np.float32)
        sums += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.5 + 0.12 * sums, 0, 1)


def shown(move: Similarity, height: int = HEIGHT, width: int = WIDTH, key: int = 1) -> np.ndarray:
    """A frame that lies so to the middle of a larger texture, from the definition of `matrix`."""
    margin = 60
    world = texture(height + 2 * margin, width + 2 * margin, key)
    inverse = np.linalg.inv(np.vstack([move.matrix, [0, 0, 1]]))[:2]  # the frame's pixels to the first's
    inverse[:, 2] += margin
    return cv2.warpAffine(world, inverse, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def half_blurred(frame: np.ndarray, side: str, sigma: float) -> np.ndarray:
    blurred = cv2.GaussianBlur(frame, (0, 0), sigma)
    middle = frame.shape[1] // 2
    left, right = (blurred, frame) if side == "left" else (frame, blurred)
    return np.concatenate([left[:, :middle], right[:, middle:]], axis=1)


def as_type(frame: np.ndarray, dtype: type) -> np.ndarray:
    if dtype == np.float32:
        return np.clip(frame, 0, 1)
    most = np.iinfo(dtype).max
    return np.clip(np.rint(frame * most), 0, most).astype(dtype)


def corner_error(found: Similarity, truth: Similarity, height: int = HEIGHT, width: int = WIDTH) -> float:
    corners = np.array([[x, y, 1] for x in (0, width - 1) for y in (0, height - 1)])
    return float(np.linalg.norm(corners @ (found.matrix - truth.matrix).T, axis=1).max())


def test_a_similarity_is_scale_turn_and_where_the_first_pixel_lies() -> None:
    move = Similarity(2.0, 90.0, 5.0, -3.0)
    assert np.allclose(move.matrix, [[0, -2, 5], [2, 0, -3]])
    assert Similarity(1.0, 0.0, 3.0, 4.0).displacement(10, 20) == pytest.approx(5)
    assert Similarity(1.1, 0.0, 0.0, 0.0).displacement(31, 41) == pytest.approx(0.1 * math.hypot(30, 40))
    assert move.describe() == "moved by 5.0, -3.0 pixels, scaled by 2.000, rotated by 90.00 degrees"


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("sigma", [1.5, 5.0])
def test_frames_focused_differently_are_registered_to_a_fraction_of_a_pixel(
    move: Similarity, sigma: float
) -> None:
    first = as_type(half_blurred(shown(Similarity(1, 0, 0, 0)), "left", sigma), np.uint8)
    second = as_type(half_blurred(shown(move), "right", sigma), np.uint8)
    assert corner_error(estimate(first, second), move) < 0.15


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_frame_is_registered_and_warped_onto_the_first(dtype: type, channels: int) -> None:
    pick = (lambda frame: frame) if channels == 3 else (lambda frame: frame[..., 0].copy())
    sharp = [shown(Similarity(1, 0, 0, 0)), *(shown(move) for move in MOVES[:2])]
    frames = [pick(as_type(frame, dtype)) for frame in sharp]
    aligned, found = align(frames)
    assert aligned[0] is frames[0]
    assert found[0] == Similarity(1.0, 0.0, 0.0, 0.0)
    most = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    inner = (slice(20, -20), slice(20, -20))
    for frame, how, move in zip(aligned[1:], found[1:], MOVES, strict=False):
        assert (frame.dtype, frame.shape) == (frames[0].dtype, frames[0].shape)
        assert corner_error(how, move) < 0.05
        difference = np.abs(frame[inner].astype(np.float64) - frames[0][inner]) / most
        assert np.percentile(difference, 99) < 0.02
        assert frame.max() <= most


def test_frames_of_floats_stay_in_range() -> None:
    steep = [
        np.where(shown(move) > 0.5, 1, 0).astype(np.float32) for move in (Similarity(1, 0, 0, 0), MOVES[0])
    ]
    aligned, _ = align(steep)
    assert aligned[1].min() >= 0
    assert aligned[1].max() <= 1


def test_a_frame_that_lies_as_the_first_is_left_untouched() -> None:
    frame = as_type(shown(Similarity(1, 0, 0, 0)), np.uint8)
    same = frame.copy()
    aligned, found = align([frame, same])
    assert aligned[1] is same
    assert found[1].displacement(HEIGHT, WIDTH) < 0.05


def test_the_same_frames_give_the_same_numbers() -> None:
    far = Similarity(0.9, 6.0, 40.0, -25.0)
    frames = [as_type(shown(move), np.uint8) for move in (Similarity(1, 0, 0, 0), far)]
    cv2.setRNGSeed(5)
    once = estimate(*frames)
    cv2.setRNGSeed(7)
    assert estimate(*frames) == once
    assert corner_error(once, far) < 0.3


def test_large_moves_are_found_by_features() -> None:
    rng = np.random.Generator(np.random.Philox(key=3))
    first = as_type(shown(Similarity(1, 0, 0, 0)), np.uint8)
    for _ in range(4):
        center = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
        turned = Similarity(rng.uniform(0.85, 1.2), rng.uniform(-9, 9), 0.0, 0.0)
        shift = center + rng.uniform(-30, 30, 2) - turned.matrix[:, :2] @ center
        move = Similarity(turned.scale, turned.angle, *shift)
        assert corner_error(estimate(first, as_type(shown(move), np.uint8)), move) < 0.3


@pytest.mark.slow
def test_twelve_megapixels_are_registered_and_checked_quickly() -> None:
    large = cv2.resize(texture(1000, 1333), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    move = Similarity(1.01, 0.3, -20.0, 31.0)
    inverse = np.linalg.inv(np.vstack([move.matrix, [0, 0, 1]]))[:2]
    moved = cv2.warpAffine(large, inverse, (4000, 3000), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    frames = [as_type(frame, np.uint8) for frame in (large, moved)]
    assert corner_error(estimate(*frames), move, 3000, 4000) < 0.5
    start = time.perf_counter()
    (_, found) = looks_unaligned(frames)
    assert time.perf_counter() - start < 1
    assert found == pytest.approx(move.displacement(3000, 4000), abs=1)


# --- What is refused --------------------------------------------------------------------------------


def test_frames_of_another_scene_are_refused() -> None:
    frames = [as_type(texture(HEIGHT, WIDTH, key), np.uint8) for key in (1, 1, 2)]
    with pytest.raises(AlignmentError, match=r"frame 3 does not match") as caught:
        align(frames)
    assert caught.value.hint


@pytest.mark.parametrize("plain", ["flat", "slope", "faint noise"])
def test_frames_without_texture_are_refused(plain: str) -> None:
    rng = np.random.Generator(np.random.Philox(key=2))
    blank = {
        "flat": np.full((HEIGHT, WIDTH), 128.0),
        "slope": np.linspace(20, 220, WIDTH)[None].repeat(HEIGHT, 0),
        "faint noise": 128 + rng.standard_normal((HEIGHT, WIDTH)),
    }[plain].astype(np.uint8)
    textured = as_type(shown(MOVES[0])[..., 0], np.uint8)
    for frames in ([blank, textured], [textured, blank], [blank, blank.copy()]):
        with pytest.raises(AlignmentError, match="too little texture"):
            estimate(*frames)
        assert math.isnan(looks_unaligned(frames)[1])


def test_a_move_that_no_stack_has_is_refused() -> None:
    frames = [as_type(shown(move), np.uint8) for move in (Similarity(1, 0, 0, 0), Similarity(1, 14, 60, -20))]
    with pytest.raises(AlignmentError, match=r"only matches the first when .* rotated by 14"):
        estimate(*frames)


def test_frames_that_are_not_finite_are_refused() -> None:
    frame = shown(MOVES[0])
    broken = np.full_like(frame, np.nan)
    with pytest.raises(AlignmentError):
        estimate(frame, broken)
    assert math.isnan(looks_unaligned([frame, broken])[1])


@pytest.mark.parametrize("other", ["size", "dtype", "channels"])
def test_frames_of_different_kinds_are_refused(other: str) -> None:
    frame = as_type(shown(MOVES[0]), np.uint8)
    second = {"size": frame[:-1], "dtype": frame.astype(np.uint16), "channels": frame[..., 0]}[other]
    for function in (align, looks_unaligned, lambda frames: estimate(*frames)):
        with pytest.raises(FrameError, match="the same kind"):
            function([frame, second])


def test_frames_of_odd_kinds_are_refused() -> None:
    for frame in (np.zeros((50, 60, 4), np.uint8), np.zeros((50, 60), np.int32), np.zeros(50, np.uint8)):
        with pytest.raises(FrameError, match="cannot align"):
            align([frame, frame])
    with pytest.raises(FrameError, match="too small"):
        align([np.zeros((20, 60), np.uint8)] * 2)
    with pytest.raises(FrameError):
        align([])


# --- The warning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [1.0, 3.0, 5.0])
def test_aligned_frames_raise_no_alarm(sigma: float) -> None:
    rng = np.random.Generator(np.random.Philox(key=6))
    for key in range(3):
        sharp = texture(HEIGHT, WIDTH, key)
        noisy = [
            as_type(half_blurred(sharp, side, sigma) + 0.02 * rng.standard_normal(sharp.shape), np.uint8)
            for side in ("left", "right")
        ]
        assert max(looks_unaligned(noisy)) < UNALIGNED / 2


@pytest.mark.parametrize("move", MOVES)
def test_moved_frames_raise_the_alarm(move: Similarity) -> None:
    first = half_blurred(shown(Similarity(1, 0, 0, 0)), "left", 3)
    found = looks_unaligned([as_type(frame, np.uint8) for frame in (first, first, shown(move))])
    assert found[0] == 0
    assert found[1] < 0.05
    assert found[2] == pytest.approx(move.displacement(HEIGHT, WIDTH), abs=0.5)
    assert found[2] > UNALIGNED


def test_frames_of_another_scene_raise_no_alarm() -> None:
    assert math.isnan(looks_unaligned([texture(HEIGHT, WIDTH, key) for key in (1, 2)])[1])


def test_real_aligned_pairs_raise_no_alarm() -> None:
    firsts = sorted((SHARED / "lytro").glob("lytro-[0-9][0-9]-A.jpg"))
    if not firsts:
        pytest.skip("the Lytro pairs are not beside this checkout")
    for first in firsts:
        second = first.with_name(first.name.replace("-A", "-B"))
        frames = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in (first, second)]
        assert looks_unaligned(frames)[1] < UNALIGNED, first.name


def test_real_pictures_blurred_in_halves_are_registered(shared_coco: Path) -> None:
    errors = []
    for path in sorted((shared_coco / "train2017").glob("*.jpg"))[:6]:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB).astype(np.float32) / 255
        height, width = picture.shape[:2]
        for move in MOVES[::3]:
            inverse = np.linalg.inv(np.vstack([move.matrix, [0, 0, 1]]))[:2]
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(picture, inverse, (width, height), flags=flags)
            first, second = half_blurred(picture, "left", 3), half_blurred(moved, "right", 3)
            found = estimate(as_type(first, np.uint8), as_type(second, np.uint8))
            errors.append(corner_error(found, move, height, width))
    assert np.median(errors) < 0.15
    assert max(errors) < 1
