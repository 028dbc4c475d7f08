"""Gray PNGs and TIFFs as other programs write them; damage, bombs and kinds that are no numbers."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from mfsynth.codecs import CodecError, decode_gray, gray_size
from mfsynth.codecs.tiff import tiff_header
from mfsynth.limits import PICTURE_PIXELS

SIDES = st.tuples(st.integers(1, 60), st.integers(1, 60))
GRAY = st.one_of(arrays.arrays(np.uint8, SIDES), arrays.arrays(np.uint16, SIDES))
METHODS = {"raw": None, "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "packbits": "packbits"}
CODES = {"none": 1, "LZW": 5, "deflate": 8, "PackBits": 32773}


def ramp(kind: type = np.uint16, height: int = 240, width: int = 320) -> np.ndarray:
    """A slope with some grain, H x W."""
    rows = np.linspace(0, np.iinfo(kind).max * 0.9, height)[:, None]
    grain = np.random.default_rng(1).uniform(0, np.iinfo(kind).max / 20, (height, width))
    return (rows + grain).astype(kind)


def saved(array: np.ndarray, kind: str = "TIFF", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


@given(array=GRAY, method=st.sampled_from(sorted(METHODS)))
@settings(max_examples=60, deadline=None)
def test_tiffs_of_pillow_are_read(array: np.ndarray, method: str) -> None:
    data = saved(array, compression=METHODS[method])
    assert gray_size(data) == array.shape
    found = decode_gray(data, array.shape)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("method", CODES)
def test_tiffs_of_opencv_are_read(method: str, kind: type) -> None:
    """With its predictor, in many strips, and long enough that LZW clears its table."""
    array = ramp(kind)
    encoded = cv2.imencode(".tif", array, [cv2.IMWRITE_TIFF_COMPRESSION, CODES[method]])[1].tobytes()
    assert np.array_equal(decode_gray(encoded), array)


def test_a_tiff_may_have_the_other_byte_order() -> None:
    array = ramp(height=9, width=7)
    swapped = tiff(array.astype(">u2").tobytes(), 9, 7, order=">")
    assert np.array_equal(np.array(Image.open(io.BytesIO(swapped))), array)
    assert np.array_equal(decode_gray(swapped), array)


@pytest.mark.parametrize("array", [ramp(np.uint8), ramp(np.uint16)], ids=["8 bits", "16 bits"])
def test_pngs_are_read(array: np.ndarray) -> None:
    assert np.array_equal(decode_gray(saved(array, "PNG")), array)
    assert np.array_equal(decode_gray(cv2.imencode(".png", array)[1].tobytes()), array)
    three = np.repeat(array[..., None], 3, axis=2)  # as Depth Anything's own script stores gray
    assert np.array_equal(decode_gray(cv2.imencode(".png", three)[1].tobytes()), array)


def tiff(pixels: bytes, height: int, width: int, *, order: str = "<", more: int = 0, **tags: int) -> bytes:
    """A 16-bit TIFF of one strip; `tags` replace or add to its numbers, by "t" and the tag."""
    numbers = {
        256: width,
        257: height,
        258: 16,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: len(pixels),
    }
    numbers |= {int(name[1:]): value for name, value in tags.items()}
    start = 8 + len(pixels)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    entries = b"".join(
        struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in sorted(numbers.items())
    )
    return head + pixels + struct.pack(f"{order}H", len(numbers)) + entries + struct.pack(f"{order}I", more)


def _palette() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ramp(np.uint8)).convert("P").save(buffer, "PNG")
    return buffer.getvalue()


PIXELS = ramp(height=6, width=5).tobytes()
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "a JPEG": (saved(ramp(np.uint8), "JPEG"), "it is a JPEG"),
    "a BigTIFF": (b"II+\0" + bytes(40), "it is a BigTIFF"),
    "color": (saved(np.dstack([ramp(np.uint8), *[ramp(np.uint8) // 2] * 2]), "PNG"), "a color PNG"),
    "a GIF": (saved(ramp(np.uint8), "GIF"), "it is a GIF"),
    "1 bit": (saved(ramp(np.uint8) > 9, "PNG"), "it is a 1-bit gray PNG"),
    "a palette": (_palette(), "it is an 8-bit palette PNG"),
    "gray and alpha": (saved(np.dstack([ramp(np.uint8)] * 2), "PNG"), "8-bit gray and alpha PNG"),
    "float": (saved(ramp(np.uint16).astype(np.float32)), "holds signed or floating-point numbers"),
    "float of no format": (tiff(PIXELS, 6, 5, t258=32), "neither 8 nor 16 bits"),
    "signed": (tiff(PIXELS, 6, 5, t339=2), "signed or floating-point"),
    "RGB": (saved(np.dstack([ramp(np.uint8)] * 3)), "has several channels"),
    "white is zero": (tiff(PIXELS, 6, 5, t262=0), "not gray with 0 for black"),
    "tiles": (tiff(PIXELS, 6, 5, t322=16), "stored in tiles"),
    "JPEG inside": (tiff(PIXELS, 6, 5, t259=7), "compressed by a method other"),
    "turned": (tiff(PIXELS, 6, 5, t274=6), "has an orientation tag"),
    "several pictures": (tiff(PIXELS, 6, 5, more=8), "holds several pictures"),
    "no pixels": (tiff(PIXELS, 0, 5), "the TIFF is 5 x 0"),
    "too large": (tiff(PIXELS, 1 << 20, 1 << 20), f"1 to {PICTURE_PIXELS:,} pixels"),
    "too few bytes": (tiff(PIXELS, 6, 6), "too few pixels"),
    "beyond the end": (tiff(PIXELS, 6, 5, t273=99999), "cut short"),
    "no rows": (tiff(PIXELS, 6, 5, t278=0), "does not say where its rows are"),
    "a strip too few": (tiff(PIXELS, 6, 5, t278=3), "does not say where its rows are"),
    "cut": (saved(ramp())[:-20], "cut short"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_numbers_is_refused_by_name(name: str) -> None:
    data, said = REFUSED[name]
    with pytest.raises(CodecError, match=said):
        decode_gray(data)


def test_another_size_is_noticed_before_decoding() -> None:
    for data in (tiff(b"", 6, 5, t279=0), saved(ramp(), "PNG")[:60]):
        with pytest.raises(CodecError, match="not 7 x 8"):
            decode_gray(data, (8, 7))


@pytest.mark.parametrize("method", ["lzw", "deflate", "packbits"])
def test_a_compressed_strip_that_ends_early_is_refused(method: str) -> None:
    array = ramp(np.uint8, 60, 80)
    whole = saved(array, compression=METHODS[method], strip_size=1 << 20)
    ((start, length),) = tiff_header(whole).strips
    code = {"lzw": 5, "deflate": 8, "packbits": 32773}[method]
    for kept in range(0, length - 4, length // 9):
        strip = whole[start : start + kept]
        with pytest.raises(CodecError, match=r"too few pixels|does not end where it should"):
            decode_gray(tiff(strip, 60, 80, t258=8, t259=code))
    assert np.array_equal(decode_gray(tiff(whole[start : start + length], 60, 80, t258=8, t259=code)), array)


def test_damage_in_a_deflated_strip_is_noticed() -> None:
    """It has a checksum; LZW, PackBits and plain bytes have none."""
    whole = saved(ramp(np.uint8), compression="tiff_adobe_deflate")
    for at in range(200, len(whole) - 400, len(whole) // 9):
        with pytest.raises(CodecError):
            decode_gray(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])


def test_lzw_that_only_clears_its_table_is_refused() -> None:
    """Such a strip would take far longer than its pixels are worth."""
    clears = b"\x80\x40\x20\x10\x08\x04\x02\x01\x00" * 99_999  # the code 256, in 9 bits
    with pytest.raises(CodecError, match="cleared too often"):
        decode_gray(tiff(clears, 6, 5, t259=5))


def test_strips_that_share_their_bytes_are_refused() -> None:
    """Else a small file could make a picture as large as any, and take as long."""
    strips = 1000
    pixels = bytes(strips * 10)
    table = 8 + len(pixels)
    lists = struct.pack(f"<{strips}I", *[8] * strips) + struct.pack(f"<{strips}I", *[len(pixels)] * strips)
    numbers = [
        (256, 5),
        (257, strips),
        (258, 16),
        (262, 1),
        (273, table),
        (278, 1),
        (279, table + 4 * strips),
    ]
    entries = b"".join(
        struct.pack("<HHII", tag, 4, strips if tag in (273, 279) else 1, value) for tag, value in numbers
    )
    head = b"II*\0" + struct.pack("<I", table + len(lists))
    data = head + pixels + lists + struct.pack("<H", len(numbers)) + entries + bytes(4)
    with pytest.raises(CodecError, match="strips that overlap"):
        decode_gray(data)
