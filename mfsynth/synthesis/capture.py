"""What a camera adds to every frame, sharp or not: sensor noise, then JPEG compression.

The blur removes the photograph's own grain, a cue that real frames do not give. A network that never sees
noise on sharp and blurred parts alike learns to mistake grain for sharpness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import Picture

NOISY = 0.6
"""Fraction of the samples that get sensor noise."""
COMPRESSED = 0.6
"""Fraction of the noisy samples that are compressed."""
NOISE = (0.0, 5.0)
"""Smallest and largest standard deviation of the noise, in gray levels."""
QUALITY = (70, 99)
"""Smallest and largest JPEG quality."""
_BLOCK = 8


def capture(frames: Sequence[Picture], rng: np.random.Generator) -> tuple[Picture, ...]:
    """The frames of one sample as a camera would have stored them.

    Standard deviation, quality and grid are drawn once for a sample, the noise for each frame separately.

    Args:
        frames: H x W x 3, RGB, uint8.
        rng: Makes all draws.
    """
    if rng.random() >= NOISY:
        return tuple(frames)
    sigma = rng.uniform(*NOISE)
    noisy = tuple(sensor_noise(frame, sigma, rng) for frame in frames)
    if rng.random() >= COMPRESSED:
        return noisy
    quality = int(rng.integers(QUALITY[0], QUALITY[1] + 1))
    top, left = (int(offset) for offset in rng.integers(0, _BLOCK, 2))
    return tuple(compress(frame, quality, top, left) for frame in noisy)


def sensor_noise(frame: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """A frame with Gaussian noise of a standard deviation in gray levels, rounded and saturated."""
    noise = rng.standard_normal(frame.shape, np.float32)
    noise *= sigma
    return cv2.add(frame, np.rint(noise).astype(np.int16), dtype=cv2.CV_8U)  # type: ignore[return-value]


def compress(frame: Picture, quality: int, top: int = 0, left: int = 0) -> Picture:
    """A frame after JPEG compression (4:2:0); blocks begin `top` pixels above and `left` pixels beside it."""
    height, width = frame.shape[:2]
    grown = cv2.copyMakeBorder(frame, top, 0, left, 0, cv2.BORDER_REPLICATE)
    bgr = cv2.cvtColor(grown, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    return decoded[top : top + height, left : left + width]  # type: ignore[index, return-value]
