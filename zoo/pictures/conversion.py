"""Colors of one ICC profile as those of another, relative to white (ICC.1:2022, relative colorimetric).

Profiles of a matrix and three curves, as cameras, screens and working spaces have them, are computed here at
any depth. Others hold tables; for these, Little CMS (through Pillow) has 8 bits.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image, ImageCms

from zoo.pictures.picture import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.pictures.picture import Pixels

    Floats = NDArray[np.float64]

_HINT = "convert all frames to one profile first"
_SAME = 1 / 255
"""A level of 8 bits: profiles that differ less mean the same."""
_NODES = 4096
"""Of a curve's inverse, evenly spaced in stored values."""
_GRAY, _COLORS = (b"k",), (b"r", b"g", b"b")
"""How the names of a profile's curves begin."""
_HEADER = 128  # bytes


def converted(pixels: Pixels, icc: bytes | None, target: bytes | None) -> Pixels:
    """Pixels of one profile as those of another; the array itself if both profiles mean the same.

    Colors that the target does not hold are clipped, channel by channel.

    Args:
        pixels: H x W x 3 or H x W.
        icc: Their profile; None is sRGB, and its curve in gray.
        target: The other profile; the same.

    Raises:
        Refusal: If the pixels are floats, whose white is unknown; or if a profile is made of tables and the
            pixels are not of 8 bits; or if a profile is broken.
    """
    if icc == target:
        return pixels
    gray = pixels.ndim == 2
    source, other = _shaper(icc, gray, "its"), _shaper(target, gray, "the first frame's")
    if source is not None and other is not None:
        if _differ(source, other) <= _SAME:
            return pixels
        return _by_curves(pixels, source, other)
    return _by_little_cms(pixels, icc, target)


# --- Profiles ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Shaper:
    """A profile of curves and a matrix.

    Args:
        curves: For each channel, linear light in [0, 1] for evenly spaced values of [0, 1].
        matrix: Linear light to the XYZ of the profile connection space; 1 for gray.
        inverse: The matrix back.
    """

    curves: tuple[Floats, ...]
    matrix: Floats
    inverse: Floats


@lru_cache(maxsize=8)
def _shaper(icc: bytes | None, gray: bool, whose: str) -> _Shaper | None:
    """A profile's curves and matrix; None if it is made of tables."""
    data = icc or _srgb()
    names = _GRAY if gray and icc else _COLORS[:1] if gray else _COLORS
    try:
        tags = _tags(data)
        if b"A2B0" in tags:
            return None
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            curves = tuple(_curve(tags[name + b"TRC"]) for name in names)
            columns = [[1.0]] if gray else [_numbers(tags[name + b"XYZ"], 3) for name in names]
            matrix = np.array(columns).T
            return _Shaper(curves, matrix, np.linalg.inv(matrix))
    except (KeyError, IndexError, struct.error, ValueError, ArithmeticError) as error:
        raise Refusal(f"{whose} color profile is broken", _HINT) from error


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, _HEADER)
    rows = (struct.unpack_from(">4sII", icc, _HEADER + 4 + 12 * row) for row in range(min(count, 200)))
    return {name: icc[start : start + size] for name, start, size in rows}


def _numbers(tag: bytes, count: int, start: int = 8) -> Floats:
    """Numbers of 16 bits before and 16 behind the point."""
    return np.array(struct.unpack_from(f">{count}i", tag, start)) / 65536


def _curve(tag: bytes) -> Floats:
    """A curve, sampled at `_NODES` evenly spaced values, ascending."""
    values = np.linspace(0, 1, _NODES)
    if tag[:4] == b"para":
        return _ascending(_parametric(values, tag))
    if tag[:4] != b"curv":
        raise ValueError("unknown kind of curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return values
    table = np.frombuffer(tag, ">u2", count, 12)
    if count == 1:
        return values ** (float(table[0]) / 256)
    return _ascending(np.interp(values, np.linspace(0, 1, count), table / 65535))


def _parametric(values: Floats, tag: bytes) -> Floats:
    """ICC's parametric curves, types 0 to 4: a power above a value d, a line below."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = list(_numbers(tag, (1, 3, 4, 5, 7)[kind], 12))
    if kind == 0:
        return values ** given[0]  # type: ignore[no-any-return]
    g, a, b = given[:3]
    if kind <= 2:
        rise = given[3] if kind == 2 else 0.0
        c, d, e, f = 0.0, -b / a, rise, rise
    else:
        c, d, e, f = (*given[3:], 0.0, 0.0)[:4]
    return np.where(values >= d, np.maximum(a * values + b, 0) ** g + e, c * values + f)


def _ascending(curve: Floats) -> Floats:
    return np.maximum.accumulate(curve.clip(0, 1))


# --- Pixels -----------------------------------------------------------------------------------------


def _by_curves(pixels: Pixels, source: _Shaper, target: _Shaper) -> Pixels:
    if pixels.dtype.kind == "f":
        raise Refusal("it holds floats in a different color profile than the first frame", _HINT)
    white = 255 if pixels.dtype == np.uint8 else 65535
    nodes, stored = np.linspace(0, 1, _NODES), np.linspace(0, 1, white + 1)
    tables = [np.interp(stored, nodes, curve) for curve in source.curves]
    result = np.empty_like(pixels)
    for row in range(len(pixels)):  # a row at a time, since floats need eight times the memory
        values = pixels[row].reshape(-1, len(tables))
        linear = np.stack([table[values[:, k]] for k, table in enumerate(tables)], -1)
        result[row] = np.rint(white * _stored(linear, source, target)).reshape(pixels[row].shape)
    return result


def _stored(linear: Floats, source: _Shaper, target: _Shaper) -> Floats:
    """Linear light of the source, N x channels, as values of the target in [0, 1]."""
    light = linear @ (target.inverse @ source.matrix).T
    nodes = np.linspace(0, 1, _NODES)
    return np.stack([np.interp(light[:, k], curve, nodes) for k, curve in enumerate(target.curves)], -1)


def _differ(source: _Shaper, target: _Shaper) -> float:
    """By how much values differ at most, of a grid of colors, between two profiles."""
    steps = np.linspace(0, 1, 17)
    grid = np.stack(np.meshgrid(*[steps] * len(source.curves), indexing="ij"), -1)
    values = grid.reshape(-1, len(source.curves))
    nodes = np.linspace(0, 1, _NODES)
    linear = [np.interp(values[:, k], nodes, curve) for k, curve in enumerate(source.curves)]
    return float(np.abs(_stored(np.stack(linear, -1), source, target) - values).max())


def _by_little_cms(pixels: Pixels, icc: bytes | None, target: bytes | None) -> Pixels:
    if pixels.dtype != np.uint8:
        raise Refusal("its color profile is based on tables, which can be applied only to 8 bits", _HINT)
    if pixels.ndim == 2 and (icc is None or target is None):
        raise Refusal("its gray profile is based on tables", _HINT)
    try:
        source, other = (ImageCms.ImageCmsProfile(io.BytesIO(each or _srgb())) for each in (icc, target))
        done = ImageCms.profileToProfile(
            Image.fromarray(pixels), source, other, ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise Refusal(f"its color profile cannot be applied ({error})", _HINT) from error
    return cast("Pixels", np.asarray(done))
