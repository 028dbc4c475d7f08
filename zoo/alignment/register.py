"""Registering the frames of a focus stack to the first, by a similarity: shift, scale and small rotation.

Refocusing a lens changes its magnification a little, and a hand-held camera moves. Gauss-Newton finds how,
coarse to fine, on pictures whose local contrast is equalized: blur is symmetric, so it does not move an edge,
and with equal contrast it hardly changes the weight of an edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.alignment.similarity import IDENTITY, Similarity
from zoo.errors import AlignmentError, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Frame = NDArray[Any]
    GrayImage = NDArray[np.float32]
    Matrix = NDArray[np.float64]

SCALES = (0.8, 1.25)
"""The range of plausible magnifications between two frames of one stack."""

MAX_ANGLE = 10.0
"""The largest plausible rotation between two frames, in degrees."""

UNTOUCHED = 0.05
"""A frame whose corners move by less than this many pixels stays unchanged."""

# Aligned pairs, with half of each frame blurred by a sigma of up to 5 and with noise, all stay below 0.5.
UNALIGNED = 2.0
"""Frames that move by more than this many pixels, by `looks_unaligned`, deserve a warning."""

MIN_SIDE = 32
"""The shortest side of frames that can be registered, in pixels."""

_PIXELS = 1_000_000
_QUICK_PIXELS = 250_000
_LEVELS = (8, 4, 2, 1)
_DTYPES = {np.dtype(np.uint8): 1.0, np.dtype(np.uint16): 1 / 257, np.dtype(np.float32): 255.0}

# Frames of one scene reach 0.8 and more, frames of different scenes less than 0.1.
_MIN_LIKENESS = 0.5
# Mean square of an equalized picture: near 1 with texture everywhere, 0 without texture.
_MIN_TEXTURE = 0.02

_FEATURES = 2000
_RATIO = 0.75
_MIN_MATCHES = 12
_RANSAC_PIXELS = 2.0

_FINE, _COARSE = 2.0, 8.0
_NOISE = 2.0
_BORDER = 6
_ITERATIONS = 10
_CONVERGED = 1e-3

_HINT = "use frames of one scene from one camera position, or fuse them without alignment"


def align(frames: Sequence[Frame]) -> tuple[list[Frame], list[Similarity]]:
    """Warp every frame onto the first; also return how each one had moved.

    Args:
        frames: One or more, all H x W x 3 or all H x W, of one dtype: uint8, uint16, or float32 in [0, 1].

    Returns:
        Frames of the same shape and dtype, and a similarity for each. The first frame, and every frame that
        is within 0.05 pixels of it, is the array that was given. Where a frame shows nothing, its border
        is mirrored.

    Raises:
        FrameError: If there are no frames, they differ in shape or dtype, or are too small.
        AlignmentError: If a frame cannot be registered reliably; the message counts from 1.
    """
    _check(frames)
    found = [IDENTITY]
    for number, frame in enumerate(frames[1:], 2):
        try:
            found.append(estimate(frames[0], frame))
        except AlignmentError as error:
            raise AlignmentError(f"frame {number}: {error.message}", error.hint) from error
    return [_warped(frame, how) for frame, how in zip(frames, found, strict=True)], found


def estimate(reference: Frame, moving: Frame) -> Similarity:
    """Where a frame is relative to the reference, found on gray pictures of up to a megapixel.

    The search starts from "not moved". If the pictures then do not look alike, it starts again from the
    transform that most matches of SIFT features agree on. A result counts only if the pictures look alike.

    Args:
        reference: H x W x 3 or H x W; uint8, uint16, or float32 in [0, 1].
        moving: Of the same shape and dtype; may be focused differently.

    Raises:
        FrameError: If the frames differ in shape or dtype, or are too small.
        AlignmentError: If there is too little texture, or the pictures do not match, or match only under a
            scale or an angle that no focus stack has.
    """
    _check([reference, moving])
    factor = _factor(reference, _PIXELS)
    first, second = _gray(reference, factor), _gray(moving, factor)
    _check_texture(first, "the first frame")
    _check_texture(second, "the frame")
    for start in _starts(first, second):
        matrix, likeness = _refined(first, second, start)
        if likeness >= _MIN_LIKENESS:
            return _plausible(_similarity(_enlarged(matrix, factor)))
    raise AlignmentError(f"the frame does not match the first (likeness {likeness:.2f} of 1)", _HINT)


def looks_unaligned(frames: Sequence[Frame]) -> list[float]:
    """A quick estimate of each frame's displacement from the first: the largest of its corners, in pixels.

    Meant for a warning above `UNALIGNED`. It detects moves of up to a twentieth of the picture. It is NaN
    where nothing is known (too little texture, or no likeness), so that comparisons do not warn.

    Args:
        frames: As for `align`.

    Raises:
        FrameError: If there are no frames, they differ in shape or dtype, or are too small.
    """
    _check(frames)
    factor = _factor(frames[0], _QUICK_PIXELS)
    first = _gray(frames[0], factor)
    return [0.0, *(_displacement(first, _gray(frame, factor), factor) for frame in frames[1:])]


def _displacement(first: GrayImage, second: GrayImage, factor: int) -> float:
    if not (_textured(first) and _textured(second)):
        return math.nan
    matrix, likeness = _refined(first, second, np.eye(2, 3))
    if likeness < _MIN_LIKENESS:
        return math.nan
    return factor * _similarity(matrix).displacement(*first.shape)


# --- Checks -----------------------------------------------------------------------------------------


def _check(frames: Sequence[Frame]) -> None:
    kinds = {(frame.shape, frame.dtype) for frame in frames}
    if len(kinds) != 1:
        given = ", ".join(sorted(f"{'x'.join(map(str, shape))} {dtype}" for shape, dtype in kinds))
        raise FrameError(
            f"frames to align must have one size and dtype, not {given}" if kinds else "there are no frames",
            "give frames of the same kind",
        )
    ((shape, dtype),) = kinds
    if dtype not in _DTYPES or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
        kind = f"{'x'.join(map(str, shape))} {dtype}"
        raise FrameError(f"cannot align frames of {kind}", "give gray or RGB in uint8, uint16 or float32")
    if min(shape[:2]) < MIN_SIDE:
        size = f"{shape[1]} x {shape[0]}"
        raise FrameError(
            f"frames of {size} pixels are too small to align", f"each side needs at least {MIN_SIDE}"
        )


def _check_texture(picture: GrayImage, name: str) -> None:
    if not _textured(picture):
        raise AlignmentError(f"{name} has too little texture to align by", _HINT)


def _textured(picture: GrayImage) -> bool:
    top, left = (min(int(2 * _COARSE), side // 4) for side in picture.shape)
    inner = _equalized(picture)[
        top:-top, left:-left
    ]  # a gradient that is mirrored at the border is not texture
    return bool(np.mean(np.square(inner)) >= _MIN_TEXTURE)


def _plausible(found: Similarity) -> Similarity:
    if not (SCALES[0] <= found.scale <= SCALES[1] and abs(found.angle) <= MAX_ANGLE):
        raise AlignmentError(
            f"the frame only matches when {found.describe()}, unlike in a focus stack", _HINT
        )
    return found


# --- Pictures to register ---------------------------------------------------------------------------


def _factor(frame: Frame, pixels: int) -> int:
    """The integer by which the sides are divided, so that at most so many pixels remain."""
    return math.ceil(math.sqrt(frame.shape[0] * frame.shape[1] / pixels))


def _gray(frame: Frame, factor: int) -> GrayImage:
    """Reduced, gray, with levels from 0 to 255."""
    small = _reduced(frame, factor)
    if small.ndim == 3:
        small = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return small.astype(np.float32) * np.float32(_DTYPES[frame.dtype])


def _reduced(picture: Frame, factor: int) -> Frame:
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    whole = picture[: height * factor, : width * factor]  # the same factor for both sides
    return whole if factor == 1 else cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def _equalized(picture: GrayImage) -> GrayImage:
    """Detail of 2 to 8 pixels, divided by its local strength; detail weaker than noise stays weak."""
    detail = cv2.GaussianBlur(picture, (0, 0), _FINE) - cv2.GaussianBlur(picture, (0, 0), _COARSE)
    power = cv2.GaussianBlur(detail * detail, (0, 0), _COARSE)
    return detail / np.sqrt(power + np.float32(_NOISE**2))  # type: ignore[no-any-return]


# --- Where to start ---------------------------------------------------------------------------------


def _starts(first: GrayImage, second: GrayImage) -> Iterator[Matrix]:
    yield np.eye(2, 3)
    matched = _by_features(first, second)
    if matched is not None:
        yield matched


def _by_features(first: GrayImage, second: GrayImage) -> Matrix | None:
    """The similarity that at least 12 matches of SIFT features agree on, if there is one."""
    sift = cv2.SIFT.create(_FEATURES)
    points, words = sift.detectAndCompute(_bytes(first), None)
    other_points, other_words = sift.detectAndCompute(_bytes(second), None)
    if min(len(points), len(other_points)) < _MIN_MATCHES:
        return None
    pairs = [
        best
        for best, second_best in cv2.BFMatcher().knnMatch(words, other_words, k=2)
        if best.distance < _RATIO * second_best.distance
    ]
    if len(pairs) < _MIN_MATCHES:
        return None
    here = np.array([points[pair.queryIdx].pt for pair in pairs])
    there = np.array([other_points[pair.trainIdx].pt for pair in pairs])
    cv2.setRNGSeed(0)
    matrix, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=_RANSAC_PIXELS)
    return np.asarray(matrix, np.float64) if matrix is not None and agree.sum() >= _MIN_MATCHES else None


def _bytes(picture: GrayImage) -> NDArray[np.uint8]:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


# --- Coarse to fine ---------------------------------------------------------------------------------


def _refined(first: GrayImage, second: GrayImage, matrix: Matrix) -> tuple[Matrix, float]:
    """A refined matrix, and how alike the pictures are under it: their correlation."""
    for level in _LEVELS:
        if level > 1 and min(first.shape) // level < MIN_SIDE:
            continue
        pair = _Pair(_equalized(_reduced(first, level)), _equalized(_reduced(second, level)))
        matrix = _enlarged(pair.fit(_enlarged(matrix, 1 / level)), level)
    return matrix, pair.likeness(matrix)


def _enlarged(matrix: Matrix, factor: float) -> Matrix:
    """The same transform between pictures enlarged by a factor, which shifts pixel centers."""
    offset = (factor - 1) / 2
    shift = factor * matrix[:, 2] + offset * (1 - matrix[:, :2].sum(axis=1))
    return np.column_stack([matrix[:, :2], shift])


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two equalized pictures of one size."""

    first: GrayImage
    second: GrayImage

    def fit(self, matrix: Matrix) -> Matrix:
        """Gauss-Newton on the squared differences."""
        for _ in range(_ITERATIONS):
            step = self._step(matrix)
            matrix = _composed(matrix, step, *self.first.shape)
            if np.abs(step).max() < _CONVERGED:
                break
        return matrix

    def _step(self, matrix: Matrix) -> Matrix:
        """Shift right and down, growth and rotation about the center, in pixels at half the longer side."""
        warped, weight = self._warped(matrix)
        mean = (self.first + warped) / 2
        x, y = _from_center(*self.first.shape)
        dx, dy = (cv2.Sobel(mean, -1, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        slopes = np.stack([slope.ravel() for slope in (dx, dy, dx * x + dy * y, dy * x - dx * y)])
        weighted = slopes * weight.ravel()
        normal = (weighted @ slopes.T).astype(np.float64)
        solution = np.linalg.lstsq(normal, weighted @ (self.first - warped).ravel(), rcond=1e-6)[0]
        return np.asarray(solution, np.float64)

    def likeness(self, matrix: Matrix) -> float:
        """The correlation where both show something, -1 to 1; 0 if they do not overlap."""
        warped, weight = self._warped(matrix)
        power = float((weight * self.first**2).sum()) * float((weight * warped**2).sum())
        return float((weight * self.first * warped).sum()) / math.sqrt(power) if power > 0 else 0.0

    def _warped(self, matrix: Matrix) -> tuple[GrayImage, GrayImage]:
        """The second warped onto the first, and 1 where both are well inside their picture, else 0."""
        inside: GrayImage = np.zeros_like(self.first)
        inside[_BORDER:-_BORDER, _BORDER:-_BORDER] = 1
        size = self.first.shape[::-1]
        flags = cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(self.second, matrix, size, flags=flags | cv2.INTER_CUBIC)
        shown = cv2.warpAffine(inside, matrix, size, flags=flags | cv2.INTER_NEAREST)
        return np.asarray(warped, np.float32), np.asarray(inside * shown, np.float32)


def _from_center(height: int, width: int) -> tuple[GrayImage, GrayImage]:
    """Every pixel's x (1 x W) and y (H x 1) from the center, in units of half the longer side."""
    unit = max(height, width) / 2
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / unit
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / unit
    return x[None].astype(np.float32), y[:, None].astype(np.float32)


def _composed(matrix: Matrix, step: Matrix, height: int, width: int) -> Matrix:
    """A step about the center, then the matrix."""
    right, down, growth, turn = step / [1, 1, max(height, width) / 2, max(height, width) / 2]
    linear = np.array([[1 + growth, -turn], [turn, 1 + growth]])
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = center + np.array([right, down]) - linear @ center
    return np.column_stack([matrix[:, :2] @ linear, matrix[:, :2] @ shift + matrix[:, 2]])


# --- The result -------------------------------------------------------------------------------------


def _similarity(matrix: Matrix) -> Similarity:
    cos, sin = matrix[0, 0], matrix[1, 0]
    return Similarity(math.hypot(cos, sin), math.degrees(math.atan2(sin, cos)), *map(float, matrix[:, 2]))


def _warped(frame: Frame, how: Similarity) -> Frame:
    height, width = frame.shape[:2]
    if how.displacement(height, width) < UNTOUCHED:
        return frame
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT_101
    warped = cv2.warpAffine(frame, how.matrix, (width, height), flags=flags, borderMode=border)
    return np.clip(warped, 0, 1) if frame.dtype == np.float32 else warped
