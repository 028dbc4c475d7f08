"""Light of layers, added up from the nearest to the farthest: each adds what the nearer ones let through.

That is the same sum as compositing from back to front, and what is covered wholly need not be made at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.synthesis.optics.windows import box_of

if TYPE_CHECKING:
    from mfsynth.sample import Window
    from mfsynth.synthesis.optics.kernels import Planes
    from mfsynth.synthesis.optics.light import Values

_NOTHING = 4e-6
"""What a blurred matte may lack of 1 by rounding."""


class Exposure:
    """A frame that is being made.

    Args:
        window: Which part of the picture.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        size = (window.height, window.width)
        self._colors = [np.zeros(size, np.float32) for _ in range(3)]
        self._open = np.ones(size, np.float32)

    def box(self) -> Window:
        """The smallest part of the picture with all pixels at which farther layers can be seen."""
        return box_of(self._open > 0, self._window)

    def add(self, light: Planes, part: Window) -> None:
        """Add the next layer in a part of the picture.

        Args:
            light: Its light after blurring, as `Layer` has it: with the matte, or without if it is 1.
            part: Where.
        """
        at = part.within(self._window).slices
        through = self._open[at]
        planes = cv2.split(light)
        for total, color in zip(self._colors, planes, strict=False):
            cv2.accumulateProduct(color, through, total[at])
        if len(planes) == 3:
            through[:] = 0
        else:
            _, left = cv2.threshold(np.subtract(1, planes[3]), _NOTHING, 0, cv2.THRESH_TOZERO)
            cv2.multiply(through, left, through)

    def values(self) -> Values:
        """The frame: H x W x 3, float32."""
        return cv2.merge(self._colors)  # type: ignore[return-value]
