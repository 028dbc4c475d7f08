from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from mfsynth.errors import OutputError
from zoo.errors import PictureError
from zoo.pictures.kinds import unreadable
from zoo.pictures.picture import PictureFile
from zoo.pictures.read import read_picture
from zoo.pictures.write import check_output, write_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]
TURNS = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
"""What turns the stored picture upright, from orientation 1 on, as Pillow's own tables have it."""


def photo(dtype: type = np.uint8, channels: int = 3, size: tuple[int, int] = (37, 52)) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=9))
    small = rng.uniform(0, np.iinfo(dtype).max, (5, 6, 3)).astype(np.float32)
    large = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    picture = np.clip(large, 0, np.iinfo(dtype).max).astype(dtype)
    return picture if channels == 3 else picture[..., 0].copy()


def upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    turn = TURNS[orientation - 1]
    if turn is None:
        return picture
    planes = picture[..., None] if picture.ndim == 2 else picture
    turned = [
        np.asarray(Image.fromarray(plane.astype(np.int32)).transpose(turn))
        for plane in np.moveaxis(planes, -1, 0)
    ]
    return np.stack(turned, -1).reshape(turned[0].shape + picture.shape[2:]).astype(picture.dtype)


def exif(orientation: int = 1, order: str = "<") -> Image.Exif:
    made = Image.Exif()
    made.endian = order
    made[0x0112] = orientation
    made[0x010F] = "A maker"
    made.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    made.get_ifd(0x8769)[0x829A] = 0.02
    made.get_ifd(0x8825)[1] = "N"
    return made


def raw(made: Image.Exif) -> bytes:
    return made.tobytes().removeprefix(b"Exif\0\0")


def saved(path: Path, picture: np.ndarray, **options: object) -> Path:
    Image.fromarray(picture).save(path, **options)
    return path


def png_of_16_bits(path: Path, picture: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    data = cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)[1].tobytes()
    more = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    path.write_bytes(data[:33] + more + data[33:])
    return path


def tiff(path: Path, picture: np.ndarray, order: str = "<", **tags: int) -> Path:
    """A TIFF of one uncompressed strip, with any depth and tags."""
    height, width, channels = (*picture.shape, 1)[:3]
    made = Image.Exif()
    made.endian = order
    bits = 8 * picture.itemsize
    kind = {"u": 1, "i": 2, "f": 3}[picture.dtype.kind]
    layout = {256: width, 257: height, 258: (bits,) * channels, 259: 1, 262: 2 if channels >= 3 else 1}
    layout |= {273: 0, 277: channels, 278: height, 279: picture.nbytes, 339: (kind,) * channels}
    for tag, value in {**layout, **{int(name[1:]): value for name, value in tags.items()}}.items():
        made[tag] = value
    path.write_bytes(raw(made) + picture.astype(picture.dtype.newbyteorder(order)).tobytes())
    return path


def refusal(path: Path) -> PictureError:
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


# --- Reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_pictures_are_read_as_they_were(tmp_path: Path, name: str, channels: int) -> None:
    picture = photo(channels=channels)
    found = read_picture(saved(tmp_path / name, picture))
    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels, picture)
    assert found.icc is None


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_pictures_are_read_as_pillow_reads_them(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, photo(), quality=90)
    with Image.open(path) as image:
        assert np.array_equal(read_picture(path).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_stay_in_png_tiff_and_pnm(tmp_path: Path, channels: int, order: str) -> None:
    picture = photo(np.uint16, channels)
    head = b"P%d\n# made by hand\n52 37\n65535\n" % (5 if channels == 1 else 6)
    (tmp_path / "a.pnm").write_bytes(head + picture.astype(">u2").tobytes())
    files = [tmp_path / "a.pnm", png_of_16_bits(tmp_path / "a.png", picture)]
    for path in [*files, tiff(tmp_path / "a.tif", picture, order)]:
        found = read_picture(path).pixels
        assert found.dtype == np.uint16
        assert np.array_equal(found, picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_pnm_of_12_bits_has_its_white_at_white(tmp_path: Path, channels: int) -> None:
    picture = photo(np.uint16, channels) >> 4
    picture[0, 0], picture[0, 1] = 0, 4095
    path = tmp_path / "a.pnm"
    path.write_bytes(b"P%d 52 37 4095\n" % (5 if channels == 1 else 6) + picture.astype(">u2").tobytes())
    found = read_picture(path).pixels
    assert np.array_equal(found, np.rint(picture / 4095 * 65535).astype(np.uint16))


def test_other_modes_become_rgb_or_gray(tmp_path: Path) -> None:
    image = Image.fromarray(photo())
    for name, other, mode in (
        ("palette.png", image.quantize(17), "RGB"),
        ("palette.gif", image.quantize(17), "RGB"),
        ("bits.png", image.convert("1"), "L"),
        ("cmyk.jpg", image.convert("CMYK"), "RGB"),
        ("cmyk.tif", image.convert("CMYK"), "RGB"),
        ("ycc.tif", image.convert("YCbCr"), "RGB"),
    ):
        other.save(tmp_path / name)
        with Image.open(tmp_path / name) as stored:
            assert np.array_equal(read_picture(tmp_path / name).pixels, np.asarray(stored.convert(mode)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "png 16", "tif 16"])
def test_orientation_is_honored_once_and_reset(
    tmp_path: Path, kind: str, channels: int, orientation: int
) -> None:
    suffix, _, depth = kind.partition(" ")
    picture = photo(np.uint16 if depth else np.uint8, channels)
    path = tmp_path / f"a.{suffix}"
    if kind == "png 16":
        png_of_16_bits(path, picture, (b"eXIf", raw(exif(orientation))))
    elif kind == "tif 16":
        tiff(path, picture, _274=orientation)
    else:
        saved(path, picture, exif=exif(orientation, ">"), **({"lossless": True} if suffix == "webp" else {}))
    if suffix == "jpg":
        with Image.open(path) as image:
            picture = np.asarray(image)
    if suffix == "webp" and channels == 1:
        picture = np.dstack([picture] * 3)
    found = read_picture(path)
    assert np.array_equal(found.pixels, upright(picture, orientation))
    assert found.exif is not None
    again = Image.Exif()
    again.load(found.exif)
    assert again[0x0112] == 1


def test_the_orientation_that_pillow_knows_is_the_one_meant(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", photo(), exif=exif(6))
    with Image.open(path) as image:
        assert np.array_equal(read_picture(path).pixels, np.asarray(ImageOps.exif_transpose(image)))


def test_exif_behind_a_pngs_pixels_counts(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.png", photo()).read_bytes()
    body = b"eXIf" + raw(exif(3))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:-12] + chunk + data[-12:])
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, upright(photo(), 3))


def test_unsound_exif_does_not_keep_a_picture_from_being_read(tmp_path: Path) -> None:
    for bad in (b"II*\0\xff\xff\xff\0", b"nothing of the kind", b"MM\0*\0\0\0\x08\xff\xff"):
        path = saved(tmp_path / "a.jpg", photo(), exif=b"Exif\0\0" + bad)
        assert read_picture(path).exif is None


def test_exif_that_ends_with_its_first_directory_counts(tmp_path: Path) -> None:
    directory = struct.pack("<HHHIHH", 1, 0x0112, 3, 1, 6, 0)
    path = saved(tmp_path / "a.png", photo(), exif=b"Exif\0\0II*\0\x08\0\0\0" + directory)
    assert np.array_equal(read_picture(path).pixels, upright(photo(), 6))


def test_a_profile_of_another_color_model_is_dropped(tmp_path: Path) -> None:
    cmyk = SRGB[:16] + b"CMYK" + SRGB[20:]
    Image.fromarray(photo()).convert("CMYK").save(tmp_path / "a.jpg", icc_profile=cmyk)
    assert read_picture(tmp_path / "a.jpg").icc is None
    assert read_picture(saved(tmp_path / "b.jpg", photo(channels=1), icc_profile=SRGB)).icc is None
    assert read_picture(saved(tmp_path / "c.jpg", photo(channels=1), icc_profile=GRAY)).icc == GRAY


# --- What is refused --------------------------------------------------------------------------------


def test_files_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.png").message
    assert "directory" in refusal(tmp_path).message
    (tmp_path / "empty.png").touch()
    assert "empty" in refusal(tmp_path / "empty.png").message
    (tmp_path / "a.jpg").write_text("no picture")
    assert "a text file" in refusal(tmp_path / "a.jpg").message
    whole = saved(tmp_path / "whole.png", photo()).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:8])
    assert "a PNG that is broken or cut short" in refusal(tmp_path / "cut.png").message
    (tmp_path / "b.jpg").write_bytes(bytes(range(7, 200)))
    message = refusal(tmp_path / "b.jpg").message
    assert "not a picture" in message
    assert "0x" not in message


@pytest.mark.parametrize(
    ("head", "kind", "remedy"),
    [
        (b"8BPS\0\1", "Photoshop", "TIFF"),
        (b"\xff\x0a\xfa\x0f", "JPEG XL", "TIFF"),
        (b"%PDF-1.7\n", "PDF", "TIFF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "TIFF"),
        (b"ZISRAWFILE\0\0", "Zeiss CZI", "OME-TIFF"),
        (b"\xda\xce\xbe\x0a\0\0\0\x10", "Nikon ND2", "OME-TIFF"),
        (b"\x70\0\0\0\x0e\0\0\0", "Leica LIF", "OME-TIFF"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video", "ffmpeg"),
        (b"\0\0\0\x08wide\0\0\2\0mdat", "video", "ffmpeg"),
        (b"RIFF\0\0\1\0AVI LIST", "video", "ffmpeg"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86", "video", "ffmpeg"),
        (b"gimp xcf v011", "GIMP", "export"),
        (b"PK\3\4\x14\0", "zip", "extract"),
        (bytes(128) + b"DICM", "DICOM", "TIFF"),
    ],
)
def test_other_kinds_are_named_by_their_content(tmp_path: Path, head: bytes, kind: str, remedy: str) -> None:
    path = tmp_path / "a.jpg"  # the suffix says nothing
    path.write_bytes(head.ljust(3000, b"\1"))
    error = refusal(path)
    assert kind in error.message
    assert remedy in error.hint


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.psd", b"8BPS\0\1"),
        ("a.psb", b"8BPS\0\2"),
        ("a.jxl", b"\xff\x0a\xfa\x0f"),
        ("a.pdf", b"%PDF-1.7\n"),
        ("a.exr", b"\x76\x2f\x31\x01"),
        ("a.czi", b"ZISRAWFILE\0\0"),
        ("a.nd2", b"\xda\xce\xbe\x0a\0\0\0\x10"),
        ("a.lif", b"\x70\0\0\0\x0e\0\0\0"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("a.xcf", b"gimp xcf v011"),
    ],
)
def test_a_file_is_refused_in_the_same_words_by_suffix_and_by_content(
    tmp_path: Path, name: str, head: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(head.ljust(300, b"\1"))
    assert str(refusal(path)) == f"cannot read {path}: it {unreadable(path)}"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
@pytest.mark.parametrize("name", ["a.jpg", "p.jpg", "a.png", "a.tif", "a.webp", "a.bmp", "a.gif", "a.ppm"])
def test_a_cut_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    rough = np.random.Generator(np.random.Philox(key=4)).integers(0, 256, (120, 160, 3), np.uint8)
    path = saved(tmp_path / name, rough, **({"progressive": True} if name == "p.jpg" else {}))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refusal(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "own.tif", "a.ppm"])
def test_a_cut_file_of_16_bits_is_refused_quietly(
    tmp_path: Path, name: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    picture = np.random.Generator(np.random.Philox(key=4)).integers(0, 65536, (60, 80, 3), np.uint16)
    if name == "own.tif":
        write_picture(path, PictureFile(picture))
    else:
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    capfd.readouterr()
    refusal(path)
    assert "imdecode" not in capfd.readouterr().err


def test_alpha_is_refused_with_the_remedy(tmp_path: Path) -> None:
    opaque = np.dstack([photo(), np.full((37, 52), 255, np.uint8)])
    files = [saved(tmp_path / f"a{suffix}", opaque) for suffix in (".png", ".tif")]
    files.append(saved(tmp_path / "a.webp", opaque // 2))  # WebP keeps no alpha that is opaque
    files.append(saved(tmp_path / "la.png", opaque[..., 2:]))
    files.append(tiff(tmp_path / "deep.tif", opaque.astype(np.uint16) * 257, _338=2))
    files.append(png_of_16_bits(tmp_path / "deep.png", photo(np.uint16), (b"tRNS", b"\0" * 6)))
    deep = cv2.imencode(".png", opaque.astype(np.uint16) * 257)[1]
    (tmp_path / "deep4.png").write_bytes(deep.tobytes())
    Image.fromarray(photo()).quantize(9).save(tmp_path / "p.gif", transparency=3)
    for path in [*files, tmp_path / "deep4.png", tmp_path / "p.gif"]:
        error = refusal(path)
        assert "alpha" in error.message
        assert "flatten" in error.hint


@pytest.mark.parametrize(
    ("dtype", "channels", "reason"),
    [
        (np.uint32, 3, "32-bit integers"),
        (np.int32, 1, "signed 32-bit integers"),
        (np.int16, 3, "signed 16-bit integers"),
        (np.int8, 1, "signed 8-bit integers"),
    ],
)
def test_tiffs_of_other_depths_are_refused_with_the_reason(
    tmp_path: Path, dtype: type, channels: int, reason: str
) -> None:
    error = refusal(tiff(tmp_path / "a.tif", photo(channels=channels).astype(dtype)))
    assert reason in error.message
    assert "8 or 16 bits" in error.hint


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    image = Image.fromarray(photo())
    for name in ("a.tif", "a.gif", "a.webp"):
        image.save(tmp_path / name, save_all=True, append_images=[image.rotate(90)])
        assert "2 pictures" in refusal(tmp_path / name).message


# --- Writing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tif", "tiff", "webp", "jpg", "jpeg", "png 16", "tif 16"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pictures_come_back_with_profile_and_exif(
    tmp_path: Path, kind: str, channels: int, order: str
) -> None:
    suffix, _, depth = kind.partition(" ")
    path = tmp_path / f"a.{suffix}"
    gray = channels == 1 and suffix != "webp"
    icc = GRAY if gray else SRGB
    written = PictureFile(photo(np.uint16 if depth else np.uint8, channels), icc, raw(exif(1, order)))
    write_picture(path, written)
    with Image.open(path) as image:
        image.load()
        assert image.info["icc_profile"] == icc
        tags = image.getexif()
        assert (tags[0x0112], tags[0x010F]) == (1, "A maker")
        assert tags.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert float(tags.get_ifd(0x8769)[0x829A]) == 0.02
        assert tags.get_ifd(0x8825)[1] == "N"
        shown = np.asarray(image)
    found = read_picture(path)
    assert found.icc == icc
    if not suffix.startswith("jp"):
        stored = np.dstack([written.pixels] * 3) if suffix == "webp" and channels == 1 else written.pixels
        assert found.pixels.dtype == written.pixels.dtype
        assert np.array_equal(found.pixels, stored)
        if depth and channels == 3:
            other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(other[..., ::-1], stored)
        else:
            assert np.array_equal(shown, stored)
    write_picture(tmp_path / f"b.{suffix}", found)
    assert read_picture(tmp_path / f"b.{suffix}").exif == found.exif


@pytest.mark.parametrize("kind", ["png", "tif", "webp", "jpg", "png 16", "tif 16"])
def test_pictures_without_profile_and_exif_gain_none(tmp_path: Path, kind: str) -> None:
    suffix, _, depth = kind.partition(" ")
    write_picture(tmp_path / f"a.{suffix}", PictureFile(photo(np.uint16 if depth else np.uint8)))
    found = read_picture(tmp_path / f"a.{suffix}")
    assert found.icc is None
    assert found.exif is None


def test_large_profiles_and_odd_ones_are_written_everywhere(tmp_path: Path) -> None:
    large = SRGB + np.random.Generator(np.random.Philox(key=1)).bytes(200_000)
    for icc in (large, SRGB[:40]):
        for suffix in ("png", "tif", "webp", "jpg"):
            write_picture(tmp_path / f"a.{suffix}", PictureFile(photo(), icc))
            with Image.open(tmp_path / f"a.{suffix}") as image:
                assert image.info["icc_profile"] == icc


def test_a_turned_jpeg_goes_to_other_formats_as_it_looks(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", photo(), exif=exif(6), icc_profile=SRGB)
    with Image.open(path) as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    for suffix in ("png", "tif", "webp"):
        write_picture(tmp_path / f"b.{suffix}", read_picture(path))
        with Image.open(tmp_path / f"b.{suffix}") as image:
            assert np.array_equal(np.asarray(ImageOps.exif_transpose(image)), shown)
            assert image.getexif()[0x010F] == "A maker"


def test_jpeg_quality_and_sampling(tmp_path: Path) -> None:
    for quality in (60, 95):
        write_picture(tmp_path / "a.jpg", PictureFile(photo()), quality)
        saved(tmp_path / "b.jpg", photo(), quality=quality, subsampling=0)
        with Image.open(tmp_path / "a.jpg") as ours, Image.open(tmp_path / "b.jpg") as theirs:
            assert ours.quantization == theirs.quantization
            assert [layer[1:3] for layer in ours.layer] == [(1, 1)] * 3


def test_a_suffix_or_depth_that_cannot_be_is_told_before_the_work(tmp_path: Path) -> None:
    check_output(tmp_path / "a.PNG", np.uint16)
    check_output(tmp_path / "a.jpg", np.dtype(np.uint8))
    for name in ("a.bmp", "a"):
        with pytest.raises(PictureError, match=r"\.png, \.tif, \.tiff, \.jpg, \.jpeg, \.webp"):
            check_output(tmp_path / name, np.uint8)
    for name, dtype in (("a.jpg", np.uint16), ("a.webp", np.uint16)):
        with pytest.raises(PictureError, match=r"write \.png or \.tif"):
            check_output(tmp_path / name, dtype)
    with pytest.raises(PictureError):
        write_picture(tmp_path / "a.jpg", PictureFile(photo(np.uint16)))
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold_is_refused_and_nothing_written(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"as before")
    with pytest.raises(PictureError, match="16383"):
        write_picture(path, PictureFile(np.zeros((1, 16384), np.uint8)))
    with pytest.raises(PictureError, match=r"a\.jpg.*EXIF data is too long"):
        write_picture(tmp_path / "a.jpg", PictureFile(photo(), exif=b"II*\0\x08\0\0\0" + b"\0" * 70_000))
    assert [file.name for file in tmp_path.iterdir()] == ["a.webp"]
    assert path.read_bytes() == b"as before"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_picture(tmp_path / "file" / "a.png", PictureFile(photo()))


def test_a_png_with_a_spoiled_header_is_broken_without_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_picture(tmp_path / "a.png", PictureFile(np.zeros((20, 20, 3), np.uint8)))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[18] ^= 1  # a width of 276, and the old checksum
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PictureError, match="a PNG that is broken"):
        read_picture(tmp_path / "a.png")
    assert capfd.readouterr().err == ""
