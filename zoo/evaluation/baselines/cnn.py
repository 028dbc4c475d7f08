"""A network on patches (CNN): Y. Liu, X. Chen, H. Peng, Z. Wang, "Multi-focus image fusion with a deep
convolutional neural network", Information Fusion 36 (2017) 191-207.

For each patch of 16 x 16 pixels, one every 2 pixels, a network says which frame is sharp there. A pixel gets
the mean of all patches that cover it, and belongs to the frame with the larger mean. Regions smaller than 1%
of the picture go to the other frame. A guided filter, with the picture so far as its guide, smooths the
regions into weights.

Departures:

- The network (`zoo.networks.siamese`) is trained by us on our pairs, pixel by pixel, instead of on blurred
  ImageNet patches. It is the authors' light model, antisymmetrized: swapping two frames negates every score
  exactly.
- Patches end at the border of the picture; odd sides are extended by one mirrored pixel.
- Frames are taken in an order that their content determines, so that the order of the input does not change
  a bit, neither in ties nor in which frame's small regions go first.
- More than two frames are compared at once, where the authors fuse one after the other: a patch's score is
  the softmax of the frames' sharpness, and the pixels of a small region go to the next best frame.

The network runs on the CPU in windows of 256 x 256 patches, which takes about 300 MB; everything else takes
about 100 bytes per pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.evaluation.baselines.pixels import Floats, Frame, guided, luma, mixed, picked, unit, white
from zoo.fusing.fuse_frames import Fused, canonical_order, check_frames, tiles
from zoo.networks.shapes import PATCH, STRIDE
from zoo.networks.siamese import Siamese

Numbers: TypeAlias = NDArray[np.uint8]

_CELLS = PATCH // STRIDE
_WINDOW = 256
_MARGIN = 4  # pixels around a patch that the convolutions see


@dataclass(frozen=True, slots=True)
class Cnn:
    """Fusion by Liu's network.

    Attributes:
        smallest: Area of the smallest region that stays, as a share of the picture's area.
        radius: Of the guided filter.
        epsilon: Regularization of the guided filter.
    """

    smallest: float = 0.01
    radius: int = 8
    epsilon: float = 0.1

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        The decision is the frame with the largest weight, the confidence is this weight.

        Raises:
            FrameError: If the frames cannot be fused.
            ZooError: If the network's files are missing or damaged.
        """
        frames = check_frames(frames)
        order = canonical_order(frames)
        ordered = [frames[place] for place in order]
        weights = self._weights(ordered, self._decision(ordered))
        decision = np.array(order, np.uint8)[weights.argmax(0)]
        return Fused(mixed(ordered, weights), decision, weights.max(0).astype(np.float16))

    def _decision(self, frames: Sequence[Frame]) -> Numbers:
        """The frame that each pixel belongs to, H x W."""
        height, width = frames[0].shape[:2]
        cells = _cleaned(_focus(frames), self.smallest)
        return cells.repeat(STRIDE, 0).repeat(STRIDE, 1)[:height, :width]

    def _weights(self, frames: Sequence[Frame], decision: Numbers) -> Floats:
        """The weights of each frame, n x H x W; their sum is 1."""
        guide = luma(picked(frames, decision)) / white(frames[0])
        masks = [(decision == number).astype(np.float64) for number in range(len(frames))]
        weights = np.stack([guided(guide, mask, self.radius, self.epsilon) for mask in masks]).clip(0, 1)
        total: Floats = weights.sum(0)
        return weights / total


def _focus(frames: Sequence[Frame]) -> Floats:
    """How likely each frame is sharp, for cells of 2 x 2 pixels: n x ceil(H / 2) x ceil(W / 2)."""
    scores = torch.softmax(torch.stack([_sharpness(frame) for frame in frames]), 0)
    return np.stack([_spread(score.numpy().astype(np.float64)) for score in scores])


@torch.inference_mode()
def _sharpness(frame: Frame) -> Tensor:
    """The sharpness of each patch by the network, (ceil(H / 2) - 7) x (ceil(W / 2) - 7)."""
    network = _network()
    height, width = (-(-side // STRIDE) - _CELLS + 1 for side in frame.shape[:2])
    sharpness = torch.empty(height, width)
    for window in tiles(height, width, _WINDOW):
        (rows, inner_rows), (columns, inner_columns) = (_seen(patches) for patches in window)
        scores = network.sharpness(_tensor(frame[rows, columns]))
        sharpness[window] = scores[0, 0, inner_rows, inner_columns]
    return sharpness


def _seen(patches: slice) -> tuple[slice, slice]:
    """The pixels that patches depend on, and the positions of the patches among all those of the pixels."""
    start = max(0, STRIDE * patches.start - _MARGIN)
    first = patches.start - start // STRIDE
    stop = STRIDE * (patches.stop - 1) + PATCH + _MARGIN
    return slice(start, stop), slice(first, first + patches.stop - patches.start)


def _tensor(frame: Frame) -> Tensor:
    """1 x 3 x H x W, float32 in [0, 1]."""
    values = torch.from_numpy(unit(frame).astype(np.float32))
    return (values.permute(2, 0, 1) if values.ndim == 3 else values.expand(3, *values.shape))[None]


def _spread(patches: Floats) -> Floats:
    """The mean of the patches that cover each cell."""
    return _covering(patches) / _covering(np.ones_like(patches))


def _covering(patches: Floats) -> Floats:
    """The sum of the patches that cover each cell: those that begin there, or up to 7 cells before it."""
    around = np.pad(patches, (0, _CELLS - 1))
    window, last = (_CELLS, _CELLS), (_CELLS - 1, _CELLS - 1)
    sums = cv2.boxFilter(around, -1, window, None, last, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(sums, np.float64)


def _cleaned(focus: Floats, smallest: float) -> Numbers:
    """The frame of each cell; cells in small regions go to the best of the other frames."""
    decision = _best(focus)
    for number in range(len(focus)):
        others = focus.copy()
        others[number] = -1
        small = _small(decision == number, smallest * decision.size)
        decision = np.where(small, _best(others), decision)
    return decision


def _best(focus: Floats) -> Numbers:
    best: Numbers = focus.argmax(0).astype(np.uint8)
    return best


def _small(mask: NDArray[np.bool_], area: float) -> NDArray[np.bool_]:
    """The part of a mask in regions below an area; cells that touch at a corner belong to one region."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    below = statistics[:, cv2.CC_STAT_AREA] < area
    return np.asarray(below[labels] & mask)


@cache
def _network() -> Siamese:
    from zoo.loading import load

    return cast("Siamese", load("cnn", device="cpu").body)
