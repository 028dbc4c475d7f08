"""Stacks of many frames, against the similarities that they were drawn with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from zoo.alignment.align import align
from zoo.alignment.chain import Registration, register
from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.errors import AlignmentError, FrameError

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
from handheld import Hand, Handheld, corner_error, taken

HEIGHT, WIDTH = 180, 240


def texture(key: int = 1) -> np.ndarray:
    """Grains of several sizes with discs, float32 in [0, 1]."""
    random = np.random.default_rng(key)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for grain in (2, 5, 12, 30):
        noise = random.standard_normal((HEIGHT // grain + 3, WIDTH // grain + 3, 3), np.float32)
        picture += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(0.5 + 0.12 * picture, 0, 1)
    for _ in range(25):
        center = int(random.integers(WIDTH)), int(random.integers(HEIGHT))
        color = tuple(map(float, random.random(3)))
        cv2.circle(picture, center, int(random.integers(4, 16)), color, -1, cv2.LINE_AA)
    return picture


def focused(picture: np.ndarray, frames: int, blur: float) -> list[np.ndarray]:
    """A tilted plane, focused from top to bottom: light spread by a sigma of up to `blur` pixels."""
    depth = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None].repeat(WIDTH, 1)
    sigmas = np.linspace(0, blur, 9)
    sources = []
    for focus in np.linspace(0, 1, frames):
        places = np.abs(depth - focus) * (len(sigmas) - 1)
        light = share = np.float32(0)
        for number, sigma in enumerate(sigmas):
            part = np.clip(1 - np.abs(places - number), 0, 1)
            spread = [
                cv2.GaussianBlur(each, (0, 0), sigma) if sigma else each for each in (picture * part, part)
            ]
            light, share = light + spread[0], share + spread[1].reshape(HEIGHT, WIDTH, 1)
        sources.append(np.clip(np.rint(255 * light / np.maximum(share, 1e-3)), 0, 255).astype(np.uint8))
    return sources


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return texture()


def drawn(
    scene: np.ndarray, frames: int, blur: float = 4.0, hand: Hand | None = None, seed: int = 0
) -> Handheld:
    return taken(focused(scene, frames, blur), np.rint(255 * scene).astype(np.uint8), hand, seed)


def errors(found: Registration, stack: Handheld, first: int = 0) -> list[float]:
    size = stack.frames[0].shape[:2]
    return [
        corner_error(move, stack.moves[place].relative_to(stack.moves[first]), *size)
        for place, move in found.moves.items()
    ]


def test_thirty_hand_held_frames_are_placed_to_a_fraction_of_a_pixel(scene: np.ndarray) -> None:
    stack = drawn(scene, 30)
    assert max(move.displacement(*stack.frames[0].shape[:2]) for move in stack.moves) > 5
    steps = []
    found = register(stack.frames, progress=lambda *step: steps.append(step))
    assert list(found.moves) == list(range(30))
    assert found.moves[0] == IDENTITY
    assert not found.failed
    assert max(errors(found, stack)) < 0.15
    assert found.drift < 1
    assert steps == sorted(steps)
    assert steps[-1] == (60, 60)


@pytest.mark.parametrize("stops", [-1.0, 1.0])
def test_exposure_and_noise_hardly_matter(scene: np.ndarray, stops: float) -> None:
    stack = drawn(scene, 8, hand=Hand(stops=stops, noise=0.04))
    assert max(errors(register(stack.frames), stack)) < 0.2


def test_a_deep_stack_whose_ends_share_nothing_sharp_is_placed(scene: np.ndarray) -> None:
    stack = drawn(scene, 12, blur=16)
    ends = register([stack.frames[0], stack.frames[-1]])
    assert ends.failed or corner_error(ends.moves[1], stack.moves[-1], *stack.frames[0].shape[:2]) > 1
    found = register(stack.frames)
    assert len(found.moves) == 12
    assert max(errors(found, stack)) < 0.6


@pytest.mark.parametrize("bad", [0, 3, 7])
@pytest.mark.parametrize("kind", ["scene", "blank"])
def test_a_bad_frame_is_named_and_the_others_are_placed(scene: np.ndarray, bad: int, kind: str) -> None:
    stack = drawn(scene, 8)
    other = np.full_like(stack.frames[0], 90)
    if kind == "scene":
        other = np.rint(255 * texture(9)).astype(np.uint8)[: other.shape[0], : other.shape[1]]
    frames = [*stack.frames]
    frames[bad] = other
    found = register(frames)
    assert list(found.failed) == [bad]
    assert {"scene": "does not match", "blank": "too little texture"}[kind] in found.failed[bad]
    first = int(bad == 0)
    assert list(found.moves) == [place for place in range(8) if place != bad]
    assert found.moves[first] == IDENTITY
    assert max(errors(found, stack, first)) < 0.3


def test_of_two_scenes_the_larger_stays(scene: np.ndarray) -> None:
    short, long = drawn(texture(5), 3), drawn(scene, 5)
    found = register([*short.frames, *long.frames])
    assert set(found.failed) == {0, 1, 2}
    assert all("match" in why for why in found.failed.values())


def test_frames_in_any_order_are_placed(scene: np.ndarray) -> None:
    stack = drawn(scene, 8)
    order = [5, 0, 7, 2, 4, 1, 6, 3]
    found = register([stack.frames[place] for place in order])
    size = stack.frames[0].shape[:2]
    for place, move in found.moves.items():
        assert corner_error(move, stack.moves[order[place]].relative_to(stack.moves[5]), *size) < 0.4


def test_the_same_stack_gives_the_same_numbers(scene: np.ndarray) -> None:
    frames = drawn(scene, 5).frames
    once = register(frames)
    cv2.setRNGSeed(99)
    assert register(frames) == once


def test_frames_are_asked_for_a_few_times_each(scene: np.ndarray) -> None:
    @dataclass
    class Frames(list):
        asked: int = 0

        def __getitem__(self, place):
            self.asked += 1
            return super().__getitem__(place)

    frames = Frames()
    frames.extend(drawn(scene, 12).frames)
    register(frames)
    assert frames.asked <= 3 * len(frames)


def test_a_single_frame_and_frames_that_match_nothing(scene: np.ndarray) -> None:
    frame = np.rint(255 * scene).astype(np.uint8)
    assert register([frame]).moves == {0: IDENTITY}
    lone = register([frame, np.zeros_like(frame)])
    assert lone.moves == {0: IDENTITY}
    assert list(lone.failed) == [1]
    with pytest.raises(AlignmentError, match="frame 2 has too little texture"):
        align([frame, np.zeros_like(frame)])
    with pytest.raises(FrameError, match="no frames"):
        register([])


def test_what_a_frame_does_not_show_is_as_in_the_first(scene: np.ndarray) -> None:
    stack = drawn(scene, 2, hand=Hand(breathing=0, shift=0.05, turn=0, stops=0, flicker=0, noise=0))
    (first, second), (_, move) = align(stack.frames)
    outside = np.zeros(first.shape[:2], bool)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]]
    outside |= (
        (x + move.dx < -1) | (x + move.dx > first.shape[1]) | (y + move.dy < -1) | (y + move.dy > len(y))
    )
    assert outside.mean() > 0.02
    assert np.array_equal(second[outside], first[outside])


def test_similarities_compose() -> None:
    one, other = Similarity(1.1, 3.0, 5.0, -2.0), Similarity(0.9, -8.0, 1.0, 4.0)
    point = np.array([12.0, 7.0, 1.0])
    through = one.matrix @ np.array([*(other.matrix @ point), 1.0])
    assert np.allclose(one.after(other).matrix @ point, through)
    assert np.allclose(one.after(other).relative_to(other).matrix, one.matrix)
