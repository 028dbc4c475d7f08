"""PNGs: ours against other decoders, and everyone's against damage, bombs and kinds that masks come in."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from mfsynth import codecs
from mfsynth.codecs import CodecError
from mfsynth.limits import PICTURE_PIXELS

SIDES = st.integers(1, 60)
GRAY = st.tuples(SIDES, SIDES)
IMAGES = st.one_of(
    arrays.arrays(np.uint8, GRAY),
    arrays.arrays(np.uint16, GRAY),
    arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.just(3))),
)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def photo(height: int = 37, width: int = 52) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=9))
    small = rng.uniform(0, 255, (5, 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "png", **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png_of(width: int, height: int, depth: int, color: int, stream: bytes, interlaced: int = 0) -> bytes:
    """A PNG of whatever a header says and a stream holds."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def ids_of(colors: np.ndarray) -> np.ndarray:
    """The ids of H x W x 3 colors, by the formula of COCO's panoptic format."""
    return colors[..., 0].astype(int) + 256 * colors[..., 1].astype(int) + 65536 * colors[..., 2].astype(int)


def mask(height: int = 30, width: int = 40) -> np.ndarray:
    """Colors of a mask with areas, as segments have."""
    rng = np.random.Generator(np.random.Philox(key=2))
    colors = rng.integers(0, 256, (7, 3), np.uint8)
    areas = cv2.resize(rng.integers(0, 7, (5, 6), np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return colors[areas]


# --- writing ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(IMAGES)
def test_a_png_comes_back_as_it_was_here_and_in_other_decoders(array: np.ndarray) -> None:
    data = codecs.encode_png(array)
    assert np.array_equal(codecs.decode_png(data, array.shape[:2]), array)
    assert codecs.encode_png(array.copy()) == data
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), array)
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(other[..., ::-1] if other.ndim == 3 else other, array)


def label_maps() -> list[np.ndarray]:
    """Maps whose first bytes hash to many different places of a compressor's table."""
    maps = [np.full((16, 24), value, np.uint8) for value in range(256)]
    for value, labels in enumerate(maps):
        labels[5:10, 6:18] = (value + 7) % 256
    return maps


def test_equal_maps_are_equal_bytes_wherever_a_thread_has_its_memory() -> None:
    """A compressor that reads memory or a register that it never set depends on addresses.

    Each thread has a stack and, thanks to what stays allocated, a heap at addresses of its own.
    """
    maps, threads = label_maps(), 200
    together = threading.Barrier(threads)
    found: list[tuple[bytes, ...]] = []
    kept = []

    def encode() -> None:
        together.wait()
        kept.append(bytearray(1 << 16))
        found.append(tuple(map(codecs.encode_png, maps)))

    running = [threading.Thread(target=encode) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(found) == threads
    assert len(set(found)) == 1


PROCESS = """
import hashlib
import numpy as np
from mfsynth.codecs.png import encode_png
maps = [np.full((64, 64), value, np.uint8) for value in range(256)]
for value, labels in enumerate(maps):
    labels[20:40, 10:50] = (value + 7) % 256
print(hashlib.sha256(b"".join(map(encode_png, maps))).hexdigest())
"""


@pytest.mark.parametrize("processes", [4, pytest.param(150, marks=pytest.mark.slow)])
def test_equal_maps_are_equal_bytes_in_every_process(processes: int) -> None:
    command = [sys.executable, "-c", PROCESS]
    outcomes = {subprocess.check_output(command) for _ in range(processes)}
    assert len(outcomes) == 1


# --- reading ------------------------------------------------------------------------------------------


def test_pngs_of_others_are_read() -> None:
    picture = photo()
    assert np.array_equal(codecs.decode_png(saved(Image.fromarray(picture))), picture)
    gray = picture[..., 0]
    assert np.array_equal(codecs.decode_png(saved(Image.fromarray(gray))), gray)


def test_ids_are_red_green_and_blue_from_the_lowest_byte() -> None:
    ids = np.random.Generator(np.random.Philox(key=2)).integers(0, 1 << 24, (30, 40))
    rgb = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    assert np.array_equal(codecs.decode_ids(saved(Image.fromarray(rgb)), (30, 40)), ids)


def test_a_mask_in_several_chunks_and_with_bytes_behind_its_end_is_read() -> None:
    stream = zlib.compress(b"".join(b"\0" + row.tobytes() for row in mask()))
    pieces = [chunk(b"IDAT", stream[at : at + 50]) for at in range(0, len(stream), 50)]
    assert len(pieces) > 2
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0))
    data = SIGNATURE + header + chunk(b"tEXt", b"a\0b") + b"".join(pieces) + chunk(b"IEND", b"")
    for behind in (b"", b"\n", b"\0" * 999, data):
        assert np.array_equal(codecs.decode_ids(data + behind), ids_of(mask()))
        assert np.array_equal(codecs.decode_png(data + behind), mask())
    own = codecs.encode_png(mask())
    assert np.array_equal(codecs.decode_png(own + b"\0"), mask())


def interlaced(colors: np.ndarray) -> bytes:
    """An interlaced PNG: Adam7's passes, as the PNG specification lists them, without filters."""
    starts = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    passes = [colors[top::down, left::across] for top, left, down, across in starts]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    return png_of(colors.shape[1], colors.shape[0], 8, 2, zlib.compress(rows), 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (8, 8), (30, 41)])
def test_an_interlaced_mask_is_read(size: tuple[int, int]) -> None:
    colors = mask(*size)
    data = interlaced(colors)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), colors)
    assert np.array_equal(codecs.decode_ids(data), ids_of(colors))
    assert np.array_equal(codecs.decode_png(data), colors)


# --- damage -------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_a_damaged_or_cut_png_is_noticed(data: st.DataObject) -> None:
    png = codecs.encode_png(photo())
    with pytest.raises(CodecError):
        codecs.decode_png(png[: data.draw(st.integers(0, len(png) - 1))])
    at = data.draw(st.integers(0, len(png) - 1))
    flipped = bytearray(png)
    flipped[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CodecError):
        codecs.decode_png(bytes(flipped))


ADAM7 = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)


@pytest.mark.parametrize("color", [0, 2])
def test_interlaced_pictures_are_read(color: int) -> None:
    picture = photo() if color else photo()[..., 0]
    height, width = picture.shape[:2]
    passes = (picture[top::down, left::across] for left, top, across, down in ADAM7)
    rows = b"".join(b"\0" + row.tobytes() for each in passes for row in each if row.size)
    png = png_of(width, height, 8, color, zlib.compress(rows), interlaced=1)
    assert np.array_equal(codecs.decode_png(png), picture)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_color_that_is_declared_transparent_is_a_color(mode: str) -> None:
    image = Image.fromarray(photo()).convert(mode)
    png = saved(image, transparency=image.getpixel((3, 4)))
    assert np.array_equal(codecs.decode_png(png), np.asarray(image))


def test_a_filter_that_does_not_exist_is_refused() -> None:
    rows = b"".join(b"\7" + row.tobytes() for row in mask())
    with pytest.raises(CodecError, match="does not decode: invalid scanline filter"):
        codecs.decode_png(png_of(40, 30, 8, 2, zlib.compress(rows)))


@pytest.mark.parametrize(
    ("decode", "array"),
    [
        (codecs.decode_ids, mask()),
        (codecs.decode_png, mask()),
        (codecs.decode_png, mask()[..., 0].astype(np.uint16) * 257),  # OpenCV decodes it
    ],
)
def test_every_flipped_bit_and_every_cut_of_a_mask_is_noticed(
    decode: Callable[[bytes], np.ndarray], array: np.ndarray
) -> None:
    png = saved(Image.fromarray(array))
    for bit in range(8 * len(png)):
        flipped = bytearray(png)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            decode(bytes(flipped))
    for length in range(len(png)):
        with pytest.raises(CodecError):
            decode(png[:length])


@pytest.mark.parametrize("decode", [codecs.decode_ids, codecs.decode_png])
def test_rows_that_are_not_those_of_their_checksum_are_noticed(
    decode: Callable[[bytes], np.ndarray],
) -> None:
    """The chunks' checksums are right, as where a file was damaged before it was packed."""
    rows = b"".join(b"\0" + row.tobytes() for row in mask())
    stream = zlib.compress(rows, 0)
    assert decode(png_of(40, 30, 8, 2, stream)).size
    for at in (20, len(stream) // 2, len(stream) - 2):
        damaged = stream[:at] + bytes([stream[at] ^ 4]) + stream[at + 1 :]
        with pytest.raises(CodecError, match="does not decompress"):
            decode(png_of(40, 30, 8, 2, damaged))
    with pytest.raises(CodecError, match="cut short"):
        decode(png_of(40, 30, 8, 2, stream[:-1]))
    with pytest.raises(CodecError, match="cut short: 3509 of 3630 bytes"):
        decode(png_of(40, 30, 8, 2, zlib.compress(rows[:-121])))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"GIF89a" + bytes(60), "it is not a PNG"),
        (SIGNATURE, "cut short"),
        (SIGNATURE + chunk(b"IDAT", bytes(13)) + bytes(40), "does not begin with a header"),
        (png_of(0, 5, 8, 2, b""), "says that it is 0 x 5"),
        (png_of(5, 1 << 31, 8, 2, b""), "says that it is 5 x 2147483648"),
        (png_of(5, 5, 3, 2, b""), "a header that the format does not allow"),
        (png_of(5, 5, 8, 2, b"", 2), "a header that the format does not allow"),
        (png_of(5, 5, 8, 2, b""), "cut short: 0 of 80 bytes"),
        (saved(Image.fromarray(mask()))[:33] + chunk(b"CgBI", b"") + bytes(40), "unknown critical chunk"),
    ],
)
def test_what_is_not_a_png_is_named_as_what_it_is(data: bytes, reason: str) -> None:
    for decode in (codecs.decode_ids, codecs.decode_png):
        with pytest.raises(CodecError, match=reason):
            decode(data)


# --- sizes --------------------------------------------------------------------------------------------


def test_another_size_is_refused_by_the_header() -> None:
    """What follows the header is not looked at."""
    png = png_of(25_000, 24_000, 8, 2, b"not a zlib stream")
    assert codecs.png_header(png).size == (24_000, 25_000)
    for decode in (codecs.decode_ids, codecs.decode_png):
        with pytest.raises(CodecError, match="the PNG is 25000 x 24000, not 40 x 30"):
            decode(png, (30, 40))
        with pytest.raises(CodecError, match=f"at most {PICTURE_PIXELS:,} pixels"):
            decode(png)


SMALL_MEMORY = """
import resource, sys
from mfsynth import codecs
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (150 << 20),) * 2)
for path in sys.argv[1:]:
    for decode in (codecs.decode_ids, codecs.decode_png):
        try:
            decode(open(path, "rb").read())
        except codecs.CodecError as error:
            print(error)
"""


def test_bombs_cost_no_memory(tmp_path: Path) -> None:
    """With 150 MB to spare: a stream of a gigabyte in a small picture, and a large picture with no stream."""
    deflate = zlib.compressobj(9, wbits=-15)
    million = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    stream = b"\x78\x01" + 1024 * million + deflate.flush() + bytes(4)
    (tmp_path / "stream").write_bytes(png_of(640, 480, 8, 2, stream))
    (tmp_path / "gray").write_bytes(png_of(640, 480, 16, 0, stream))
    (tmp_path / "empty").write_bytes(png_of(16_000, 16_000, 8, 2, zlib.compress(bytes(5))))
    command = [sys.executable, "-c", SMALL_MEMORY, *(tmp_path / n for n in ("stream", "gray", "empty"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *["the PNG inflates to more than the 922080 bytes that it declares"] * 2,
        *["the PNG inflates to more than the 614880 bytes that it declares"] * 2,
        *["the PNG's pixels are cut short: 5 of 768016000 bytes"] * 2,
    ]


# --- masks of other kinds -----------------------------------------------------------------------------

INDICES = cv2.resize(np.arange(12, dtype=np.uint8).reshape(3, 4) % 4, (40, 30), interpolation=cv2.INTER_AREA)
PALETTE = np.random.Generator(np.random.Philox(key=3)).integers(1, 256, (4, 3), np.uint8)


def palette_png(indices: np.ndarray, palette: np.ndarray, bits: int = 8) -> bytes:
    """A palette PNG as the specification describes it, without filters."""
    each = np.unpackbits(indices[..., None], axis=-1)[..., 8 - bits :]
    rows = np.packbits(each.reshape(len(indices), -1), axis=1)
    png = png_of(indices.shape[1], len(indices), bits, 3, zlib.compress(b"\0" + b"\0".join(map(bytes, rows))))
    return png[:33] + chunk(b"PLTE", palette.tobytes()) + png[33:]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_palette_is_read_by_its_colors_or_its_indices(bits: int) -> None:
    png = palette_png(INDICES, PALETTE, bits=bits)
    colors = ids_of(PALETTE)[INDICES]
    with Image.open(io.BytesIO(png)) as image:
        assert np.array_equal(ids_of(np.asarray(image.convert("RGB"))), colors)
    assert codecs.png_header(png).kind == f"{'an' if bits == 8 else 'a'} {bits}-bit palette PNG"
    assert np.array_equal(codecs.decode_ids(png), colors)
    assert np.array_equal(codecs.decode_ids(png, listed=np.unique(colors).tolist()), colors)
    assert np.array_equal(codecs.decode_ids(png, listed=[0, 1, 2, 3]), INDICES)
    assert np.array_equal(codecs.decode_ids(png, listed=[1, 2, 3, 9]), INDICES)  # its check is not here
    with pytest.raises(CodecError, match=r"palette PNG, and neither its colors nor its indices are"):
        codecs.decode_ids(png, listed=[77])


def test_a_palette_that_could_mean_two_things_is_refused() -> None:
    swapped = np.zeros((4, 3), np.uint8)
    swapped[:, 0] = [0, 2, 1, 3]  # the ids 1 and 2, by their colors, are the indices 2 and 1
    with pytest.raises(CodecError, match="both its colors and its indices are listed"):
        codecs.decode_ids(palette_png(INDICES, swapped), listed=[1, 2, 3])
    same = np.zeros((4, 3), np.uint8)
    same[:, 0] = range(4)
    assert np.array_equal(codecs.decode_ids(palette_png(INDICES, same), listed=[1, 2, 3]), INDICES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_is_read_by_its_values(dtype: type) -> None:
    values = (INDICES.astype(dtype) * np.iinfo(dtype).max // 3).astype(dtype)
    png = saved(Image.fromarray(values))
    assert np.array_equal(codecs.decode_ids(png, listed=np.unique(values)[1:].tolist()), values)
    with pytest.raises(CodecError, match=f"{8 * values.itemsize}-bit gray PNG, and .*its values are"):
        codecs.decode_ids(png, listed=[5])


def test_gray_that_an_optimizer_made_of_colors_is_read_as_colors() -> None:
    png = saved(Image.fromarray(INDICES))
    colors = ids_of(np.dstack([INDICES] * 3))
    assert np.array_equal(codecs.decode_ids(png, listed=np.unique(colors).tolist()), colors)
    assert np.array_equal(codecs.decode_ids(png), colors)
    one_bit = saved(Image.fromarray(INDICES > 1))
    assert np.array_equal(codecs.decode_ids(one_bit, listed=[0xFFFFFF]), 0xFFFFFF * (INDICES > 1))
    assert np.array_equal(codecs.decode_ids(one_bit, listed=[1]), INDICES > 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("alpha", [255, 0, 99])
def test_alpha_is_ignored_where_the_colors_are_listed(mode: str, alpha: int) -> None:
    colors = mask() if mode == "RGBA" else np.dstack([INDICES] * 3)
    image = Image.fromarray(colors).convert(mode)
    image.putalpha(alpha)
    ids = ids_of(colors)
    png = saved(image)
    assert np.array_equal(codecs.decode_ids(png, listed=np.unique(ids).tolist()), ids)
    if mode == "LA" or alpha < 255:
        with pytest.raises(CodecError, match=r"RGBA PNG with transparent pixels|gray and alpha PNG"):
            codecs.decode_ids(png, listed=[123])


def test_sixteen_bits_a_channel_are_refused_by_name() -> None:
    wide = cv2.imencode(".png", mask().astype(np.uint16))[1].tobytes()
    with pytest.raises(
        CodecError, match="it is a 16-bit RGB PNG; segment ids are the colors of an 8-bit RGB"
    ):
        codecs.decode_ids(wide)


def test_a_pixel_without_a_color_is_noticed() -> None:
    with pytest.raises(CodecError, match="is not in its palette"):
        codecs.decode_ids(palette_png(INDICES, PALETTE[:2]), listed=[0, 1, 2, 3])
