"""Pictures as people have them: turned, of other kinds, transparent, larger than they say."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coco_folder import Picture, write_coco
from conftest import Cli, tree
from PIL import Image, ImageOps

import mfsynth
from mfsynth import Manifest, codecs
from mfsynth.building.run import Run, build
from mfsynth.coco.annotations.entries import Entry
from mfsynth.coco.image import read_image
from mfsynth.coco.orientation import Orientation
from mfsynth.coco.split import read_split
from mfsynth.errors import BuildError, UnusableImage
from mfsynth.options import BuildOptions
from mfsynth.preview.info import info

FIRST = Picture(1)
"""Its annotations say 56 x 40."""
UPRIGHT = FIRST.pixels()[..., ::-1]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two good pictures; tests replace the first."""
    write_coco(tmp_path / "coco", "s", [FIRST, Picture(2)])
    return tmp_path / "coco"


def put(coco: Path, data: bytes) -> bytes:
    (coco / "s" / FIRST.name).write_bytes(data)
    return data


def first(coco: Path) -> Entry:
    return read_split(coco, "s", cache=coco).entries[0]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tagged(pixels: np.ndarray, tag: int, kind: str = "jpeg") -> bytes:
    """A picture that readers turn as the tag says."""
    exif = Image.Exif()
    exif[0x0112] = tag
    return saved(Image.fromarray(np.ascontiguousarray(pixels)), kind, exif=exif)


def as_readers_show(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def fault(coco: Path, orientation: Orientation = "auto", gt: str = "jpg") -> tuple[str, str]:
    with pytest.raises(UnusableImage) as caught:
        read_image(first(coco), orientation, gt)
    return caught.value.reason, str(caught.value)


# --- orientation --------------------------------------------------------------------------------------

SIDEWAYS, SQUARE_ON = UPRIGHT.swapaxes(0, 1), UPRIGHT


@pytest.mark.parametrize(
    ("stored", "tag", "turned"),
    [
        (SQUARE_ON, 1, {"auto": False, "raw": False, "upright": False}),
        (SQUARE_ON, 3, {"auto": False, "raw": False, "upright": True}),
        (SQUARE_ON, 2, {"auto": False, "raw": False, "upright": True}),
        (SQUARE_ON, 6, {"auto": False, "raw": False, "upright": None}),
        (SIDEWAYS, 6, {"auto": True, "raw": None, "upright": True}),
        (SIDEWAYS, 5, {"auto": True, "raw": None, "upright": True}),
        (SIDEWAYS, 3, {"auto": None, "raw": None, "upright": None}),
    ],
)
@pytest.mark.parametrize("orientation", ["auto", "raw", "upright"])
@pytest.mark.parametrize("gt", ["jpg", "png"])
def test_a_tagged_picture_is_turned_where_it_fits_its_mask(
    coco: Path, stored: np.ndarray, tag: int, turned: dict, orientation: Orientation, gt: str
) -> None:
    data = put(coco, tagged(stored, tag))
    if turned[orientation] is None:
        assert fault(coco, orientation, gt)[0] == "size-mismatch"
        return
    image = read_image(first(coco), orientation, gt)
    right = as_readers_show(data) if turned[orientation] else codecs.decode_picture(data)
    if gt == "jpg" and turned[orientation]:
        assert np.abs(image.picture.astype(int) - right).mean() < 2  # encoded once more
    else:
        assert np.array_equal(image.picture, right)
    if gt == "jpg":
        assert np.array_equal(as_readers_show(image.data), image.picture)
    noted = {True: ("orientation-upright",), False: ("orientation-stored",)}[turned[orientation]]
    assert image.notes == (noted if tag != 1 else ())


def test_a_size_that_never_fits_is_told_with_its_exif(coco: Path) -> None:
    put(coco, tagged(UPRIGHT[:, :-1].swapaxes(0, 1), 6))
    told = "is 40 x 55 (upright by its EXIF orientation 6: 55 x 40), the annotations say 56 x 40"
    assert fault(coco) == ("size-mismatch", f"{FIRST.name} {told}")
    put(coco, tagged(SIDEWAYS, 6))
    assert fault(coco, "raw")[1].endswith("the annotations say 56 x 40; --orientation is raw")


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_other_kinds_are_turned_without_loss(coco: Path, kind: str) -> None:
    data = put(coco, tagged(SIDEWAYS, 6, kind))
    image = read_image(first(coco), gt="png")
    assert np.array_equal(image.picture, as_readers_show(data))
    assert image.notes == ("orientation-upright",)


@pytest.fixture
def mixed(coco: Path) -> Path:
    """Four pictures: one turned, one tagged but as stored, one as it is, one of several in a file."""
    pictures = [FIRST, Picture(2), Picture(3), Picture(4)]
    write_coco(coco, "s", pictures)
    put(coco, tagged(SIDEWAYS, 6))
    (coco / "s" / pictures[1].name).write_bytes(tagged(pictures[1].pixels(), 3))
    several = saved(
        Image.fromarray(UPRIGHT), "mpo", save_all=True, append_images=[Image.new("RGB", (56, 40))]
    )
    (coco / "s" / pictures[3].name).write_bytes(several)
    return coco


@pytest.mark.parametrize("store", ["pairs", "recipe"])
def test_a_set_of_turned_pictures_is_whole_and_says_what_was_done(
    mixed: Path, tmp_path: Path, store: str
) -> None:
    options, run = BuildOptions("s", store=store, shards=2), Run(mixed, tmp_path / "out", workers=1)
    report = build(options, run)
    done = "used as stored: 1 (2); turned upright: 1 (1)"
    assert report.lines()[1:] == [
        f"2 pictures carry an EXIF orientation; {done}; see --orientation",
        "1 file holds several pictures (MPO), of which the first is used: 4",
    ]
    assert build(options, run).lines()[1:] == report.lines()[1:]
    assert Manifest.read(tmp_path / "out").noted == report.noted
    told = info(tmp_path / "out").lines()[-3:]
    assert told[0].startswith("  noted             1  orientation-stored (it carries an orientation tag")
    assert mfsynth.verify(tmp_path / "out", samples=4).ok
    for sample, live in zip(mfsynth.open(tmp_path / "out"), mfsynth.synthesize(mixed, "s"), strict=True):
        assert np.array_equal(sample.gt, live.gt)
        assert all(map(np.array_equal, sample.frames, live.frames))
        sharp = sample.focus == 0
        assert np.array_equal(sample.frames[0][sharp], sample.gt[sharp])


def test_a_resumed_build_says_the_same(mixed: Path, tmp_path: Path) -> None:
    options, whole, resumed = BuildOptions("s", shards=2), tmp_path / "whole", tmp_path / "resumed"
    for out in (whole, resumed):
        build(options, Run(mixed, out, workers=1))
    (resumed / "manifest.json").unlink()
    (resumed / "s-000001.tar").unlink()
    assert build(options, Run(mixed, resumed, workers=1)).kept == 1
    assert tree(whole) == tree(resumed)


def test_the_option_reaches_the_pixels_and_the_manifest(mixed: Path, tmp_path: Path, cli: Cli) -> None:
    command = ["build", "--split", "s", "--coco", mixed, "--out", tmp_path / "out"]
    raw = cli(*command, "--orientation", "raw")
    assert "left out 1: size-mismatch" in raw.stdout
    assert cli(*command, "--orientation", "upright").returncode == 1  # another data set
    assert cli(*command, "--orientation", "upright", "--overwrite").returncode == 0
    assert Manifest.read(tmp_path / "out").options["orientation"] == "upright"
    turned = [sample.gt for sample in mfsynth.open(tmp_path / "out")][1]
    live = [sample.gt for sample in mfsynth.synthesize(mixed, "s", orientation="upright")][1]
    assert np.array_equal(turned, live)
    assert np.abs(turned[::-1, ::-1].astype(int) - Picture(2).pixels()).mean() < 20


def test_neutral_ground_truth_is_checked(mixed: Path, tmp_path: Path) -> None:
    build(BuildOptions("s"), Run(mixed, tmp_path / "out", workers=1))
    for sample in mfsynth.open(tmp_path / "out"):
        assert sample.gt.shape == (40, 56, 3)
    import tarfile

    with tarfile.open(tmp_path / "out" / "s-000000.tar") as archive:
        members = [each for each in archive if each.name.endswith("gt.jpg")]
        data = [archive.extractfile(each).read() for each in members]
    assert [codecs.orientation_of(each) for each in data] == [1, 1, 1, 1]


# --- kinds --------------------------------------------------------------------------------------------


def box(brand: bytes) -> bytes:
    return struct.pack(">I4s4s", 24, b"ftyp", brand) + b"\0\0\0\0mif1" + bytes(99)


KINDS = {
    "a TIFF": saved(Image.fromarray(UPRIGHT), "tiff"),
    "a GIF": saved(Image.fromarray(UPRIGHT), "gif"),
    "a JPEG 2000 picture": saved(Image.fromarray(UPRIGHT), "jpeg2000"),
    "an AVIF picture": saved(Image.fromarray(UPRIGHT), "avif"),
    "an icon": saved(Image.fromarray(UPRIGHT), "ico"),
    "a PDF": saved(Image.fromarray(UPRIGHT), "pdf"),
    "a HEIC picture": box(b"heic"),
    "a JPEG XL picture": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99),
    "a video": box(b"isom"),
    "an HTML page": b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Log in",
    "an SVG drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a zip archive": b"PK\3\4" + bytes(99),
    "a text file": b"Not Found",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named_as_that(coco: Path, kind: str) -> None:
    put(coco, KINDS[kind])
    reason, told = fault(coco)
    assert reason == "picture-kind"
    assert told.startswith(f"000000000001.jpg is {kind}; mfsynth reads JPEG, PNG, WebP and BMP: ")


@pytest.mark.parametrize("kind", ["png", "webp", "bmp"])
def test_a_picture_that_is_named_like_a_jpeg_is_told_from_one(coco: Path, kind: str) -> None:
    put(coco, saved(Image.fromarray(UPRIGHT), kind))
    reason, told = fault(coco)
    assert reason == "picture-kind"
    assert told.lower().startswith(
        f"{FIRST.name} is a {kind} by its content: rename it, in the annotations too"
    )
    assert read_image(first(coco), gt="png").picture.shape == (40, 56, 3)


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"", "empty"), (bytes(5000), "nothing but zeros"), (b"\x05\xf0" * 99, "of an unknown kind")],
)
def test_nothing_at_all_is_broken(coco: Path, data: bytes, told: str) -> None:
    put(coco, data)
    assert fault(coco) == ("picture-broken", f"000000000001.jpg is {told}")


def test_a_mask_that_is_a_jpeg_is_named_as_that(coco: Path) -> None:
    mask = coco / "panoptic_s" / "000000000001.png"
    mask.write_bytes(saved(Image.open(mask).convert("RGB"), "jpeg"))
    assert fault(coco) == (
        "mask-broken",
        "mask 000000000001.png is a JPEG; masks are PNGs, which keep every segment's id",
    )


# --- transparency -------------------------------------------------------------------------------------

ALPHA = np.dstack([UPRIGHT, np.full((40, 56), 7, np.uint8)])


@pytest.mark.parametrize(
    ("kind", "image", "options", "transparent"),
    [
        ("png", Image.fromarray(ALPHA), {}, True),
        ("png", Image.fromarray(ALPHA).convert("LA"), {}, True),
        ("png", Image.fromarray(UPRIGHT).quantize(9), {"transparency": 0}, True),
        ("png", Image.fromarray(UPRIGHT).convert("RGBA"), {}, False),
        ("png", Image.fromarray(UPRIGHT), {}, False),
        ("webp", Image.fromarray(ALPHA), {"lossless": True, "exact": True}, True),
        ("webp", Image.fromarray(UPRIGHT), {"lossless": True}, False),
        ("bmp", Image.fromarray(UPRIGHT), {}, False),
    ],
)
def test_transparency_is_dropped_and_told(
    coco: Path, kind: str, image: Image.Image, options: dict, transparent: bool
) -> None:
    put(coco, saved(image, kind, **options))
    read = read_image(first(coco), gt="png")
    assert read.notes == (("transparency",) if transparent else ())
    assert np.array_equal(read.picture, np.asarray(image.convert("RGB")))


def test_a_build_tells_of_transparency(tmp_path: Path) -> None:
    pictures = [replace(FIRST, suffix=".png"), Picture(2, suffix=".png")]
    write_coco(tmp_path, "s", pictures)
    (tmp_path / "s" / pictures[0].name).write_bytes(saved(Image.fromarray(ALPHA), "png"))
    report = build(BuildOptions("s"), Run(tmp_path, tmp_path / "out", workers=1, strict=True))
    assert report.lines()[1:] == ["1 picture has transparency, which was dropped: 1"]
    assert report.to_json()["noted"] == {"transparency": [1]}


# --- declared sizes -----------------------------------------------------------------------------------


def declared(kind: str, width: int, height: int) -> bytes:
    """A small file whose header declares other sides."""
    data = bytearray(saved(Image.fromarray(UPRIGHT), kind, **({"lossless": True} if kind == "webp" else {})))
    if kind == "jpeg":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif kind == "png":
        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif kind == "bmp":
        struct.pack_into("<ii", data, 18, width, height)
    else:
        struct.pack_into("<I", data, 21, (width - 1) & 0x3FFF | ((height - 1) & 0x3FFF) << 14)
    return bytes(data)


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "webp"])
def test_declared_sizes_are_compared_before_anything_is_decoded(coco: Path, kind: str) -> None:
    data = put(coco, declared(kind, 16_000, 15_000))
    assert codecs.picture_size(data) == (15_000, 16_000)
    told = "000000000001.jpg is 16000 x 15000, the annotations say 56 x 40"
    assert fault(coco, gt="jpg" if kind == "jpeg" else "png") == ("size-mismatch", told)


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp"])
def test_a_picture_of_more_pixels_than_the_limit_is_not_decoded(kind: str) -> None:
    with pytest.raises(codecs.CodecError, match="it is 60000 x 50000, more than 268,435,456 pixels"):
        codecs.decode_picture(declared(kind, 60_000, 50_000))


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "webp"])
def test_a_picture_cut_anywhere_in_its_header_is_broken(kind: str) -> None:
    data = saved(Image.fromarray(UPRIGHT), kind)
    for length in range(60):
        with pytest.raises(codecs.CodecError):
            codecs.decode_picture(data[:length])


def test_sizes_are_those_of_other_readers() -> None:
    for kind in ("jpeg", "png", "bmp", "webp"):
        for options in ({}, {"lossless": True}, {"exif": Image.Exif().tobytes()}):
            data = saved(Image.fromarray(UPRIGHT), kind, **options)
            assert codecs.picture_size(data) == (40, 56), (kind, options)


def test_strict_stops_at_a_damaged_picture_and_names_it(coco: Path, tmp_path: Path) -> None:
    data = (coco / "s" / FIRST.name).read_bytes()
    put(coco, data[: len(data) // 2] + data[len(data) // 2 + 40 :])
    with pytest.raises(BuildError, match=r"image 1 cannot be used: 000000000001.jpg: the JPEG is damaged: "):
        build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1, strict=True))
