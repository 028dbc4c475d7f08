"""Gray pictures whose values are numbers, not shades, such as depth maps: PNG or TIFF, 8 or 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.codecs import kinds
from mfsynth.codecs.error import CodecError
from mfsynth.codecs.png import GRAY, RGB, decode_png, png_header
from mfsynth.codecs.tiff import decode_tiff, tiff_header
from mfsynth.limits import PICTURE_PIXELS

if TYPE_CHECKING:
    from mfsynth.codecs.png import Array

_HINT = "store it as gray with 8 or 16 bits, as a PNG or a TIFF"


def gray_size(data: bytes) -> tuple[int, int]:
    """Height and width that a gray PNG or TIFF declares.

    Raises:
        CodecError: If it is of another kind, if its header is broken, or it declares more than
            `limits.PICTURE_PIXELS`.
    """
    kind = kinds.kind_of(data)
    if kind == kinds.TIFF:
        header = tiff_header(data)
        return header.height, header.width
    if kind != kinds.PNG:
        raise CodecError(f"it is {kind}", _HINT)
    png = png_header(data)
    if png.color not in (GRAY, RGB) or png.depth < 8:
        raise CodecError(f"it is {png.kind}", _HINT)
    if png.width * png.height > PICTURE_PIXELS:
        raise CodecError(f"the PNG is {png.width} x {png.height}; at most {PICTURE_PIXELS:,} pixels are read")
    return png.size


def decode_gray(data: bytes, size: tuple[int, int] | None = None) -> Array:
    """Decode a gray PNG or TIFF to H x W, uint8 or uint16, its values as they are.

    A PNG may also be RGB with three equal channels, as many tools write gray.

    Args:
        data: The file's bytes.
        size: Height and width that it should have; None allows up to `limits.PICTURE_PIXELS`. Another size is
            noticed before anything is decoded.

    Raises:
        CodecError: If it has another size, is broken or cut short, or of a kind that is not read.
    """
    gray_size(data)
    if kinds.kind_of(data) == kinds.TIFF:
        return decode_tiff(data, size)
    array = decode_png(data, size)
    if array.ndim == 2:
        return array
    first: Array = array[..., 0].copy()
    if not (array == first[..., None]).all():
        raise CodecError("it is a color PNG, and colors are not depths", _HINT)
    return first
