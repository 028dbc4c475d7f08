"""Guided filtering: S. Li, X. Kang, J. Hu, "Image fusion with guided filtering", IEEE Transactions on Image
Processing 22 (2013) 2864-2875.

Each frame is split into a base (the 31 x 31 mean) and the remaining detail. A frame's weight is 1 where its
smoothed absolute Laplacian is the largest, and 0 elsewhere. Guided by the frame, the weights are smoothed
widely for the base and narrowly for the detail, and both are mixed with them.

These settings, borders and rounding reproduce the fused Lytro pictures that the authors published, nearly
all bit for bit: the Laplacian has four neighbors, the Gaussian 11 x 11 taps of sigma 5, gray is MATLAB's
rgb2gray in whole levels, weights are rounded to 255ths, and filters repeat the pixels of the border, where
only the windows of the guided filter are cut off. There are no departures; pictures of 16 bits and of floats
are treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from zoo.evaluation.baselines.pixels import Floats, Frame, guided, like, luma, over, unit, white
from zoo.fusing.fuse_frames import Fused, check_frames

_LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float64)
_GAUSSIAN = cv2.getGaussianKernel(11, 5)
_BASE = (31, 31)
_BORDER = cv2.BORDER_REPLICATE


@dataclass(frozen=True, slots=True)
class Gff:
    """Guided filtering fusion.

    Attributes:
        base: Radius and regularization of the guided filter, for the weights of the base.
        detail: The same for the weights of the detail.
    """

    base: tuple[int, float] = (45, 0.3)
    detail: tuple[int, float] = (7, 1e-6)

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        frames = check_frames(frames)
        guides = [luma(frame) / white(frame) for frame in frames]
        sharpest = np.stack([_saliency(guide) for guide in guides]).argmax(0)
        masks = [(sharpest == number).astype(np.float64) for number in range(len(frames))]
        base, detail = (_weights(guides, masks, *settings) for settings in (self.base, self.detail))
        total = np.zeros(frames[0].shape)
        for frame, coarse, fine in zip(frames, base, detail, strict=True):
            picture = unit(frame)
            smooth = cv2.blur(picture, _BASE, borderType=_BORDER)
            total += over(coarse, frame) * smooth + over(fine, frame) * (picture - smooth)
        return Fused(like(total, frames[0]), None, None)


def _saliency(gray: Floats) -> Floats:
    """The absolute Laplacian, smoothed."""
    edges = np.abs(cv2.filter2D(gray, -1, _LAPLACIAN, borderType=_BORDER))
    return np.asarray(cv2.sepFilter2D(edges, -1, _GAUSSIAN, _GAUSSIAN, borderType=_BORDER))


def _weights(guides: Sequence[Floats], masks: Sequence[Floats], radius: int, epsilon: float) -> Floats:
    """The weights of each frame, n x H x W; their sum is 1."""
    pairs = zip(guides, masks, strict=True)
    weights = np.stack([guided(guide, mask, radius, epsilon) for guide, mask in pairs])
    weights = np.floor(weights.clip(0, 1) * 255 + 0.5) / 255 + 1e-12  # the authors', so that no sum is 0
    total: Floats = weights.sum(0)
    return weights / total
