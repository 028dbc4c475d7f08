from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from mfsynth import codecs
from mfsynth.codecs import CodecError

SIDES = st.integers(1, 60)
GRAY = st.tuples(SIDES, SIDES)
IMAGES = st.one_of(
    arrays.arrays(np.uint8, GRAY),
    arrays.arrays(np.uint16, GRAY),
    arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.just(3))),
)


def photo(height: int = 37, width: int = 52) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=9))
    small = rng.uniform(0, 255, (5, 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@settings(deadline=None)
@given(IMAGES)
def test_a_png_comes_back_as_it_was_here_and_in_other_decoders(array: np.ndarray) -> None:
    data = codecs.encode_png(array)
    assert np.array_equal(codecs.decode_png(data), array)
    assert codecs.encode_png(array.copy()) == data
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), array)
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(other[..., ::-1] if other.ndim == 3 else other, array)


def test_pngs_of_others_are_read() -> None:
    picture = photo()
    assert np.array_equal(codecs.decode_png(saved(Image.fromarray(picture), "png")), picture)
    gray = picture[..., 0]
    assert np.array_equal(codecs.decode_png(saved(Image.fromarray(gray), "png")), gray)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_or_cut_png_is_noticed(data: st.DataObject) -> None:
    png = codecs.encode_png(photo())
    with pytest.raises(CodecError):
        codecs.decode_png(png[: data.draw(st.integers(0, len(png) - 1))])
    at = data.draw(st.integers(12, len(png) - 17))
    flipped = bytearray(png)
    flipped[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CodecError):
        codecs.decode_png(bytes(flipped))


def test_panoptic_ids_are_red_green_and_blue_from_the_lowest_byte() -> None:
    ids = np.random.Generator(np.random.Philox(key=2)).integers(0, 1 << 24, (30, 40))
    rgb = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    png = saved(Image.fromarray(rgb), "png")
    assert np.array_equal(codecs.decode_ids(png), ids)
    for broken in (b"", png[:-1], png[: len(png) // 2], b"GIF89a" + png[6:]):
        with pytest.raises(CodecError):
            codecs.decode_ids(broken)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_tag_turns_nothing_and_is_set_to_one_in_place(orientation: int, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = orientation
    data = saved(Image.fromarray(photo()), "jpeg", exif=exif, quality=90)
    plain = saved(Image.fromarray(photo()), "jpeg", quality=90)
    header = codecs.jpeg_header(data)
    upright = codecs.upright_jpeg(data, header)
    assert header.orientation == orientation
    assert np.array_equal(codecs.decode_picture(data), codecs.decode_picture(plain))
    assert np.array_equal(codecs.decode_picture(upright), codecs.decode_picture(plain))
    assert len(upright) == len(data)
    assert sum(a != b for a, b in zip(upright, data, strict=True)) == int(orientation != 1)
    assert codecs.jpeg_header(upright).orientation == 1
    with Image.open(io.BytesIO(upright)) as image:
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(image)), np.asarray(image))


@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpegs_header_tells_channels_and_depth(mode: str, components: int, progressive: bool) -> None:
    data = saved(Image.fromarray(photo()).convert(mode), "jpeg", progressive=progressive)
    header = codecs.jpeg_header(data)
    assert (header.components, header.precision) == (components, 8)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_cut_jpeg_is_noticed(share: float) -> None:
    data = saved(Image.fromarray(photo(200, 300)), "jpeg")
    with pytest.raises(CodecError):
        codecs.decode_picture(data[: int(share * len(data))])


def test_jpeg_frames_are_quality_95_without_subsampling() -> None:
    reference = saved(Image.fromarray(photo()), "jpeg", quality=95, subsampling=0)
    with (
        Image.open(io.BytesIO(codecs.encode_jpeg(photo()))) as ours,
        Image.open(io.BytesIO(reference)) as theirs,
    ):
        assert ours.quantization == theirs.quantization
        assert [layer[1:3] for layer in ours.layer] == [(1, 1)] * 3
        assert np.abs(np.asarray(ours).astype(int) - photo()).mean() < 2


def test_other_kinds_of_picture_become_8_bit_rgb() -> None:
    picture = photo()
    image = Image.fromarray(picture)
    alpha = Image.fromarray(np.dstack([picture, np.full(picture.shape[:2], 7, np.uint8)]))
    palette = image.quantize(17)
    sixteen = cv2.imencode(".png", (picture.astype(np.uint16) << 8 | 99)[..., ::-1])[1].tobytes()
    assert np.array_equal(codecs.decode_picture(saved(alpha, "png")), picture)
    assert np.array_equal(codecs.decode_picture(saved(palette, "png")), np.asarray(palette.convert("RGB")))
    assert np.array_equal(codecs.decode_picture(saved(image, "tiff")), picture)
    assert np.array_equal(codecs.decode_picture(sixteen), picture)
    gray = saved(image.convert("L"), "png")
    assert np.array_equal(codecs.decode_picture(gray), np.asarray(image.convert("L").convert("RGB")))
