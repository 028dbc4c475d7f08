"""HEIC and AVIF, as the libraries' own encoders write them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from zoo.errors import PictureError
from zoo.pictures.kinds import is_picture, unreadable
from zoo.pictures.read import read_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:D xmlns:tiff="http://ns.adobe.com/tiff/1.0/" %s/></x:xmpmeta>'
KINDS = ("heic", "avif")
ROUNDED = 4
"""Gray levels by which what is encoded with least loss may differ."""


def photo(bits: int = 8, size: tuple[int, int] = (40, 64)) -> np.ndarray:
    small = np.random.default_rng(9).uniform(0, 1, (5, 6, 3)).astype(np.float32)
    large = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    large[:4, :4], large[-4:, -4:] = 0, 1
    return np.rint(large * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def exif(orientation: int = 1) -> bytes:
    made = Image.Exif()
    made[0x0112], made[0x010F] = orientation, "A maker"
    made[0x013B] = "Joerg"
    made.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    return made.tobytes().replace(b"Joerg", "Jörg".encode())  # Pillow would write J?rg


def written(path: Path, picture: np.ndarray, **options: object) -> Path:
    """An 8-bit picture, as nearly lossless as the encoder makes it."""
    image = Image.fromarray(picture)
    if path.suffix == ".avif":
        image.save(path, quality=100, subsampling="4:4:4", speed=10, **options)
    else:
        pillow_heif.register_heif_opener()
        image.save(path, format="HEIF", quality=-1, chroma=444, **options)
    return path


def heic(picture: np.ndarray, mode: str, **options: object) -> bytes:
    file = io.BytesIO()
    size = picture.shape[1::-1]
    pillow_heif.encode(mode, size, picture.tobytes(), file, quality=-1, chroma=444, **options)
    return file.getvalue()


def refusal(path: Path) -> PictureError:
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert caught.value.message.startswith(f"cannot read {path}: ")
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_and_metadata_are_read(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / f"a.{kind}", photo(), exif=exif(), icc_profile=SRGB, xmp=XMP % b"")
    found = read_picture(path)
    assert found.pixels.dtype == np.uint8
    assert np.abs(found.pixels.astype(int) - photo()).max() <= ROUNDED
    assert found.icc == SRGB
    assert found.xmp == XMP % b""
    tags = Image.Exif()
    tags.load(found.exif)
    assert (tags.get(0x0112, 1), tags[0x010F]) == (1, "A maker")
    assert tags.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    written_as_given = kind == "heic"  # Pillow's AVIF writer writes J??rg
    assert ("Jörg".encode() in found.exif) == written_as_given


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_without_metadata_gains_none(tmp_path: Path, kind: str) -> None:
    found = read_picture(written(tmp_path / f"a.{kind}", photo()))
    assert (found.icc, found.exif, found.xmp) == (None, None, None)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_deep_pictures_are_read_in_16_bits_with_white_at_the_top(
    tmp_path: Path, kind: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, deep = tmp_path / f"a.{kind}", photo(bits)
    if kind == "heic":
        monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
        path.write_bytes(heic(deep << (16 - bits), "RGB;16"))
    else:
        path.write_bytes(imagecodecs.avif_encode(deep, bitspersample=bits, pixelformat="444", speed=10))
    found = read_picture(path).pixels
    assert found.dtype == np.uint16
    assert np.abs(found / 65535 - deep / (2**bits - 1)).max() <= 2.1 / (2**bits - 1)
    assert (found.min(), found.max()) == (0, 65535)


def test_gray_heic_stays_gray(tmp_path: Path) -> None:
    path, gray = tmp_path / "a.heic", photo()[..., 0].copy()
    path.write_bytes(heic(gray, "L"))
    assert np.array_equal(read_picture(path).pixels, gray)


@pytest.mark.parametrize("kind", KINDS)
def test_orientation_is_honored_exactly_once(tmp_path: Path, kind: str) -> None:
    for orientation in range(1, 9):
        tagged = Image.fromarray(photo())
        tagged.getexif()[0x0112] = orientation
        shown = np.asarray(ImageOps.exif_transpose(tagged)).astype(int)
        path = written(tmp_path / f"a.{kind}", photo(), exif=exif(orientation))
        found = read_picture(path)
        assert found.pixels.shape == shown.shape
        assert np.abs(found.pixels - shown).max() <= ROUNDED
        tags = Image.Exif()
        tags.load(found.exif)
        assert tags.get(0x0112, 1) == 1


def test_only_the_boxes_of_heic_turn_it(tmp_path: Path) -> None:
    """Phones write the orientation into EXIF, too, where it describes what the boxes have done already."""
    path = written(tmp_path / "a.heic", photo(), exif=exif(1), xmp=XMP % b'tiff:Orientation="1" ')
    data = path.read_bytes()
    for upright, claim in (
        (b"\x01\x12\0\3\0\0\0\1\0\1", b"\x01\x12\0\3\0\0\0\1\0\6"),
        (b'tiff:Orientation="1"', b'tiff:Orientation="6"'),
    ):
        assert data.count(upright) == 1
        data = data.replace(upright, claim)
    path.write_bytes(data)
    found = read_picture(path)
    assert found.pixels.shape == photo().shape
    assert b'tiff:Orientation="1"' in found.xmp
    tags = Image.Exif()
    tags.load(found.exif)
    assert tags.get(0x0112, 1) == 1


def test_of_a_burst_the_primary_picture_is_read(tmp_path: Path) -> None:
    burst = pillow_heif.from_pillow(Image.fromarray(255 - photo()))
    burst.add_from_pillow(Image.fromarray(photo()))
    burst.save(tmp_path / "a.heic", quality=-1, chroma=444, primary_index=1)
    assert np.abs(read_picture(tmp_path / "a.heic").pixels.astype(int) - photo()).max() <= ROUNDED


def test_colors_that_the_file_says_in_two_numbers_become_a_profile(tmp_path: Path) -> None:
    """Display P3's red is a known color of CIE's: its profile in another library gives the same."""
    path = tmp_path / "a.heic"
    path.write_bytes(heic(photo(), "RGB", color_primaries=12, transfer_characteristics=13))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(read_picture(path).icc))
    red = profile.profile.red_colorant
    assert red[0] == pytest.approx((0.51512, 0.2412, -0.00105), abs=2e-4)  # Apple's "Display P3.icc"
    path.write_bytes(heic(photo(10) << 6, "RGB;16", color_primaries=9, transfer_characteristics=16))
    assert "HDR (PQ)" in refusal(path).message


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_fused_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    clear = np.dstack([photo(), photo()[..., 0]])
    assert "alpha" in refusal(written(tmp_path / f"a.{kind}", clear)).message
    whole = written(tmp_path / f"b.{kind}", photo()).read_bytes()
    for length in (20, len(whole) // 2, len(whole) - 10):
        (tmp_path / f"b.{kind}").write_bytes(whole[:length])
        refusal(tmp_path / f"b.{kind}")
    for box in (b"hvcC" if kind == "heic" else b"av1C", b"iinf", b"infe", b"iloc"):
        assert box in whole
        (tmp_path / f"b.{kind}").write_bytes(whole.replace(box, b"free", 1))
        assert "BytesIO" not in refusal(tmp_path / f"b.{kind}").message


@pytest.mark.parametrize(("kind", "name"), [("heic", "photo.jpg"), ("avif", "photo.heic")])
def test_the_beginning_says_what_a_file_is(tmp_path: Path, kind: str, name: str) -> None:
    path = written(tmp_path / f"a.{kind}", photo()).rename(tmp_path / name)
    assert np.abs(read_picture(path).pixels.astype(int) - photo()).max() <= ROUNDED


def test_a_missing_package_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.heic", photo())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = refusal(path)
    assert "pillow-heif is not installed" in error.message
    assert "[formats]" in error.hint
    deep = tmp_path / "a.avif"
    deep.write_bytes(imagecodecs.avif_encode(photo(10), bitspersample=10, speed=10))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert "10 bits needs imagecodecs" in refusal(deep).message


def test_kinds_go_by_their_suffixes(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.heif", "c.hif", "d.avif", "e.DNG", "f.cr3", "g.psd", "h.txt", ".i.heic"):
        (tmp_path / name).touch()
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_picture(path)] == [
        "a.HEIC", "b.heif", "c.hif", "d.avif", "e.DNG", "f.cr3",
    ]  # fmt: skip
    assert [bool(unreadable(tmp_path / name)) for name in ("a.HEIC", "g.psd", "h.txt")] == [
        False,
        True,
        False,
    ]
