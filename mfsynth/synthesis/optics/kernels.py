"""Blur kernels on float32 planes: Gaussian, disk and polygon; each with its reach, all normalized.

The taps of a disk or a polygon are the fractions of pixels that it covers, calculated exactly, and nothing is
approximated on the way. Up to 23 rows of taps, which is a radius of 11.5 pixels, the largest rectangle of
fully covered pixels is summed up by running sums (`cv2.boxFilter`) and all other taps directly
(`cv2.filter2D`); from there on, the DFT takes the same time at any size. A Gaussian takes two direct passes.
For values from 0 to 1, results differ from float64's by less than 1e-6; with the DFT, by less than 2e-6.
`scripts/bench_kernels.py` measures this beside the other routes, such as separable filters of low rank, which
are slower as soon as they are right to half a gray level.

A window has the whole picture's values, bit for bit. For running sums, values are first rounded to multiples
of 2^-23, so that sums in float64 are exact, wherever they start. For the DFT, values and taps are rounded to
integers, so that its results can be, too. And rows are padded to whole vector registers, since OpenCV
calculates what is left over in another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

import cv2
import numpy as np

from mfsynth.errors import ShardError
from mfsynth.recipe import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Planes = NDArray[np.float32]
    """H x W or H x W x C, float32."""
    Taps = NDArray[np.float64]
    """Rows x columns, float64."""

_KERNELS = get_args(Kernel)
_BLOCK = 128
"""Largest area of taps; OpenCV turns to the DFT by itself from 130 on."""
_BOX = 32
"""Fewest pixels of a rectangle; below, a running sum saves no time."""
_SIDE = 23
"""Most rows of taps for which sums are faster than the DFT."""
_VALUE, _WEIGHT = 1 << 20, 1 << 23
"""For the DFT: steps from value 0 to 1, and in all taps together."""
_LANES = 16
"""Floats of the widest vector register."""
_STRIP = 1 << 20
"""Bytes that are worked on at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Aperture:
    """A kernel's shape, without its size, which is sigma for a Gaussian, else the radius, in pixels.

    A polygon's radius is that of the disk of equal area.

    Attributes:
        kernel: `gaussian`, `disk` or `polygon`.
        blades: Corners of the polygon, at least 3; else unused.
        rotation: Of the polygon, in radians: from the right to a corner, clockwise.

    Raises:
        ShardError: If there is no such kernel.
    """

    kernel: str
    blades: int = 0
    rotation: float = 0.0

    def __post_init__(self) -> None:
        if self.kernel not in _KERNELS:
            raise ShardError(f"unknown blur kernel {self.kernel!r}; known: {', '.join(_KERNELS)}")
        if self.kernel == "polygon" and self.blades < 3:
            raise ShardError(f"a polygon has at least 3 blades, not {self.blades}")

    def reach(self, size: float) -> int:
        """How many pixels the kernel reaches to each side."""
        if self.kernel == "gaussian":
            return math.ceil(4 * size)
        return max(math.ceil(self._outer(size) - 0.5), 0)

    def taps(self, size: float) -> Taps:
        """What becomes of a point in the middle of a pixel: (2 reach + 1)² taps that sum to 1, read-only."""
        return _taps(self, size)

    def blur(self, planes: Planes, size: float) -> Planes:
        """Blurred planes; the border is mirrored (reflect-101).

        A kernel that does not leave its pixel, such as that of size 0, gives the planes themselves.

        Args:
            planes: H x W or H x W x C, float32, C from 2 to 4; values from about -1 to 1.
            size: At least 0.
        """
        reach = self.reach(size)
        if reach == 0:
            return planes
        width, channels = planes.shape[1], math.prod(planes.shape[2:])
        step = _LANES // math.gcd(_LANES, channels)
        wide = _up(width, step)
        right = wide - width + reach + step - 1
        made: Planes = cv2.copyMakeBorder(planes, reach, reach, reach, right, cv2.BORDER_REFLECT_101)  # type: ignore[assignment]
        for stage in _stages(self, size):
            made = stage.run(made, wide, step)
        return np.ascontiguousarray(made[:, :width])

    def _outer(self, radius: float) -> float:
        """Distance of the farthest point."""
        if self.kernel == "disk":
            return radius
        sector = 2 * math.pi / self.blades
        return radius * math.sqrt(sector / math.sin(sector))

    def _corners(self, radius: float) -> NDArray[np.float64]:
        angles = self.rotation + 2 * math.pi / self.blades * np.arange(self.blades)
        return self._outer(radius) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


# --- taps ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _taps(aperture: Aperture, size: float) -> Taps:
    reach = aperture.reach(size)
    if reach == 0:
        taps = np.ones((1, 1))
    elif aperture.kernel == "gaussian":
        line = _gaussian(size)
        taps = line[:, None] * line
    else:
        edges: Taps = np.arange(-reach, reach + 2) - 0.5  # type: ignore[assignment]
        disk = aperture.kernel == "disk"
        below = _disk_below(edges, size) if disk else _polygon_below(edges, aperture._corners(size))
        covered = np.diff(np.diff(below, axis=0), axis=1)
        taps = covered.round(9).clip(0, 1)  # full and empty pixels are exactly that
        taps /= taps.sum()
    taps.setflags(write=False)
    return taps


def _gaussian(sigma: float) -> Taps:
    """A line of taps, cut at 4 sigma."""
    reach = math.ceil(4 * sigma)
    taps: Taps = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    taps /= taps.sum()
    return taps


def _disk_below(edges: Taps, radius: float) -> Taps:
    """The disk's area between its center and each (y, x): one quadrant's, negative in two of them."""
    y, x = np.minimum(np.abs(edges), radius)[:, None], np.minimum(np.abs(edges), radius)[None]

    def half_chord(t: Taps) -> Taps:
        half: Taps = np.sqrt((radius - t) * (radius + t))  # of squares, rounding can make it negative
        return half

    corner = np.minimum(half_chord(y), x)  # to here, y is the lower bound, and then the arc

    def under_arc(t: Taps) -> Taps:
        return (t * half_chord(t) + radius**2 * np.arcsin(t / radius)) / 2

    return np.sign(edges)[:, None] * np.sign(edges) * (y * corner + under_arc(x) - under_arc(corner))


def _polygon_below(edges: Taps, corners: Taps) -> Taps:
    """The polygon's area above and left of each (y, x): for each side, what lies between it and y, signed."""
    area = np.zeros((edges.size, edges.size))
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if x0 == x1:
            continue
        from_x, to_x = (edges.clip(min(x0, x1), max(x0, x1)) if end else min(x0, x1) for end in (0, 1))
        slope = (y1 - y0) / (x1 - x0)
        first = edges[:, None] - (y0 + (from_x - x0) * slope)
        last = edges[:, None] - (y0 + (to_x - x0) * slope)
        high, low = np.maximum(first, last), np.minimum(first, last)
        spread = np.where(high > low, high - low, 1)
        mean = np.where(low >= 0, (high + low) / 2, np.maximum(high, 0) ** 2 / (2 * spread))
        area += np.sign(x1 - x0) * (to_x - from_x) * mean
    return area


# --- how they are summed up ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of a kernel's taps, at their place; a rectangle of ones where `taps` is None."""

    top: int
    left: int
    height: int
    width: int
    taps: Planes | None

    def run(self, planes: Planes) -> Planes:
        if self.taps is None:
            size = (self.width, self.height)
            return cv2.boxFilter(planes, -1, size, anchor=(0, 0), normalize=False)  # type: ignore[return-value]
        return cv2.filter2D(planes, -1, self.taps, anchor=(0, 0))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class _Stage:
    """One pass: the sum of parts, times `scale`."""

    parts: tuple[_Part, ...]
    height: int
    scale: float

    def run(self, padded: Planes, wide: int, step: int) -> Planes:
        """Blur H + height - 1 rows, which are padded on the right, to H rows of `wide` pixels."""
        if self.parts[0].taps is None:
            padded += np.float32(1)
            padded -= np.float32(1)
        height = padded.shape[0] - self.height + 1
        made = np.empty((height, wide, *padded.shape[2:]), np.float32)
        rows = max(_STRIP // made[0].nbytes, self.height)
        for top in range(0, height, rows):
            self._strip(padded[top:], made[top : top + rows], step)
        return made

    def _strip(self, padded: Planes, made: Planes, step: int) -> None:
        height, wide = made.shape[:2]
        for k, part in enumerate(self.parts):
            right = part.left + _up(wide + part.width - 1, step)
            view = padded[part.top : part.top + height + part.height - 1, part.left : right]
            share = part.run(view)[:height, :wide]
            if k == 0:
                made[:] = share
            else:
                made += share
        if self.scale != 1:
            made *= np.float32(self.scale)


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """One pass by the DFT, of integers: in float64 it is off by less than 0.02, and rounding makes it exact.

    Attributes:
        taps: Integers whose sum is about `_WEIGHT`.
    """

    taps: Taps

    def run(self, padded: Planes, wide: int, _step: int) -> Planes:
        """Blur H + rows - 1 rows, which are padded on the right, to H rows of `wide` pixels."""
        height = padded.shape[0] - len(self.taps) + 1
        scale = 1 / (_VALUE * self.taps.sum())
        kernel = _spectrum(self.taps, 1, padded.shape)
        blurred = []
        for plane in cv2.split(padded):
            spectrum = _spectrum(np.asarray(plane, np.float32), _VALUE, padded.shape)
            product = cv2.mulSpectrums(spectrum, kernel, 0, conjB=True)
            sums = cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT, nonzeroRows=height)
            blurred.append((np.rint(sums[:height, :wide]) * scale).astype(np.float32))
        return np.asarray(cv2.merge(blurred), np.float32)


def _spectrum(values: NDArray[np.floating], unit: int, shape: tuple[int, ...]) -> Taps:
    """The spectrum of values in integer steps of 1 / unit, in the shape that is fast for one of `shape`."""
    height, width = values.shape
    made = np.zeros([cv2.getOptimalDFTSize(side) for side in shape[:2]])
    steps = made[:height, :width]
    np.rint(np.multiply(values, unit, out=steps), out=steps)
    return cv2.dft(made, nonzeroRows=height)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _stages(aperture: Aperture, size: float) -> tuple[_Stage | _Spectrum, ...]:
    if aperture.kernel == "gaussian":
        line = _gaussian(size)[None]
        return _stage(line), _stage(line.T)
    taps = aperture.taps(size)[::-1, ::-1]  # OpenCV correlates
    if len(taps) > _SIDE:
        plateau = np.rint(_WEIGHT * taps.max())
        return (_Spectrum(np.rint(taps / taps.max() * plateau)),)
    return (_stage(taps),)


def _stage(taps: Taps) -> _Stage:
    plateau = float(taps.max())
    top, left, height, width = _largest(taps == plateau)
    if height * width < _BOX:
        return _Stage(tuple(_blocks(taps, 0, 0)), len(taps), 1.0)
    rest = taps / plateau
    rest[top : top + height, left : left + width] = 0
    box = _Part(top, left, height, width, None)
    return _Stage((box, *_blocks(rest, 0, 0)), len(taps), plateau)


def _largest(full: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Row, column, height and width of the largest rectangle."""
    above = np.zeros(full.shape, np.int32)  # full pixels in a column that end here
    for row, here in enumerate(full):
        above[row] = (above[row - 1] + 1) * here if row else here
    best, lowest = (0, 0, 0, 0), above
    for width in range(1, full.shape[1] + 1):
        lowest = above if width == 1 else np.minimum(lowest[:, :-1], above[:, width - 1 :])
        end, column = divmod(int(lowest.argmax()), full.shape[1] - width + 1)
        height = int(lowest[end, column])
        if height * width > best[2] * best[3]:
            best = (end - height + 1, column, height, width)
    return best


def _blocks(taps: Taps, top: int, left: int) -> Iterator[_Part]:
    """All taps that are not zero, in blocks."""
    rows, columns = np.flatnonzero(taps.any(axis=1)), np.flatnonzero(taps.any(axis=0))
    if not rows.size:
        return
    taps = taps[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = top + int(rows[0]), left + int(columns[0])
    height, width = taps.shape
    if taps.size <= _BLOCK:
        yield _Part(top, left, height, width, taps.astype(np.float32))
    elif height >= width:
        yield from _blocks(taps[: height // 2], top, left)
        yield from _blocks(taps[height // 2 :], top + height // 2, left)
    else:
        yield from _blocks(taps[:, : width // 2], top, left)
        yield from _blocks(taps[:, width // 2 :], top, left + width // 2)


def _up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step
