"""ICC profiles of RGB, made from the primaries and the curve of a color space (ICC.1:2010, version 4.3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from zoo.pictures.picture import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zoo.pictures.picture import Pixels

    Matrix = NDArray[np.float64]

SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3_PRIMARIES = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT2020_PRIMARIES = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
"""Red, green and blue as x and y of CIE 1931; white is D65."""

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
LINEAR = (1.0,)
"""A parametric curve's exponent and, if it has a linear piece, the a, b, c and d of ICC's type 3."""

_NCLX = {9: ("BT.2020", BT2020_PRIMARIES), 12: ("Display P3", P3_PRIMARIES)}
_LINEAR_LIGHT = 8
_HDR = {16: "PQ", 18: "HLG"}

_D65, _D50 = np.array([0.95047, 1.0, 1.08883]), np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_HEADER = 128  # bytes


def rgb_profile(name: str, primaries: Sequence[tuple[float, float]], curve: Sequence[float]) -> bytes:
    """A display profile of three primaries with white D65, all with one curve.

    Args:
        name: For people.
        primaries: Red, green and blue, as x and y of CIE 1931.
        curve: From a value to linear light.
    """
    adaptation = _adaptation()
    colorants = adaptation @ _to_xyz(primaries)
    shared = _parametric(curve)
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(adaptation.ravel()),
        **{channel + b"XYZ": _xyz(colorants[:, k]) for k, channel in enumerate((b"r", b"g", b"b"))},
        b"rTRC": shared,
        b"gTRC": shared,
        b"bTRC": shared,
    }
    return _assembled(tags)


def nclx_profile(primaries: int, transfer: int) -> bytes | None:
    """The profile for what HEIF and AVIF say about color in two numbers (ITU-T H.273); None for sRGB.

    As in browsers, the curves of video that differ little from sRGB's are taken for it.

    Raises:
        Refusal: If the values are HDR, with brightness beyond white: no picture that we write could say so.
    """
    if transfer in _HDR:
        raise Refusal(f"it is HDR ({_HDR[transfer]})", "export it without HDR")
    if transfer == _LINEAR_LIGHT:
        return rgb_profile("linear light", _NCLX.get(primaries, ("", SRGB_PRIMARIES))[1], LINEAR)
    return rgb_profile(*_NCLX[primaries], SRGB_CURVE) if primaries in _NCLX else None


def fitting(icc: bytes | None, pixels: Pixels) -> bytes | None:
    """A profile, if it is of the pixels' color model: gray or RGB."""
    return icc if icc and icc[16:20] == (b"GRAY" if pixels.ndim == 2 else b"RGB ") else None


def _to_xyz(primaries: Sequence[tuple[float, float]]) -> Matrix:
    """The matrix from linear RGB to XYZ, white D65."""
    directions = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    return directions * np.linalg.solve(directions, _D65)


def _adaptation() -> Matrix:
    """Bradford's matrix from D65 to the D50 of profiles."""
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ _D65)
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD  # type: ignore[no-any-return]


def _fixed(values: Sequence[float] | Matrix) -> bytes:
    """Numbers of 16 bits before and 16 behind the point."""
    return struct.pack(f">{len(values)}i", *(round(float(each) * 65536) for each in values))


def _xyz(values: Matrix) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _parametric(curve: Sequence[float]) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(curve)


def _text(words: str) -> bytes:
    encoded = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _assembled(tags: dict[bytes, bytes]) -> bytes:
    """Header, table and data; equal data are stored once, each from a multiple of four bytes."""
    at = _HEADER + 4 + 12 * len(tags)
    table, data, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for name, content in tags.items():
        if content not in places:
            places[content] = at + len(data)
            data += content + b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    size = _HEADER + len(table) + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    dates = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    rest = struct.pack(">4s28s", b"acsp", b"") + _fixed(_D50)
    return (head + dates + rest).ljust(_HEADER, b"\0") + table + data
