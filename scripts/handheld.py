"""A stack of frames as a hand-held camera takes it, made from one picture that is sharp everywhere.

mfsynth's optics render what the lens makes of the scene, focused from far to near. `taken` does the rest: the
camera moves and turns, its lens breathes, exposure and white balance drift, and the sensor adds noise. Where
each frame lies relative to the first is known exactly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import numpy as np

import mfsynth
from mfsynth.synthesis.optics.light import picture_of, values_of
from zoo.alignment.similarity import IDENTITY, Similarity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import Picture


@dataclass(frozen=True, slots=True)
class Hand:
    """How much a hand-held camera does to a stack; each is reached at its end or somewhere on the way.

    Args:
        breathing: By which fraction the scale falls from the first frame to the last.
        shift: The farthest from the first frame, as a fraction of the width.
        turn: The same, in degrees.
        stops: By which exposure rises from the first frame to the last.
        flicker: Standard deviation of every frame's exposure about that, in stops.
        balance: By which fraction red rises and blue falls from the first frame to the last.
        noise: Standard deviation of the shot noise at full white, as a fraction of it.
        margin: Of the source picture around the first frame, as a fraction of its sides.
    """

    breathing: float = 0.05
    shift: float = 0.015
    turn: float = 1.0
    stops: float = -0.3
    flicker: float = 0.03
    balance: float = 0.0
    noise: float = 0.02
    margin: float = 0.06


STILL = Hand(0, 0, 0, 0, 0, 0, 0)
"""A camera on a tripod, with a perfect lens."""


@dataclass(frozen=True, slots=True, eq=False)
class Handheld:
    """A stack with its truth.

    Attributes:
        frames: H x W x 3, uint8, RGB.
        sharp: What the first frame would show if it were sharp everywhere; like a frame.
        moves: Where each frame lies relative to the first.
        gains: By which each frame's linear light is multiplied, frames x 3; ones for the first.
    """

    frames: Sequence[Picture]
    sharp: Picture
    moves: Sequence[Similarity]
    gains: NDArray[np.float64]


def taken(sources: Sequence[Picture], sharp: Picture, hand: Hand | None = None, seed: int = 0) -> Handheld:
    """Frames of one scene, all exactly aligned, as a hand-held camera takes them.

    Args:
        sources: One for each frame, H x W x 3, uint8, RGB.
        sharp: The scene, sharp everywhere; like a source.
        hand: What the camera does.
        seed: Of every draw.

    Returns:
        Smaller pictures: a margin around the first frame is what moved frames show beyond it.
    """
    hand = hand or Hand()
    random = np.random.default_rng(seed)
    height, width = sharp.shape[:2]
    top, left = round(hand.margin * height), round(hand.margin * width)
    size = (width - 2 * left, height - 2 * top)
    moves = _moves(hand, len(sources), size, random)
    gains = _gains(hand, len(sources), random)
    frames = []
    for source, move, gain in zip(sources, moves, gains, strict=True):
        light = _seen(values_of(source, "linear"), move, (left, top), size) * gain
        light += hand.noise * np.sqrt(light.clip(0, 1)) * random.standard_normal(light.shape)
        frames.append(picture_of(light.astype(np.float32), "linear"))
    return Handheld(frames, sharp[top : height - top, left : width - left], moves, gains)


def _seen(
    light: NDArray[np.float32], move: Similarity, corner: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float32]:
    """What a moved camera shows of a source, of which the first frame begins at a corner."""
    if move == IDENTITY:
        return light[corner[1] :, corner[0] :][: size[1], : size[0]]
    matrix = cv2.invertAffineTransform(move.matrix) + np.array([[0, 0, corner[0]], [0, 0, corner[1]]])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(light, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return seen.clip(0, 1)  # type: ignore[return-value]


def _moves(hand: Hand, number: int, size: tuple[int, int], random: np.random.Generator) -> list[Similarity]:
    """A random walk of shift and rotation about the center, and a steady change of scale."""
    shift = hand.shift * size[0] * _walk(number, 2, random)
    angle = hand.turn * _walk(number, 1, random)[:, 0]
    scale = 1 - hand.breathing * np.linspace(0, 1, number)
    center = (np.array(size) - 1) / 2
    moves = []
    for k in range(number):
        turned = Similarity(float(scale[k]), float(angle[k]), 0.0, 0.0).matrix[:, :2]
        moves.append(
            Similarity(float(scale[k]), float(angle[k]), *map(float, center + shift[k] - turned @ center))
        )
    return moves


def _walk(number: int, axes: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A random walk from zero whose farthest point is at 1; number x axes."""
    steps = random.standard_normal((number, axes))
    steps[0] = 0
    walk = steps.cumsum(axis=0)
    return walk / np.linalg.norm(walk, axis=1).max()  # type: ignore[no-any-return]


def _gains(hand: Hand, number: int, random: np.random.Generator) -> NDArray[np.float64]:
    """By which each frame's linear light is multiplied, number x 3."""
    way = np.linspace(0, 1, number)
    flicker = hand.flicker * random.standard_normal(number)
    flicker[0] = 0
    stops = hand.stops * way + flicker
    return 2.0 ** stops[:, None] * (1 + hand.balance * way[:, None] * np.array([1, 0, -1]))


# --- A scene of COCO --------------------------------------------------------------------------------


def focused(
    coco: Path, split: str, image: int, frames: int, radius: float
) -> tuple[tuple[Picture, ...], Picture]:
    """A picture of COCO as a lens shows it that is focused from far to near, and the picture itself.

    The ground is a tilted plane, on which the things of the picture's masks stand upright.

    Args:
        coco: Folder with the split and its panoptic annotations.
        split: Such as `val2017`.
        image: Id of the picture.
        frames: 2 to 32.
        radius: Of the blur between the farthest and the nearest plane, in pixels.
    """
    with TemporaryDirectory() as folder:
        depth = standing(coco, split, image)
        cv2.imwrite(str(Path(folder) / f"{image:012d}.png"), (depth * 65535).astype(np.uint16))
        stream = mfsynth.synthesize(
            coco, split, preset="realistic", images=[image], frames=frames, planes=max(frames, 24),
            radius=(radius, radius), capture="clean", depth_maps=folder,
        )  # fmt: skip
        sample = next(iter(stream))
    return sample.frames, sample.gt


def standing(coco: Path, split: str, image: int) -> NDArray[np.float64]:
    """Inverse depth of a tilted ground with things standing on it, H x W, 0 (far) to 1 (near)."""
    document = json.loads((coco / "annotations" / f"panoptic_{split}.json").read_text("utf-8"))
    things = {each["id"] for each in document["categories"] if each["isthing"]}
    record = next(each for each in document["annotations"] if each["image_id"] == image)
    colors = cv2.imread(str(coco / f"panoptic_{split}" / record["file_name"])).astype(np.int64)
    ids = colors @ [65536, 256, 1]
    height, width = ids.shape
    depth = np.repeat(np.linspace(0, 1, height)[:, None], width, axis=1)
    for segment in record["segments_info"]:
        if segment["category_id"] in things:
            mask = ids == segment["id"]
            depth[mask] = np.flatnonzero(mask.any(axis=1))[-1] / (height - 1)
    return depth


# --- How well it was registered ---------------------------------------------------------------------


def corner_error(found: Similarity, truth: Similarity, height: int, width: int) -> float:
    """The largest distance between where two moves see a corner of the first frame, in pixels."""
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
    return float(np.linalg.norm(corners @ (found.matrix - truth.matrix).T, axis=1).max())
