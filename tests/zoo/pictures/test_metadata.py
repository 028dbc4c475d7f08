"""What goes from a frame's file to the result's beside the pixels: EXIF, maker notes, XMP and IPTC."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, IptcImagePlugin

from zoo.pictures.directory import Entry, longs, packed, read_directory
from zoo.pictures.exif import EXIF_PREFIX
from zoo.pictures.picture import PictureFile
from zoo.pictures.read import read_picture
from zoo.pictures.write import write_picture

PIXELS = np.arange(48 * 40 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 40, 3)
SUFFIXES = ("tif", "png", "jpg", "webp")
NOTE = b"Maker\0\0\0" + bytes(range(60))
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'tiff:Orientation="{}" dc:creator="Jörg"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x50\0\x05J\xc3\xb6rg" + b"\x1c\x02\x78\0\x04A be"
"""By-line and caption."""


def exif(order: str) -> bytes:
    """EXIF with a UTF-8 artist, and a maker note at a known offset, as a camera writes it."""
    note_at = 8
    front = bytearray(bytes(note_at) + NOTE)
    details = {0x9003: Entry(2, b"2024:05:06 07:08:09\0"), 0x927C: Entry(7, NOTE, note_at)}
    at = len(front)
    front += packed(details, order, at, placed=(0x927C,))
    first = {
        0x010F: Entry(2, b"A maker\0"),
        0x013B: Entry(2, "Jörg\0".encode()),
        0x8769: longs(order, [at]),
    }
    front[:8] = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", len(front))
    return bytes(front + packed(first, order, len(front)))


def parsed(data: bytes) -> dict[int, bytes]:
    """Every value that EXIF data holds, by its tag."""
    order = "<" if data[:2] == b"II" else ">"
    file = io.BytesIO(data)
    first = read_directory(file, order, struct.unpack_from(order + "I", data, 4)[0])
    (at,) = struct.unpack(order + "I", first.pop(0x8769).value)
    return {tag: entry.value for tag, entry in (first | read_directory(file, order, at)).items()}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exif_is_kept_byte_for_byte(tmp_path: Path, suffix: str, order: str) -> None:
    path, again = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    write_picture(path, PictureFile(PIXELS, exif=exif(order)))
    write_picture(again, read_picture(path))
    values = parsed(exif(order))
    assert values[0x013B] == "Jörg\0".encode()
    for each in (path, again):
        found = read_picture(each).exif
        assert found is not None
        assert parsed(found) == values
        with Image.open(each) as image:  # by another reader
            assert image.getexif().get_ifd(0x8769)[0x927C] == NOTE
            assert image.getexif()[0x010F] == "A maker"


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_maker_note_stays_where_it_was_in_a_tiff(tmp_path: Path, order: str) -> None:
    path, again = tmp_path / "a.tif", tmp_path / "b.tif"
    write_picture(path, PictureFile(PIXELS, exif=exif(order)))
    write_picture(again, read_picture(path))
    for each in (path, again):
        assert each.read_bytes()[8 : 8 + len(NOTE)] == NOTE


def test_a_tiffs_own_exif_is_kept_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    artist = (315, 2, 0, "Jörg".encode(), True)
    tifffile.imwrite(path, PIXELS, photometric="rgb", metadata=None, extratags=[artist])
    for suffix in SUFFIXES:
        write_picture(tmp_path / f"b.{suffix}", read_picture(path))
        found = read_picture(tmp_path / f"b.{suffix}").exif
        assert found is not None
        assert "Jörg".encode() in found
        assert b"tifffile.py" in found  # the software


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_xmp_and_iptc_are_kept_where_the_format_holds_them(tmp_path: Path, suffix: str) -> None:
    packet = XMP.format(1).encode()
    path, again = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    write_picture(path, PictureFile(PIXELS, xmp=packet, iptc=IPTC))
    write_picture(again, read_picture(path))
    for each in (path, again):
        found = read_picture(each)
        assert found.xmp == packet
        assert found.iptc == (None if suffix == "webp" else IPTC)
        with Image.open(each) as image:  # by another reader
            image.load()
            assert image.info["xmp"] == packet
            if suffix in ("tif", "jpg"):
                assert IptcImagePlugin.getiptcinfo(image)[(2, 80)] == "Jörg".encode()


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_xmp_says_upright_once_the_pixels_are(tmp_path: Path, suffix: str) -> None:
    turned = tmp_path / "turned.jpg"
    Image.fromarray(PIXELS).save(turned, xmp=XMP.format(6).encode(), quality=95)
    write_picture(tmp_path / f"a.{suffix}", read_picture(turned))
    with Image.open(turned) as before, Image.open(tmp_path / f"a.{suffix}") as after:
        assert ImageOps.exif_transpose(before).size == after.size == (48, 40)
        assert ImageOps.exif_transpose(after).size == after.size
    assert read_picture(tmp_path / f"a.{suffix}").xmp == XMP.format(1).encode()


def test_xmp_about_data_that_is_not_kept_is_dropped(tmp_path: Path) -> None:
    packet = XMP.format(1).replace("purl.org/dc/elements/1.1/", "ns.google.com/photos/1.0/camera/")
    Image.fromarray(PIXELS).save(tmp_path / "motion.jpg", xmp=packet.encode())
    assert read_picture(tmp_path / "motion.jpg").xmp is None


def test_what_does_not_fit_a_jpeg_is_omitted(tmp_path: Path) -> None:
    long = XMP.format(1).encode() + b" " * 70_000
    write_picture(tmp_path / "a.jpg", PictureFile(PIXELS, xmp=long, iptc=IPTC * 7000))
    found = read_picture(tmp_path / "a.jpg")
    assert (found.xmp, found.iptc) == (None, None)
    write_picture(tmp_path / "a.tif", PictureFile(PIXELS, xmp=long, iptc=IPTC * 7000))
    assert read_picture(tmp_path / "a.tif").xmp == long


def test_exif_with_an_unreadable_entry_keeps_the_others(tmp_path: Path) -> None:
    whole = exif("<")
    first = struct.unpack_from("<I", whole, 4)[0]
    broken = bytearray(whole)
    struct.pack_into("<I", broken, first + 2 + 8, 1 << 30)  # where the maker's name is
    write_picture(tmp_path / "a.tif", PictureFile(PIXELS, exif=bytes(broken)))
    with Image.open(tmp_path / "a.tif") as image:
        assert 0x010F not in image.getexif()
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"


def test_prefix_is_not_stored_twice(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", PictureFile(PIXELS, exif=exif("<")))
    assert EXIF_PREFIX not in (tmp_path / "a.png").read_bytes()
