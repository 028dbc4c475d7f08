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
    from mfsynth.synthesis.optics.layers import Matte
    from mfsynth.synthesis.optics.light import Values

NOTHING = 4e-6
"""What a blurred matte may lack of 1 by rounding."""


class Exposure:
    """A frame that is being made, in a window.

    Attributes:
        values: H x W x 3, float32: the light of all layers so far.
    """

    def __init__(self, window: Window) -> None:
        self.values: Values = np.zeros((window.height, window.width, 3), np.float32)
        self._window = window
        self._open: Matte = np.ones((window.height, window.width), np.float32)

    def box(self) -> Window:
        """The smallest part of the picture with all pixels at which farther layers can be seen."""
        return box_of(self._open > 0, self._window)

    def add(self, light: Values, matte: Matte | None, part: Window) -> None:
        """Add the next layer in a part of the picture: its light and matte, blurred; no matte is 1."""
        at = part.within(self._window).slices
        through = self._open[at]
        cv2.accumulateProduct(light, cv2.merge([through] * 3), self.values[at])
        if matte is None:
            through[:] = 0
        else:
            _, left = cv2.threshold(np.subtract(1, matte), NOTHING, 0, cv2.THRESH_TOZERO)
            cv2.multiply(through, left, through)
