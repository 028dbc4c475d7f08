"""Gaussian noise from raw Philox words: each row can be made separately, without numpy's distributions.

numpy promises that the words of its bit generators stay the same, but not that its distributions do.
"""

from __future__ import annotations

from functools import cache, lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.order import RandomWords
    from mfsynth.sample import Picture, Window

_LEVELS = 65536
_VALUES_PER_BLOCK = 16
"""A Philox counter yields four 64-bit words: sixteen values of 16 bits."""


@cache
def normal_quantiles() -> NDArray[np.float64]:
    """The quantiles of the standard normal distribution at (k + 1/2) / 65,536, float64, length 65,536."""
    quantile = NormalDist().inv_cdf
    upper = np.array([quantile((word + 0.5) / _LEVELS) for word in range(_LEVELS // 2, _LEVELS)])
    return np.concatenate([-upper[::-1], upper])


@lru_cache(maxsize=4)
def noise_table(sigma: float) -> NDArray[np.int16]:
    """The noise for each 16-bit word, in gray levels; `sigma` is in units of full range (255 gray levels).

    Frames of a sample mostly share a table.
    """
    table: NDArray[np.int16] = np.rint(normal_quantiles() * (sigma * 255.0)).clip(-255, 255).astype(np.int16)
    table.setflags(write=False)
    return table


def noise_key(words: RandomWords) -> str:
    """A frame's noise key from the next two words of a stream: 32 hex digits, lowest byte first."""
    return words.random_raw(2).astype("<u8").tobytes().hex()


def noise_words(key: str, width: int, window: Window) -> NDArray[np.uint16]:
    """The words for a window of a picture of that width: window height x window width x 3, in RGB order.

    Each row of the picture starts at its own counter, so that a window draws only its own rows.
    """
    blocks = -(-3 * width // _VALUES_PER_BLOCK)
    stream = np.random.Philox(key=int.from_bytes(bytes.fromhex(key), "little"))
    stream.advance(window.top * blocks)
    words = stream.random_raw(window.height * blocks * 4).astype("<u8", copy=False).view("<u2")
    rows = words.reshape(window.height, blocks * _VALUES_PER_BLOCK)
    inside = rows[:, 3 * window.left : 3 * (window.left + window.width)]
    return inside.reshape(window.height, window.width, 3)


def add_noise(frame: Picture, sigma: float, key: str, width: int, window: Window) -> Picture:
    """A frame with its noise added, values saturated at 0 and 255; sigma 0 gives the frame itself.

    Args:
        frame: The window's part of the frame, RGB, uint8.
        sigma: Standard deviation in units of full range.
        key: The frame's noise key: 32 hex digits.
        width: Width of the whole picture.
        window: Which part of the picture the frame is.
    """
    if sigma == 0:
        return frame
    noise = cv2.LUT(noise_words(key, width, window), noise_table(sigma))
    return cv2.add(frame, noise, dtype=cv2.CV_8U)  # type: ignore[return-value]
