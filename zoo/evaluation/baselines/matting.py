"""Image matting (IM): S. Li, X. Kang, J. Hu, B. Yang, "Image matting for fusion of multi-focus images in
dynamic scenes", Information Fusion 14 (2013) 147-162.

The sharpness of a pixel is its top-hat or bottom-hat by a disc of radius 2, whichever is larger. The region
where a frame is sharper than all others is filtered by a median, shrunk, and filtered again; what remains is
certainly in focus, and so is every pixel that is sharper by half the range. What is certain for only one
frame makes a trimap. Its matte in the colors of the frame is the frame's weight; the last frame gets the
rest.

The settings are those of the authors' program. Like it, this solves closed-form matting (A. Levin, D.
Lischinski, Y. Weiss, IEEE TPAMI 30 (2008) 228-242); the paper describes another matting, whose choice the
authors call unimportant. Departures:

- The linear system is that of the program, with known pixels weighted by 100, but PyMatting solves it at full
  size by conjugate gradients with a multigrid preconditioner; the program goes from coarse to fine.
- Regions shrink by five erosions. The program skeletonizes five times, which leaves thin branches that its
  second median removes. Here the border of the picture is not an edge of a region.
- With more than two frames, the sum of the mattes, which are found one by one, can exceed 1; here they are
  divided by their sum.
- Without any certain pixel there is no matte to solve, and the last frame is taken.

Matting needs about 400 bytes per pixel. PyMatting compiles for about a minute when it is first imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mfsynth.errors import MissingExtraError
from zoo.evaluation.baselines.pixels import Floats, Frame, luma, mixed, unit, white
from zoo.fusing.fuse_frames import Fused, check_frames

Mask: TypeAlias = NDArray[np.bool_]

_DISC = np.array([[x * x + y * y <= 4 for x in range(-2, 3)] for y in range(-2, 3)], np.uint8)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
_SHRINK = 5
_MEDIAN = 8
_CLEAR = 127 / 255
_UNKNOWN = 0.5
_CERTAINTY = 100.0


class Matting:
    """Image matting fusion.

    Raises:
        MissingExtraError: If PyMatting is not installed.
    """

    def __init__(self) -> None:
        self._solve = _solver()

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        The decision is the frame with the largest weight, the confidence is this weight.

        Raises:
            FrameError: If the frames cannot be fused.
        """
        frames = check_frames(frames)
        weights = self._weights(frames)
        decision = weights.argmax(0).astype(np.uint8)
        return Fused(mixed(frames, weights), decision, weights.max(0).astype(np.float16))

    def _weights(self, frames: Sequence[Frame]) -> Floats:
        """The weights of each frame, n x H x W; their sum is 1."""
        regions = _regions(frames)
        mattes = [self._matte(frame, _trimap(regions, number)) for number, frame in enumerate(frames[:-1])]
        rest = np.maximum(1 - np.sum(mattes, axis=0), 0)
        weights = np.stack([*mattes, rest])
        total: Floats = weights.sum(0)
        return weights / total

    def _matte(self, frame: Frame, trimap: Floats) -> Floats:
        certain = np.unique(trimap[trimap != _UNKNOWN])
        if len(certain) < 2:  # a matte that is constant where it is known is constant everywhere
            return np.full_like(trimap, certain.item() if len(certain) else 0)
        colors = unit(frame if frame.ndim == 3 else np.stack([frame] * 3, 2))
        return self._solve(colors, trimap)


def _regions(frames: Sequence[Frame]) -> list[Mask]:
    """Where each frame is certainly in focus."""
    sharpness = np.stack([_sharpness(luma(frame)) for frame in frames])
    lead = [
        own - np.delete(sharpness, number, 0).max(0)  # by how much a frame is sharper than all others
        for number, own in enumerate(sharpness)
    ]
    return [_core(ahead > 0) | (ahead > _CLEAR * white(frames[0])) for ahead in lead]


def _sharpness(gray: Floats) -> Floats:
    """The larger of top-hat and bottom-hat."""
    hats = (cv2.morphologyEx(gray, kind, _DISC) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    return np.maximum(*hats)


def _core(region: Mask) -> Mask:
    """The region without specks, holes and its outer rim."""
    shrunken = cv2.erode(_median(region).astype(np.uint8), _CROSS, iterations=_SHRINK)
    return _median(shrunken > 0)


def _median(region: Mask) -> Mask:
    """Whether the region has more than half of a window around each pixel, placed as in MATLAB."""
    around, before = (_MEDIAN, _MEDIAN), (_MEDIAN // 2 - 1, _MEDIAN // 2 - 1)
    mask = region.astype(np.float32)
    counts = cv2.boxFilter(mask, -1, around, None, before, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(counts > _MEDIAN**2 // 2)


def _trimap(regions: Sequence[Mask], number: int) -> Floats:
    """1 where only this frame is in focus, 0 where only others are, 1/2 where that is unknown."""
    others = np.any([region for place, region in enumerate(regions) if place != number], axis=0)
    return np.where(regions[number] == others, _UNKNOWN, regions[number].astype(np.float64))


def _solver() -> Callable[[Floats, Floats], Floats]:
    try:
        from pymatting import cf_laplacian, cg, make_linear_system, vcycle
    except ModuleNotFoundError as error:
        raise MissingExtraError("PyMatting", "evaluate") from error

    def solve(colors: Floats, trimap: Floats) -> Floats:
        """The matte, by multigrid: incomplete factorization fails or takes minutes where much is unknown."""
        matrix, target = make_linear_system(cf_laplacian(colors), trimap, lambda_value=_CERTAINTY)
        matte: Floats = cg(matrix, target, M=vcycle(matrix, trimap.shape))
        return matte.reshape(trimap.shape).clip(0, 1)

    return solve
