"""Panoptic masks: PNGs whose colors are segment ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.codecs.error import CodecError
from mfsynth.codecs.opencv import opencv_decode
from mfsynth.codecs.png import GRAY, PALETTE, RGB, RGBA, PngFile, inflate, join_png, pixels_of, read_png

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from mfsynth.codecs.png import Array, PngHeader

    Ids = NDArray[np.uint32]

_HINT = "segment ids are the colors of an 8-bit RGB PNG"
_GRAY_STEP = 0x010101  # the color of gray level 1, as an id


def decode_ids(
    data: bytes, size: tuple[int, int] | None = None, listed: Collection[int] | None = None
) -> Ids:
    """Decode a panoptic PNG to its segment ids, H x W, uint32: R + 256 G + 65536 B.

    Other kinds of PNG are read where the listed ids leave no doubt what is meant: gray by its values or as
    colors, a palette by its colors or its indices. Alpha is ignored, as long as every color is a listed id.

    Args:
        data: The file's bytes.
        size: Height and width that it should have; None allows up to `limits.PICTURE_PIXELS`.
        listed: The ids that the annotations list; None takes colors for ids, whatever they are.

    Raises:
        CodecError: If the bytes are not a PNG, have another size, are broken or cut short, or do not tell
            which ids are meant. Another size is noticed before anything is decoded.
    """
    png = read_png(data, size)
    if png.header.color not in (RGB, RGBA):
        return _indexed_ids(png, listed)
    if png.header.depth != 8:
        raise CodecError(f"it is {png.header.kind}", _HINT)
    rgba = pixels_of(png, "RGBA")
    ids: Ids = rgba.view("<u4")[..., 0] & np.uint32(0xFFFFFF)
    if png.header.color == RGBA and listed is not None and rgba[..., 3].min() < 255:
        _check_transparent(ids, listed)
    return ids


def _check_transparent(ids: Ids, listed: Collection[int]) -> None:
    unknown = set(np.unique(ids).tolist()) - {0} - set(listed)
    if unknown:
        raise CodecError(
            f"it is an 8-bit RGBA PNG with transparent pixels, and color {min(unknown)} is not a listed id",
            _HINT,
        )


def _indexed_ids(png: PngFile, listed: Collection[int] | None) -> Ids:
    """The ids of a mask that has one number per pixel: gray, with or without alpha, or a palette."""
    inflate(png, 0xFFFF)  # for its checks
    samples = _samples(png)
    readings = _readings(png)
    used = np.flatnonzero(np.bincount(samples.ravel()))
    colors = next(iter(readings.values()))
    if used[-1] >= len(colors):
        raise CodecError("the PNG has pixels whose color is not in its palette")
    if listed is None:
        return colors[samples]
    known = set(listed) - {0}
    present = {name: set(table[used].tolist()) - {0} for name, table in readings.items()}
    fitting = [name for name, ids in present.items() if ids == known]
    fitting = fitting or [name for name, ids in present.items() if ids <= known]
    meanings = {readings[name][used].tobytes() for name in fitting}
    if len(meanings) != 1:
        raise CodecError(f"it is {png.header.kind}, and {_doubt(list(readings), bool(fitting))}", _HINT)
    return readings[fitting[0]][samples]


def _doubt(names: list[str], fitting: bool) -> str:
    if fitting:
        return f"both its {' and its '.join(names)} are listed segment ids"
    if len(names) == 1:
        return f"its {names[0]} are not the listed segment ids"
    return f"neither its {' nor its '.join(names)} are the listed segment ids"


def _samples(png: PngFile) -> Array:
    """Each pixel's gray value or index, H x W, unscaled: a palette is decoded as if it were gray."""
    header = replace(png.header, color=GRAY) if png.header.color == PALETTE else png.header
    array: Array = opencv_decode(join_png(header, png.stream), cv2.IMREAD_UNCHANGED)
    samples = array[..., 0] if array.ndim == 3 else array
    return samples // _scale(header) if header.depth < 8 else samples


def _scale(header: PngHeader) -> int:
    """By how much a decoder multiplies gray values to fill 8 bits."""
    return 255 // ((1 << header.depth) - 1)


def _readings(png: PngFile) -> dict[str, Ids]:
    """What a pixel's number may mean: tables from numbers to ids, by name; the likeliest first."""
    header = png.header
    numbers = np.arange(1 << header.depth, dtype=np.uint32)
    if header.color == PALETTE:
        colors = np.frombuffer(png.palette, np.uint8, len(png.palette) // 3 * 3).reshape(-1, 3)
        ids = colors.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
        return {"colors": ids, "indices": numbers[: len(ids)]}
    if header.depth == 16:
        return {"values": numbers}
    return {"colors": numbers * np.uint32(_scale(header) * _GRAY_STEP), "values": numbers}
