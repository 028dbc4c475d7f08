"""TIFFs as other programs write them (tifffile here), and ours as other programs read them."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from mfsynth.codecs import turned
from zoo.errors import PictureError
from zoo.pictures.directory import read_directory
from zoo.pictures.frames import FrameFile, distinct_names, frames_of, read_frame
from zoo.pictures.picture import PictureFile
from zoo.pictures.read import read_picture
from zoo.pictures.write import write_picture

DEPTHS = (np.uint8, np.uint16, np.float32)
SLICES = "ZYX"


def picture(dtype: type, channels: int = 1, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.random((5, 6, channels), np.float32)
    smooth = cv2.resize(small, (50, 40), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    if dtype == np.float32:
        return smooth * 3000 - 50  # not from 0 to 1, as calibrated data is
    return (smooth * np.iinfo(dtype).max).astype(dtype)


def pictures(count: int = 3, dtype: type = np.uint16, channels: int = 1) -> np.ndarray:
    return np.stack([picture(dtype, channels, seed) for seed in range(count)])


def refusal(path: Path) -> PictureError:
    with pytest.raises(PictureError) as caught:
        read_frame(frames_of([path])[0])
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


# --- One picture ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", DEPTHS)
def test_every_layout_gives_the_same_pixels(tmp_path: Path, dtype: type, channels: int) -> None:
    stored = picture(dtype, channels)
    planes = np.moveaxis(stored, -1, 0) if channels == 3 else stored
    color = {"photometric": "rgb" if channels == 3 else "minisblack", "metadata": None}
    for number, options in enumerate(
        (
            {},
            {"byteorder": ">"},
            {"bigtiff": True},
            {"tile": (32, 32)},
            {"compression": "zlib", "predictor": True},
            {"compression": "lzw", "predictor": dtype != np.float32, "tile": (16, 16)},
            {"compression": "zstd"},
            {"compression": "lzma"},
            {"compression": "zstd", "planarconfig": "separate", "predictor": True},
            {"planarconfig": "separate", "byteorder": ">"},
        )
    ):
        data = stored
        if options.get("planarconfig") == "separate":
            data = planes
            if channels == 1:
                continue
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, data, **color, **options)
        found = read_picture(path).pixels
        assert found.dtype == dtype, options
        assert np.array_equal(found, stored), options


def test_jpeg_in_tiff_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(np.uint8, 3), compression="jpeg", photometric="rgb")
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, np.asarray(image))


@pytest.mark.parametrize("compression", [None, "lzw", "zstd"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inverted_gray_is_read_with_black_as_zero(tmp_path: Path, dtype: type, compression: str) -> None:
    gray = picture(dtype)
    inverted = np.iinfo(dtype).max - gray
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, inverted, photometric="miniswhite", compression=compression, metadata=None)
    assert np.array_equal(read_picture(path).pixels, gray)


def test_packed_values_keep_their_numbers(tmp_path: Path) -> None:
    gray = picture(np.uint16) >> 4
    tifffile.imwrite(tmp_path / "a.tif", gray, bitspersample=12, metadata=None)
    assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, gray)


def test_other_floats_become_float32(tmp_path: Path) -> None:
    values = picture(np.float32) / 100
    for dtype in (np.float16, np.float64):
        tifffile.imwrite(tmp_path / "a.tif", values.astype(dtype), metadata=None)
        found = read_picture(tmp_path / "a.tif").pixels
        assert found.dtype == np.float32
        assert np.array_equal(found, values.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_floats_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    values = picture(np.float32).astype(np.float64)
    values[3, 4] = bad
    tifffile.imwrite(tmp_path / "a.tif", values, metadata=None)
    assert "NaN or infinite" in refusal(tmp_path / "a.tif").message


def test_channels_that_are_no_colors_are_refused_but_not_as_alpha(tmp_path: Path) -> None:
    data = picture(np.uint16, 3)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", planarconfig="contig", metadata=None)
    message = refusal(tmp_path / "a.tif").message
    assert "3 channels" in message
    assert "alpha" not in message


def test_a_missing_codec_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = picture(np.uint16, 3)
    for name, options in {"zstd": {"compression": "zstd"}, "lzw": {"compression": "lzw"}}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, photometric="rgb", **options)
    monkeypatch.setattr("zoo.pictures.tiff.find_spec", lambda _name: None)
    error = refusal(tmp_path / "zstd.tif")
    assert "ZSTD compression needs imagecodecs" in error.message
    assert "[formats]" in error.hint
    assert np.array_equal(read_picture(tmp_path / "lzw.tif").pixels, stored)  # OpenCV has LZW
    tifffile.imwrite(tmp_path / "float.tif", picture(np.float32), compression="zlib", predictor=3)
    assert "predictor 3 needs imagecodecs" in refusal(tmp_path / "float.tif").message


@pytest.mark.parametrize(("tag", "said"), [(257, "broken"), (277, "20000 channels")])
def test_a_small_file_that_claims_a_large_picture_costs_no_memory(
    tmp_path: Path, tag: int, said: str
) -> None:
    path = tmp_path / "a.tif"
    stored = picture(np.uint16, 3)
    tifffile.imwrite(path, stored, photometric="rgb", compression="zlib", rowsperstrip=len(stored))
    with tifffile.TiffFile(path) as tif:
        at = tif.pages.first.tags[tag].offset + 4  # as LONG
    data = bytearray(path.read_bytes())
    data[at - 2 : at + 8] = struct.pack("<HII", 4, 1, 20_000)
    path.write_bytes(data)
    tracemalloc.start()
    assert said in refusal(path).message
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_strip_that_inflates_beyond_its_page_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.zeros((64, 64), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, compression="zlib", rowsperstrip=40, metadata=None)
    monkeypatch.setattr("zoo.pictures.tiff.find_spec", lambda _name: None)  # its own decoder has a limit
    assert np.array_equal(read_picture(path).pixels, data)
    strip = zlib.compress(bytes(64 << 20))
    with tifffile.TiffFile(path, mode="r+") as tif:
        tags = tif.pages.first.tags
        starts, lengths = tags["StripOffsets"].value, tags["StripByteCounts"].value
        tags["StripOffsets"].overwrite((path.stat().st_size, *starts[1:]))
        tags["StripByteCounts"].overwrite((len(strip), *lengths[1:]))
    with path.open("ab") as file:
        file.write(strip)
    tracemalloc.start()
    try:
        assert "more than its pixels" in refusal(path).message
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_directory_that_repeats_a_long_value_costs_no_memory() -> None:
    count, length = 200, 1 << 20
    rows = b"".join(struct.pack("<HHII", tag, 7, length, 4096) for tag in range(count))
    file = io.BytesIO((struct.pack("<H", count) + rows).ljust(4096, b"\0") + bytes(length))
    found = read_directory(file, "<", 0)
    assert 0 < sum(len(entry.value) for entry in found.values()) < 100 * length


def test_a_page_that_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(np.uint8), tile=(16, 16), compression="lzw")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for tag, side in ((322, (1 << 32) - 16), (323, 1 << 20)):
            at = tif.pages.first.tags[tag].offset
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    path.write_bytes(data)
    refusal(path)


def test_tifffile_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture(np.uint8))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    error = refusal(tmp_path / "a.tif")
    assert "tifffile is not installed" in error.message
    assert "[fuse]" in error.hint


@pytest.mark.parametrize("cut", [0.1, 0.6, 0.98])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
def test_a_cut_tiff_is_refused(tmp_path: Path, compression: str | None, cut: float) -> None:
    noise = np.random.default_rng(1).integers(0, 65536, (60, 70, 3), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise, photometric="rgb", compression=compression, rowsperstrip=8)
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    refusal(path)


# --- Several pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint16, 1), (np.uint8, 3), (np.float32, 1)])
def test_the_pages_of_one_file_are_frames(tmp_path: Path, suffix: str, dtype: type, channels: int) -> None:
    slices = pictures(3, dtype, channels)
    path = tmp_path / f"stack{suffix}"
    axes = SLICES + "S" * (channels == 3)
    color = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(path, slices, metadata={"axes": axes}, photometric=color)
    frames = frames_of([path])
    assert [each.name for each in frames] == [f"stack{suffix} page {number}" for number in (1, 2, 3)]
    for frame, expected in zip(frames, slices, strict=True):
        assert np.array_equal(read_frame(frame).pixels, expected)
    with pytest.raises(PictureError, match="3 pictures"):
        read_picture(path)


@pytest.mark.parametrize("color", [False, True])
def test_imagejs_stacks_are_read_with_a_directory_for_each_page_or_only_one(
    tmp_path: Path, color: bool
) -> None:
    slices = pictures(4, np.uint8, 3) if color else pictures(4)
    axes = SLICES + "S" * color
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, slices, imagej=True, metadata={"axes": axes})
    with tifffile.TiffFile(path) as tif:
        first, order = tif.pages[0].offset, tif.byteorder
    for _ in range(2):
        frames = frames_of([path])
        assert len(frames) == 4
        for frame, expected in zip(frames, slices, strict=True):
            assert np.array_equal(read_frame(frame).pixels, expected)
        data = bytearray(path.read_bytes())  # as ImageJ writes stacks of more than 4 GB
        (count,) = struct.unpack_from(order + "H", data, first)
        struct.pack_into(order + "I", data, first + 2 + 12 * count, 0)
        path.write_bytes(data)


@pytest.mark.parametrize(("imagej", "big"), [(True, False), (False, False), (False, True)])
def test_a_stack_that_is_cut_short_is_not_taken_for_a_shorter_one(
    tmp_path: Path, imagej: bool, big: bool
) -> None:
    if imagej:
        tifffile.imwrite(tmp_path / "a.tif", pictures(4), imagej=True, metadata={"axes": SLICES})
    else:
        with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big) as tif:
            for each in pictures(4):
                tif.write(each, photometric="minisblack", metadata=None, compression="zlib")
    assert len(frames_of([tmp_path / "a.tif"])) == 4
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: int(0.7 * len(data))])
    assert "cut short" in refusal(tmp_path / "a.tif").message


def test_pages_written_one_by_one_and_thumbnails(tmp_path: Path) -> None:
    slices = pictures()
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for each in slices:
            tif.write(each)
    with tifffile.TiffWriter(tmp_path / "b.tif") as tif:
        tif.write(slices[0], metadata=None)
        tif.write(slices[0, ::4, ::4], subfiletype=1, metadata=None)
    assert [len(frames_of([tmp_path / name])) for name in ("a.tif", "b.tif")] == [3, 1]
    assert np.array_equal(read_picture(tmp_path / "b.tif").pixels, slices[0])


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"compression": "jpeg"}])
def test_each_page_is_turned_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int, options: dict[str, str]
) -> None:
    slices = pictures(2, np.uint8 if options.get("compression") == "jpeg" else np.uint16, 3)
    path = tmp_path / "a.tif"
    tag = (274, 3, 1, orientation, False)
    tifffile.imwrite(path, slices, photometric="rgb", metadata=None, extratags=[tag], **options)
    with tifffile.TiffFile(path) as tif:
        expected = [turned(page.asarray(), orientation) for page in tif.pages]
    for _ in range(2):
        for frame, right in zip(frames_of([path]), expected, strict=True):
            found = read_frame(frame).pixels.astype(int)
            assert np.abs(found - right).max() <= (2 if options.get("compression") == "jpeg" else 0)
        monkeypatch.setattr("zoo.pictures.tiff.find_spec", lambda _name: None)


def ome(size_z: int, order: str, data: str, uuid: str = "") -> bytes:
    """OME-XML of one image, by hand."""
    return f"""<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{uuid}>
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="50" SizeY="40"
SizeZ="{size_z}" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{data}</Pixels>
</Image></OME>""".strip().encode()


def two_files_of_one_ome_stack(folder: Path, slices: np.ndarray) -> list[Path]:
    """As microscopes write them: the XML of each file names both."""
    names = ("z0.ome.tif", "z1.ome.tif")
    ids = [f"urn:uuid:0000000{number}-0000-0000-0000-000000000000" for number in (0, 1)]
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">{ids[z]}</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    for z, name in enumerate(names):
        xml = ome(2, "XYZCT", data, f' UUID="{ids[z]}"')
        tifffile.imwrite(folder / name, slices[z], description=xml, metadata=None)
    return [folder / name for name in names]


def test_files_whose_xml_names_each_other_give_their_own_pages(tmp_path: Path) -> None:
    slices = pictures(2)
    paths = two_files_of_one_ome_stack(tmp_path, slices)
    assert tifffile.imread(paths[0]).shape == (2, 40, 50)  # tifffile takes the other file's page, too
    frames = frames_of(reversed(paths))
    assert [each.name for each in frames] == ["z1.ome.tif", "z0.ome.tif"]
    for frame, expected in zip(frames, slices[::-1], strict=True):
        assert np.array_equal(read_frame(frame).pixels, expected)
    paths[1].unlink()
    assert np.array_equal(read_picture(paths[0]).pixels, slices[0])


def test_slices_come_in_the_order_of_z(tmp_path: Path) -> None:
    slices = pictures(3)
    data = "".join(f'<TiffData FirstZ="{2 - page}" IFD="{page}" PlaneCount="1"/>' for page in range(3))
    xml = ome(3, "XYCTZ", data)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, slices, description=xml, metadata=None, photometric="minisblack")
    assert [each.page for each in frames_of([path])] == [2, 1, 0]
    assert np.array_equal(read_frame(frames_of([path])[0]).pixels, slices[2])


@pytest.mark.parametrize(
    ("axes", "shape", "reason"),
    [
        ("CYX", (3,), "3 channels and no stack"),
        ("ZCYX", (4, 2), "4 slices and 2 channels"),
        ("TZYX", (2, 3), "2 time points"),
        ("TCZYX", (2, 2, 3), "and a stack has one axis"),
    ],
)
@pytest.mark.parametrize("kind", ["ome", "imagej", "shaped"])
def test_channels_and_several_axes_are_refused_with_the_way_out(
    tmp_path: Path, kind: str, axes: str, shape: tuple[int, ...], reason: str
) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    order = axes if kind != "imagej" else "".join(axis for axis in "TZCYX" if axis in axes)
    sizes = dict(zip(axes, shape, strict=False))
    data = np.zeros([sizes.get(axis, 16) for axis in order], np.uint16)
    gray = {"photometric": "minisblack", "metadata": {"axes": order}}
    tifffile.imwrite(path, data, imagej=kind == "imagej" or None, **gray)
    error = refusal(path)
    assert reason in error.message
    assert "Fiji" in error.hint


def test_time_points_without_slices_are_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", pictures(3), metadata={"axes": "TYX"})
    assert len(frames_of([tmp_path / "a.ome.tif"])) == 3


def test_broken_pages_are_refused_without_a_traceback(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", pictures(3), metadata={"axes": SLICES})
    data = (tmp_path / "a.ome.tif").read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(60):
        spoiled = bytearray(data)
        for at in rng.integers(0, 1500, 4):
            spoiled[at] = rng.integers(0, 256)
        (tmp_path / "b.ome.tif").write_bytes(spoiled)
        try:
            for frame in frames_of([tmp_path / "b.ome.tif"]):
                read_frame(frame)
        except PictureError:
            refused += 1
    assert 0 < refused < 60


def test_names_are_distinct(tmp_path: Path) -> None:
    def named(*paths: str) -> list[str]:
        return distinct_names([FrameFile(Path(each)) for each in paths])

    assert named("s/a.png", "s/b.png") == ["a.png", "b.png"]
    assert named("s/1.png", "t/1.png") == ["s/1.png", "t/1.png"]
    assert named("x/s/1.png", "y/s/1.png") == ["x/s/1.png", "y/s/1.png"]
    assert named("a.png", "a.png") == ["a.png (1)", "a.png (2)"]


# --- What we write ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", DEPTHS)
def test_other_programs_read_what_we_write(tmp_path: Path, dtype: type, channels: int, order: str) -> None:
    stored = picture(dtype, channels)
    made = Image.Exif()
    made.endian = order
    made[0x010F] = "A maker"
    path = tmp_path / "a.tif"
    write_picture(path, PictureFile(stored, exif=made.tobytes().removeprefix(b"Exif\0\0")))
    assert path.read_bytes()[:2] == (b"II" if order == "<" else b"MM")
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == len(tif.series) == 1
        assert np.array_equal(tif.asarray(), stored)
    other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(other[..., ::-1] if channels == 3 else other, stored)
    if channels == 1 or dtype == np.uint8:  # Pillow has no deep color
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), stored)
            assert image.getexif()[0x010F] == "A maker"
    assert np.array_equal(read_picture(path).pixels, stored)


@pytest.mark.parametrize(
    ("description", "stays"),
    [
        ('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"></OME>', False),
        ("ImageJ=1.54f\nimages=3\nslices=3\n", False),
        ('{"shape": [3, 40, 50]}', False),
        ("A bee at noon", True),
    ],
)
def test_only_descriptions_by_people_go_to_the_result(tmp_path: Path, description: str, stays: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(np.uint16), description=description, metadata=None)
    for suffix in ("tif", "png"):
        write_picture(tmp_path / f"b.{suffix}", read_picture(path))
        with Image.open(tmp_path / f"b.{suffix}") as image:
            assert image.getexif().get(270) == (description if stays else None)
    assert tifffile.imread(tmp_path / "b.tif").shape == (40, 50)
