"""A frame that was prepared: moved, matched in exposure, shown only in part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from zoo.fusing.frames import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.fusing.tiles import Window

WHOLE = (slice(None), slice(None))
"""The window of a whole picture."""

Key = tuple[bytes, tuple[float, ...], tuple[float, ...], bytes]
"""What orders layers: hashes of all that they are, without the pixels that they do not show."""


class View(Protocol):
    """A layer, in memory or elsewhere, that is looked at window by window."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its pixels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its pixels."""

    def part(self, window: Window = WHOLE) -> Layer:
        """A window of it, in memory."""

    def mask(self, window: Window = WHOLE) -> NDArray[np.bool_] | None:
        """Where it shows something, h x w; None is everywhere in the whole layer."""

    def key(self) -> Key:
        """What orders it among others, wherever it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A frame, prepared: what the result is made of, and what the network sees of it.

    The network sees `gain * pixels + offset`, clipped to [0, 1].

    Args:
        pixels: H x W x 3 (RGB) or H x W (gray); uint8, uint16, or float32 of any range.
        gain: One for each channel; positive.
        offset: One for each channel.
        shown: H x W, bool: where the frame shows the scene; None is everywhere. Elsewhere its pixels mean
            nothing, and take no part in the result.
    """

    pixels: NDArray[Any]
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    shown: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the pixels."""
        return self.pixels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.pixels.dtype

    def part(self, window: Window = WHOLE) -> Layer:
        """A window of it; nothing is copied."""
        return replace(self, pixels=self.pixels[window], shown=self.mask(window))

    def mask(self, window: Window = WHOLE) -> NDArray[np.bool_] | None:
        """Where a window of it shows something; None is everywhere."""
        return None if self.shown is None else self.shown[window]

    def key(self) -> Key:
        """What orders it among others."""
        if self.shown is None:
            return digest(self.pixels), self.gain, self.offset, b""
        shown = self.shown if self.pixels.ndim == 2 else self.shown[..., None]
        return digest(np.where(shown, self.pixels, 0)), self.gain, self.offset, digest(self.shown)

    def seen(self, window: Window = WHOLE) -> NDArray[np.float32]:
        """What the network sees: float32 in [0, 1], of the pixels' shape, or a window of it."""
        pixels = self.pixels[window]
        if pixels.dtype != np.uint8:
            return self._mapped(pixels.astype(np.float32))
        levels = np.arange(256, dtype=np.float32)  # each level is mapped once
        table = self._mapped(levels[None] if pixels.ndim == 2 else np.repeat(levels, 3).reshape(1, 256, 3))
        return np.asarray(cv2.LUT(pixels, table), np.float32)

    def _mapped(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network sees of pixels' values, which are overwritten."""
        scale, shift = self._inverse()
        if shift.any():
            values += shift
        values /= scale  # not times 1 / scale: white must become 1 exactly
        return values.clip(0, 1, out=values)

    def unseen(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """From what the network sees or predicts back to the pixels' values, float32."""
        scale, shift = self._inverse()
        return values * scale - shift if shift.any() else values * scale

    def looks_like(self, other: Layer) -> bool:
        """Whether the network sees both by the same map of their values."""
        return (self.gain, self.offset) == (other.gain, other.offset)

    def _inverse(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The map of `seen` values to pixels: values * scale - shift."""
        gain, offset = (np.array(each, np.float64) for each in (self.gain, self.offset))
        scale, shift = (each.astype(np.float32) for each in (1 / gain, offset / gain))
        return (scale, shift) if self.pixels.ndim == 3 else (scale[0], shift[0])


def plain(frame: NDArray[Any], white: float = 1.0, shown: NDArray[np.bool_] | None = None) -> Layer:
    """A frame that the network sees as it is: 0 is black, the given value white."""
    channels = 3 if frame.ndim == 3 else 1
    return Layer(frame, (1 / white,) * channels, (0.0,) * channels, shown)
