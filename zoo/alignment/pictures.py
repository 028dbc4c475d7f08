"""What frames are registered by: small gray pictures, coarse to fine, whose local contrast is equalized.

Blur is symmetric, so it does not move an edge, and with equal contrast it hardly changes the weight of an
edge. Exposure changes the local contrast, so that it hardly matters either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.alignment.features import Features, features_of
from zoo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Frame = NDArray[Any]
    GrayImage = NDArray[np.float32]

MIN_SIDE = 32
"""The shortest side of frames that can be registered, in pixels."""

PIXELS = 1_000_000
"""The most pixels of a picture to register."""

LEVELS = (8, 4, 2, 1)
"""By what the picture's sides are divided, coarse to fine."""

_DTYPES = {np.dtype(np.uint8): 1.0, np.dtype(np.uint16): 1 / 257, np.dtype(np.float32): 255.0}

# Mean square of an equalized picture: near 1 with texture everywhere, 0 without texture.
_MIN_TEXTURE = 0.02

_BAND = (2.0, 8.0)
_FINE_BAND = (0.7, 3.0)
_NOISE = 2.0


@dataclass(frozen=True, eq=False)
class Pyramid:
    """A frame, prepared to be registered.

    Attributes:
        gray: h x w, float32: the reduced frame, with levels from 0 to 255.
        factor: By which the frame's sides were divided.
        equalized: The same, equalized, reduced further by each of `levels`.
        levels: Those of `LEVELS` that leave pictures of `MIN_SIDE` pixels or more.
    """

    gray: GrayImage
    factor: int
    equalized: tuple[GrayImage, ...]
    levels: tuple[int, ...]

    @property
    def textured(self) -> bool:
        """Whether there is something to register by."""
        finest = self.equalized[-1]
        top, left = (min(int(2 * _BAND[1]), side // 4) for side in finest.shape)
        inner = finest[top:-top, left:-left]  # a gradient that is mirrored at the border is not texture
        return bool(np.mean(np.square(inner)) >= _MIN_TEXTURE)

    @cached_property
    def features(self) -> Features:
        """What the frame is found by if it moved far."""
        return features_of(self.gray)


def pyramid(frame: Frame, pixels: int = PIXELS) -> Pyramid:
    """A frame, prepared to be registered by at most so many pixels."""
    factor = math.ceil(math.sqrt(frame.shape[0] * frame.shape[1] / pixels))
    gray = _gray(frame, factor)
    levels = tuple(level for level in LEVELS if level == 1 or min(gray.shape) // level >= MIN_SIDE)
    equalized = tuple(_equalized(_reduced(gray, level), *_BAND) for level in levels)
    return Pyramid(gray, factor, equalized, levels)


def fine_detail(picture: GrayImage) -> GrayImage:
    """The finest detail of a picture with levels from 0 to 255, equalized."""
    return _equalized(picture, *_FINE_BAND)


def check_frames(frames: Iterable[Frame]) -> None:
    """Check that frames can be registered to each other.

    Raises:
        FrameError: If there are no frames, they differ in shape or dtype, or are too small.
    """
    kinds = {(frame.shape, frame.dtype) for frame in frames}
    if len(kinds) != 1:
        given = ", ".join(sorted(_kind(*kind) for kind in kinds))
        raise FrameError(
            f"frames to align must have one size and dtype, not {given}" if kinds else "there are no frames",
            "give frames of the same kind",
        )
    ((shape, dtype),) = kinds
    if dtype not in _DTYPES or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
        raise FrameError(
            f"cannot align frames of {_kind(shape, dtype)}", "give gray or RGB in uint8, uint16 or float32"
        )
    if min(shape[:2]) < MIN_SIDE:
        size = f"{shape[1]} x {shape[0]}"
        raise FrameError(
            f"frames of {size} pixels are too small to align", f"each side needs at least {MIN_SIDE}"
        )


def _kind(shape: Sequence[int], dtype: np.dtype[Any]) -> str:
    return f"{'x'.join(map(str, shape))} {dtype}"


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


def _equalized(picture: GrayImage, fine: float, coarse: float) -> GrayImage:
    """Detail between two sizes, divided by its local strength; detail weaker than noise stays weak."""
    detail = cv2.GaussianBlur(picture, (0, 0), fine) - cv2.GaussianBlur(picture, (0, 0), coarse)
    power = cv2.GaussianBlur(detail * detail, (0, 0), coarse)
    return detail / np.sqrt(power + np.float32(_NOISE**2))  # type: ignore[no-any-return]
