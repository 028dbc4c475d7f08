"""A small DNG: a Bayer mosaic with the tags that a developer needs, as DNG 1.4 asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BLACK, WHITE = 64, 4095
"""The sensor's counts, of 12 bits."""

_XYZ_TO_SRGB = ((3.2404542, -1.5371385, -0.4985314), (-0.9692660, 1.8760108, 0.0415560),
                (0.0556434, -0.2040259, 1.0572252))  # fmt: skip
_RED, _GREEN, _BLUE = 0, 1, 2


def write_dng(
    path: Path,
    light: NDArray[np.floating],
    *,
    balance: tuple[float, float, float] = (2.0, 1.0, 1.5),
    orientation: int = 1,
) -> None:
    """Write what a camera whose filters are sRGB's primaries records of a scene.

    Args:
        path: The file.
        light: H x W x 3, linear light of sRGB's primaries, 0 to 1; even sides.
        balance: By which red, green and blue are multiplied to be white where the scene is; the greatest
            light that the sensor takes is 1 in green, and 1 / balance in the others as the scene has it.
        orientation: As EXIF counts it.
    """
    seen = light / np.array(balance)
    mosaic = np.empty(light.shape[:2])
    for row, column, channel in ((0, 0, _RED), (0, 1, _GREEN), (1, 0, _GREEN), (1, 1, _BLUE)):
        mosaic[row::2, column::2] = seen[row::2, column::2, channel]
    counts = np.rint(BLACK + mosaic.clip(0, 1) * (WHITE - BLACK)).astype(np.uint16)
    matrix = [round(value * 10_000) for row in _XYZ_TO_SRGB for value in row]
    neutral = [round(1_000_000 / each) for each in balance]
    tags = [
        (271, "s", 0, "A maker", True),
        (272, "s", 0, "A camera", True),
        (274, "H", 1, orientation, True),
        (306, "s", 0, "2024:05:06 07:08:09", True),
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes((_RED, _GREEN, _GREEN, _BLUE)), True),  # CFAPattern
        (50706, "B", 4, bytes((1, 4, 0, 0)), True),  # DNGVersion
        (50707, "B", 4, bytes((1, 1, 0, 0)), True),  # DNGBackwardVersion
        (50708, "s", 0, "A maker A camera", True),  # UniqueCameraModel
        (50714, "H", 1, BLACK, True),  # BlackLevel
        (50717, "H", 1, WHITE, True),  # WhiteLevel
        (50721, "2i", 9, _rationals(matrix, 10_000), True),  # ColorMatrix1
        (50728, "2I", 3, _rationals(neutral, 1_000_000), True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
    ]
    tifffile.imwrite(path, counts, photometric="cfa", extratags=tags, metadata=None, software="tests")


def _rationals(numerators: list[int], denominator: int) -> tuple[int, ...]:
    return tuple(value for each in numerators for value in (each, denominator))
