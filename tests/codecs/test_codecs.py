from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from mfsynth import codecs
from mfsynth.codecs import CodecError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # of EXIF that is odd


def photo(height: int = 37, width: int = 52) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=9))
    small = rng.uniform(0, 255, (5, 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opencv(data: bytes) -> np.ndarray:
    """A JPEG's pixels by another decoder."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def upright(image: Image.Image) -> np.ndarray:
    """What readers that honor orientation tags show."""
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def shown(data: bytes) -> list[np.ndarray]:
    """A picture as Pillow and OpenCV show it by default, orientation tags honored."""
    with Image.open(io.BytesIO(data)) as image:
        return [upright(image), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)]


def exif_of(order: str, *entries: tuple[int, int, int, bytes], second: bytes = b"") -> bytes:
    """EXIF with entries (tag, kind, count, four bytes of value) in its first directory."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHI", *each[:3]) + each[3] for each in entries)
    following = struct.pack(order + "I", len(head) + 2 + len(body) + 4 if second else 0)
    return head + struct.pack(order + "H", len(entries)) + body + following + second


def tag(
    order: str, value: int, kind: str = "H", code: int = 3, count: int = 1
) -> tuple[int, int, int, bytes]:
    """The orientation as a directory's entry."""
    return 0x0112, code, count, struct.pack(order + kind * count, *[value] * count).ljust(4, b"\0")


def app1(payload: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def with_segments(*payloads: bytes) -> bytes:
    """A JPEG with APP1 segments."""
    data = saved(Image.fromarray(photo()), "jpeg", quality=90)
    return data[:2] + b"".join(map(app1, payloads)) + data[2:]


def xmp(description: str, namespace: str = "tiff") -> bytes:
    text = (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:{namespace}="http://ns.adobe.com/tiff/1.0/" {description}'
        "</rdf:RDF></x:xmpmeta>"
    )
    return text.encode()


XMP, MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)
ATTRIBUTE, ELEMENT = 'tiff:Orientation="6"/>', "><tiff:Orientation>6</tiff:Orientation></rdf:Description>"
EXIF = b"Exif\0\0"
FILLER = (0x0131, 2, 4, b"abc\0")
SPELLINGS = {
    "short, little-endian": EXIF + exif_of("<", FILLER, tag("<", 6)),
    "short, big-endian": EXIF + exif_of(">", FILLER, tag(">", 6)),
    "long, little-endian": EXIF + exif_of("<", tag("<", 6, "I", 4)),
    "long, big-endian": EXIF + exif_of(">", tag(">", 6, "I", 4)),
    "byte": EXIF + exif_of(">", tag(">", 6, "B", 1)),
    "two values": EXIF + exif_of(">", tag(">", 6, count=2)),
    "repeated": EXIF + exif_of("<", tag("<", 6), tag("<", 6)),
    "attribute": XMP + xmp(ATTRIBUTE),
    "attribute in single quotes": XMP + xmp(ATTRIBUTE.replace('"', "'")),
    "attribute with blanks": XMP + xmp('tiff:Orientation = "6"/>'),
    "element": XMP + xmp(ELEMENT),
    "another prefix": XMP + xmp('t:Orientation="6"/>', namespace="t"),
    "extended XMP": MORE_XMP + xmp(ATTRIBUTE),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_orientation_is_read_and_made_neutral(spelling: str) -> None:
    data = with_segments(SPELLINGS[spelling])
    neutral = codecs.neutral_jpeg(data)
    assert codecs.orientation_of(data) == 6
    assert codecs.orientation_of(neutral) == 1
    assert len(neutral) == len(data)
    assert np.array_equal(codecs.decode_picture(neutral), opencv(data))
    assert all(np.array_equal(each, opencv(data)) for each in shown(neutral))
    assert codecs.neutral_jpeg(neutral) == neutral


def test_spellings_that_readers_honor_are_among_those() -> None:
    """The tests above would pass with tags that nobody reads."""
    turned = codecs.turned(opencv(with_segments()), 6)
    honored = [
        name for name, each in SPELLINGS.items() if np.array_equal(shown(with_segments(each))[0], turned)
    ]
    assert {"short, big-endian", "long, big-endian", "repeated", "attribute", "element"} <= set(honored)


@pytest.mark.parametrize(
    "segments",
    [
        (EXIF + exif_of("<", tag("<", 3)), EXIF + exif_of(">", tag(">", 6))),
        (EXIF + exif_of("<", FILLER, tag("<", 8))[:20], EXIF + exif_of("<", FILLER, tag("<", 8))[20:]),
        (EXIF + exif_of("<", tag("<", 0)), XMP + xmp(ATTRIBUTE)),
        (EXIF + exif_of("<", tag("<", 9)),),
        (XMP + xmp(ATTRIBUTE), XMP + xmp(ELEMENT), MORE_XMP + xmp(ATTRIBUTE)),
        (MORE_XMP + xmp(ATTRIBUTE)[:-80], MORE_XMP + xmp(ATTRIBUTE)[-80:]),
        (EXIF + exif_of("<", tag("<", 6))[:-6],),
    ],
)
def test_several_tags_and_broken_ones_are_made_neutral(segments: tuple[bytes, ...]) -> None:
    neutral = codecs.neutral_jpeg(with_segments(*segments))
    assert codecs.orientation_of(neutral) == 1
    assert all(np.array_equal(each, opencv(neutral)) for each in shown(neutral))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([EXIF, EXIF + b"II*\0\x08\0\0\0", XMP, MORE_XMP]))
def test_metadata_of_any_bytes_costs_no_pixel(payload: bytes, prefix: bytes) -> None:
    data = with_segments(prefix + payload)
    neutral = codecs.neutral_jpeg(data)
    assert 1 <= codecs.orientation_of(data) <= 8
    assert codecs.orientation_of(neutral) == 1
    assert np.array_equal(opencv(neutral), opencv(data))


@settings(deadline=None)
@given(st.data())
def test_readers_agree_on_damaged_metadata_too(data: st.DataObject) -> None:
    payload = bytearray(SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))])
    payload[data.draw(st.integers(6, len(payload) - 1))] = data.draw(st.integers(0, 255))
    neutral = codecs.neutral_jpeg(with_segments(bytes(payload)))
    assert all(np.array_equal(each, opencv(neutral)) for each in shown(neutral))


def test_a_thumbnails_orientation_is_not_the_pictures() -> None:
    second = exif_of("<", tag("<", 6))[8:]
    data = with_segments(EXIF + exif_of("<", FILLER, second=second))
    assert codecs.orientation_of(data) == 1
    assert codecs.neutral_jpeg(data) == data


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_tag_turns_nothing_and_is_set_to_one_in_place(orientation: int, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = orientation
    data = saved(Image.fromarray(photo()), "jpeg", exif=exif, quality=90)
    neutral = codecs.neutral_jpeg(data)
    assert codecs.orientation_of(data) == orientation
    assert np.array_equal(codecs.decode_picture(data), opencv(data))
    assert sum(a != b for a, b in zip(neutral, data, strict=True)) == int(orientation != 1)
    stored = codecs.decode_picture(data)
    assert all(np.array_equal(codecs.turned(stored, orientation), each) for each in shown(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_other_kinds_of_picture_have_orientations_too(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {}
    data = saved(Image.fromarray(photo()), kind, exif=exif, **options)
    assert codecs.orientation_of(data) == orientation
    assert np.array_equal(codecs.decode_picture(data), photo())
    assert np.array_equal(codecs.turned(photo(), orientation), shown(data)[0])


def test_a_pngs_xmp_has_an_orientation() -> None:
    information = PngInfo()
    information.add_itxt("XML:com.adobe.xmp", xmp(ATTRIBUTE).decode())
    assert codecs.orientation_of(saved(Image.fromarray(photo()), "png", pnginfo=information)) == 6


@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpegs_header_tells_channels_and_depth(mode: str, components: int, progressive: bool) -> None:
    data = saved(Image.fromarray(photo()).convert(mode), "jpeg", progressive=progressive)
    header = codecs.jpeg_header(data)
    assert (header.components, header.precision) == (components, 8)


@pytest.mark.parametrize("size", [(1, 1), (7, 1), (16, 16), (37, 52), (65, 130)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 5, "optimize": True},
        {"quality": 100, "subsampling": "4:4:4"},
        {"subsampling": "4:2:2", "restart_marker_blocks": 3},
        {"subsampling": "4:2:0", "restart_marker_rows": 1},
        {"subsampling": "4:1:1"},
        {"progressive": True, "quality": 90},
        {"keep_rgb": True},
    ],
)
def test_a_jpegs_pixels_are_those_of_other_decoders(size: tuple[int, int], mode: str, options: dict) -> None:
    image = Image.fromarray(photo(*size)).convert(mode)
    data = saved(image, "jpeg", **options)
    assert np.array_equal(codecs.decode_picture(data), opencv(data))
    with Image.open(io.BytesIO(data)) as other:
        assert np.array_equal(codecs.decode_picture(data), np.asarray(other.convert("RGB")))


@pytest.mark.parametrize("restart", [0, 20])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_is_noticed(progressive: bool, restart: int) -> None:
    options = {"progressive": progressive, "restart_marker_blocks": restart}
    data = saved(Image.fromarray(photo(48, 64)), "jpeg", **options)
    for length in range(len(data)):
        with pytest.raises(CodecError):
            codecs.decode_picture(data[:length])
        with pytest.raises(CodecError):
            codecs.decode_picture(data[:length] + bytes(len(data) - length))


NOISE = np.random.Generator(np.random.Philox(key=3)).bytes(60)
DAMAGE = {
    "a lost block": lambda data, at: data[:at] + data[at + 400 :],
    "a hole": lambda data, at: data[:at] + bytes(400) + data[at + 400 :],
    "wrong bytes": lambda data, at: data[:at] + NOISE.replace(b"\xff", b"\0") + data[at + 60 :],
    "a lost restart interval": lambda data, at: data[:at] + data[data.index(b"\xff\xd5", at) :],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_the_jpeg_decoder_warns_of_is_damage(damage: str) -> None:
    data = saved(Image.fromarray(photo(240, 320)), "jpeg", quality=92, restart_marker_blocks=40)
    at = data.index(b"\xff\xd3")
    with pytest.raises(CodecError, match="the JPEG is damaged: "):
        codecs.decode_picture(DAMAGE[damage](data, at))


@settings(deadline=None)
@given(st.data())
def test_a_changed_jpeg_is_damaged_or_what_other_decoders_make_of_it(data: st.DataObject) -> None:
    options = {
        "progressive": data.draw(st.booleans()),
        "restart_marker_blocks": data.draw(st.sampled_from([0, 2])),
    }
    jpeg = saved(Image.fromarray(photo(24, 40)), "jpeg", **options)
    at = data.draw(st.integers(2, len(jpeg) - 1))
    changed = jpeg[:at] + data.draw(st.binary(max_size=9)) + jpeg[at + data.draw(st.integers(0, 9)) :]
    try:
        picture = codecs.decode_picture(changed)
    except CodecError:
        return
    assert np.array_equal(picture, opencv(changed))


def test_what_follows_a_jpegs_end_is_no_damage() -> None:
    data = saved(Image.fromarray(photo()), "jpeg")
    assert np.array_equal(codecs.decode_picture(data + b"a trailer" + bytes(4096)), opencv(data))


def test_a_jpeg_of_endlessly_many_scans_is_refused() -> None:
    data = saved(Image.fromarray(photo()), "jpeg", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert np.array_equal(codecs.decode_picture(data), opencv(data))
    with pytest.raises(CodecError, match="more than 500 scans"):
        codecs.decode_picture(data[:-2] + 500 * last + data[-2:])


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
    assert np.array_equal(codecs.decode_picture(saved(image, "bmp")), picture)
    assert np.array_equal(codecs.decode_picture(sixteen), picture)
    gray = saved(image.convert("L"), "png")
    assert np.array_equal(codecs.decode_picture(gray), np.asarray(image.convert("L").convert("RGB")))


def test_a_jpeg_of_another_size_is_refused_before_it_is_decoded() -> None:
    data = saved(Image.fromarray(photo()), "jpeg")
    assert np.array_equal(codecs.decode_jpeg(data, (37, 52)), codecs.decode_picture(data))
    with pytest.raises(CodecError, match="the JPEG is 52 x 37, not 37 x 52"):
        codecs.decode_jpeg(data[:-200], (52, 37))


@pytest.mark.parametrize(("height", "width"), [(0, 56), (40, 0)])
def test_a_jpeg_that_says_it_has_no_pixels_is_refused(height: int, width: int) -> None:
    data = saved(Image.fromarray(photo()), "jpeg")
    at = data.index(b"\xff\xc0") + 5
    data = data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
    with pytest.raises(CodecError, match=f"it is a JPEG that says it is {width} x {height}"):
        codecs.decode_picture(data)
