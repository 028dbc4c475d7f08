"""Stacks drawn for tests."""

from __future__ import annotations

import cv2
import numpy as np


def stripes(count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """Frames of one texture; each is sharp in another stripe."""
    noise = np.random.default_rng(0).random((height, width, 3), np.float32)
    sharp = cv2.normalize(cv2.GaussianBlur(noise, None, 1), None, 0, 255, cv2.NORM_MINMAX)
    frames = [cv2.GaussianBlur(sharp, None, 3) for _ in range(count)]
    for number, frame in enumerate(frames):
        stripe = slice(number * width // count, (number + 1) * width // count)
        frame[:, stripe] = sharp[:, stripe]
    return [frame.round().astype(np.uint8) for frame in frames]
