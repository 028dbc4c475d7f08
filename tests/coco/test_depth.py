"""Depth maps: where they are found, how they are cut into layers, and why one cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_folder import Picture, edit_annotations, save_annotations, write_coco
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy.special import j1

import mfsynth
from mfsynth.coco.image import read_image
from mfsynth.coco.masks.depth import DepthCut, depth_layers
from mfsynth.coco.split import Split, read_split
from mfsynth.errors import OptionsError, SourceError, UnusableImage
from mfsynth.options import BuildOptions, choose
from mfsynth.synthesis.optics.circles import blur_size

NEAR, FAR = DepthCut(16, "near"), DepthCut(16, "far")
HEIGHT, WIDTH = Picture.height, Picture.width


def ramp(height: int = HEIGHT, width: int = WIDTH, top: int = 1_000, bottom: int = 61_000) -> np.ndarray:
    """Ground that comes nearer from the top to the bottom, H x W, uint16."""
    return np.linspace(top, bottom, height)[:, None].repeat(width, 1).astype(np.uint16)


def maps_of(folder: Path, **values: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in values.items():
        cv2.imwrite(str(folder / f"{name}.png"), array)
    return folder


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two pictures with masks; their depth maps are in `maps`."""
    write_coco(tmp_path / "coco", "s", [Picture(1), Picture(2)])
    maps_of(tmp_path / "maps", **{f"{id:012d}": ramp() for id in (1, 2)})
    return tmp_path / "coco"


def read(coco: Path, **how: Any) -> Split:
    return read_split(coco, "s", cache=coco / "cache", depth_maps=coco.parent / "maps", **how)


# --- layers -------------------------------------------------------------------------------------------


def expected_layers(values: np.ndarray, layers: int) -> np.ndarray:
    """By the definition, in floating point: equal steps between the 0.5th and the 99.5th percentile."""
    ordered = np.sort(values, axis=None).astype(float)
    spared = values.size // 200
    low, high = ordered[spared], ordered[-1 - spared]
    return np.clip(np.floor((values - low) / (high - low) * layers), 0, layers - 1).astype(int)


@pytest.mark.parametrize("layers", [2, 16, 255])
def test_layers_are_equal_steps_of_the_range(layers: int) -> None:
    values = np.random.default_rng(0).integers(0, 65_536, (60, 80), np.uint16)
    found = depth_layers(values, DepthCut(layers, "near"))
    assert np.array_equal(found, expected_layers(values, layers))
    assert found.min() == 0
    assert found.max() == layers - 1


@given(
    values=arrays.arrays(np.uint8, st.tuples(st.integers(2, 30), st.integers(2, 30))),
    scale=st.integers(2, 200),
    shift=st.integers(0, 9_000),
)
@settings(max_examples=60, deadline=None)
def test_scale_and_shift_give_the_same_layers(values: np.ndarray, scale: int, shift: int) -> None:
    """So 8 and 16 bits agree, and any estimate of inverse distance that is right but for scale and shift."""
    try:
        expected = depth_layers(values, NEAR)
    except UnusableImage:
        with pytest.raises(UnusableImage):
            depth_layers(values.astype(np.uint16) * scale + shift, NEAR)
        return
    assert np.array_equal(depth_layers(values.astype(np.uint16) * scale + shift, NEAR), expected)
    assert np.array_equal(depth_layers(values.astype(np.uint16) * 257, NEAR), expected)


def test_distances_are_cut_at_equal_steps_of_their_inverses() -> None:
    """In millimeters or in centimeters: 840 has many divisors, so that 1/distance is exact."""
    inverses = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15, 20, 21, 24], np.uint16)[None].repeat(9, 0)
    distances = 840 // inverses
    assert np.array_equal(depth_layers(distances, FAR), depth_layers(inverses, NEAR))
    assert np.array_equal(depth_layers(distances * 10, FAR), depth_layers(inverses, NEAR))
    assert np.array_equal(
        depth_layers(distances.astype(np.uint16), FAR)[0], np.sort(depth_layers(distances, FAR)[0])
    )


def test_what_is_large_decides_which_end_is_far() -> None:
    assert depth_layers(ramp(), NEAR)[0, 0] == depth_layers(ramp(), FAR)[-1, 0] == 0
    assert depth_layers(ramp(), NEAR)[-1, 0] == depth_layers(ramp(), FAR)[0, 0] == 15


def test_outliers_do_not_stretch_the_range() -> None:
    values = ramp(top=20_000, bottom=30_000)
    spoiled = values.copy()
    spoiled[5, :5], spoiled[30, :5] = 0, 65_535
    same = depth_layers(spoiled, NEAR) == depth_layers(values, NEAR)
    assert same.mean() > 0.98
    assert depth_layers(spoiled, NEAR)[5, 0] == 0
    assert depth_layers(spoiled, NEAR)[30, 0] == 15


def test_pixels_without_a_distance_take_the_nearest_ones_layer() -> None:
    values = np.random.default_rng(3).integers(500, 9_000, (24, 30), np.uint16)
    holes = np.random.default_rng(4).random(values.shape) < 0.3
    found = depth_layers(np.where(holes, 0, values).astype(np.uint16), FAR)
    rows, columns = np.nonzero(~holes)
    for row, column in np.argwhere(holes):
        away = np.hypot(rows - row, columns - column)
        nearest = away <= away.min() + 0.15  # the distances are to within a few percent
        assert found[row, column] in found[rows[nearest], columns[nearest]]


def test_zero_is_a_value_like_others_where_near_is_large() -> None:
    assert depth_layers(ramp(top=0), NEAR)[0, 0] == 0


@pytest.mark.parametrize(
    ("values", "cut", "said"),
    [
        (np.full((20, 20), 77, np.uint8), NEAR, "except for outliers, all of its values are 77"),
        (np.zeros((20, 20), np.uint16), FAR, "only 0.0% of its pixels are measured"),
        (
            np.where(np.arange(400) < 190, 5_000, 0).reshape(20, 20).astype(np.uint16),
            FAR,
            "only 47.5% of its",
        ),
        (np.where(np.arange(400) < 1, 5, 6).reshape(20, 20).astype(np.uint16), NEAR, "values are 6"),
    ],
)
def test_a_map_that_says_nothing_is_refused(values: np.ndarray, cut: DepthCut, said: str) -> None:
    with pytest.raises(UnusableImage, match=said) as caught:
        depth_layers(values, cut)
    assert caught.value.reason == "depth-flat"


def test_an_image_has_a_segment_for_each_layer_that_has_pixels(coco: Path) -> None:
    steps = np.repeat(np.array([0, 10, 20, 160], np.uint8), 10)[:, None].repeat(WIDTH, 1)
    maps_of(coco.parent / "maps", **{f"{1:012d}": steps})
    image = read_image(read(coco).entries[0], cut=NEAR)
    assert [(info.index, info.id, info.category_id) for info in image.infos] == [
        (0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 16, 0)
    ]  # fmt: skip
    assert np.array_equal(image.segments, np.repeat(np.arange(4), 10)[:, None].repeat(WIDTH, 1))
    assert [info.area for info in image.infos] == [10 * WIDTH] * 4


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG", ".TIF"])
def test_png_and_tiff_give_the_same_segments(coco: Path, suffix: str) -> None:
    expected = read_image(read(coco).entries[0], cut=NEAR)
    (coco.parent / "maps" / f"{1:012d}.png").unlink()
    cv2.imwrite(str(coco.parent / "maps" / f"{1:012d}{suffix}"), ramp())
    found = read_image(read(coco).entries[0], cut=NEAR)
    assert np.array_equal(found.segments, expected.segments)
    assert found.infos == expected.infos


# --- scenes -------------------------------------------------------------------------------------------


PERIOD = 24


def scene_of(tmp_path: Path, values: np.ndarray, **options: Any) -> mfsynth.Sample:
    """A sample of a picture of upright stripes, a sine from 28 to 228, with this depth map."""
    (tmp_path / "coco" / "n").mkdir(parents=True)
    stripes = 128 + 100 * np.sin(2 * np.pi * np.arange(values.shape[1]) / PERIOD)
    picture = stripes[None, :, None].repeat(values.shape[0], 0).repeat(3, 2)
    cv2.imwrite(str(tmp_path / "coco" / "n" / "a.png"), np.rint(picture).astype(np.uint8))
    maps = maps_of(tmp_path / "maps", a=values)
    (sample,) = mfsynth.synthesize(tmp_path / "coco", "n", depth_maps=maps, **options)
    return sample


@pytest.mark.parametrize(
    ("large", "frames"), [("near", 6), ("far", 6), ("near", 2), ("near", 16), ("near", 20)]
)
def test_the_focus_map_is_the_nearest_frame_by_depth(tmp_path: Path, large: Any, frames: int) -> None:
    depth = ramp(160, 48)
    sample = scene_of(tmp_path, depth, depth=large, frames=frames)
    planes = max(16, frames)
    inverse = depth if large == "near" else 1 / depth
    layers = expected_layers(inverse, planes)
    focused = np.round(np.linspace(0, planes - 1, frames))
    nearest = np.abs(layers[..., None] - focused).argmin(-1)
    assert np.mean(sample.focus == nearest) == 1
    assert [frame.plane for frame in sample.recipe.frames] == focused.tolist()
    assert sample.recipe.planes == planes


@pytest.mark.parametrize("boundary", ["hard", "spread"])
def test_slanted_ground_blurs_continuously(tmp_path: Path, boundary: str) -> None:
    """A sine's contrast after a disk of radius r is 2 J1(x)/x with x = 2 pi r / period; no row jumps."""
    depth = ramp(320, 5 * PERIOD)
    options: dict[str, Any] = {"frames": 2, "kernel": "disk", "radius": (9, 9), "boundary": boundary}
    sample = scene_of(tmp_path, depth, **options)
    layers = expected_layers(depth, 16)[:, 0]
    wave = np.exp(2j * np.pi * np.arange(3 * PERIOD) / PERIOD)
    rows = sample.frames[0][:, PERIOD : 4 * PERIOD, 1] - 128.0
    contrast = np.abs(rows @ wave) * 2 / len(wave) / 100
    x = 2 * np.pi * 9 * np.arange(1, 16) / 15 / PERIOD
    expected = np.array([1, *(2 * j1(x) / x)])
    assert np.allclose([contrast[layers == layer].mean() for layer in range(16)], expected, atol=0.02)
    steps = np.abs(np.diff(expected))
    assert np.abs(np.diff(contrast)).max() < steps.max() + 0.02
    assert steps.max() < 0.08
    assert [blur_size(sample.recipe, layer) for layer in (0, 5, 15)] == [0, 3, 9]


def test_planes_say_how_many_layers_there_are(tmp_path: Path) -> None:
    sample = scene_of(tmp_path, ramp(160, 48), frames=3, planes=40)
    assert sample.recipe.planes == 40
    assert len(sample.recipe.segments) == 40
    assert np.array_equal(sample.segments, expected_layers(ramp(160, 48), 40))


@pytest.mark.parametrize(("near_rows", "usable"), [(20, True), (2, False)])
def test_two_frames_need_something_in_focus(coco: Path, near_rows: int, usable: bool) -> None:
    depth = np.full((HEIGHT, WIDTH), 100, np.uint8)
    depth[HEIGHT - near_rows :] = 200
    maps_of(coco.parent / "maps", **{f"{1:012d}": depth})
    found = mfsynth.synthesize(coco, "s", depth_maps=coco.parent / "maps", min_area=0.1, images=[1], frames=6)
    assert len(list(found)) == usable


# --- where maps and pictures are ----------------------------------------------------------------------


def test_masks_are_not_needed(coco: Path) -> None:
    """Nor their areas: what rules an image out by its annotations is about them."""
    shutil.rmtree(coco / "panoptic_s")
    content = edit_annotations(coco, "s")
    for annotation in content["annotations"]:
        annotation["segments_info"] = annotation["segments_info"][:1]
        annotation["segments_info"][0]["area"] = HEIGHT * WIDTH
    save_annotations(coco, "s", content)
    split = read(coco)
    assert split.annotations == "annotations/panoptic_s.json"
    assert [license.id for license in split.licenses] == [4]
    assert len(choose(split, BuildOptions("s", depth="near", licenses=(4,))).entries) == 2
    assert not choose(split, BuildOptions("s", depth="near")).left_out
    (coco / "annotations" / "panoptic_s.json").rename(coco / "annotations" / "instances_s.json")
    assert [entry.image for entry in read(coco, masks="instances").entries] == [
        entry.image for entry in split.entries
    ]


@pytest.mark.parametrize("annotated", [True, False])
def test_maps_and_pictures_may_be_in_zips(coco: Path, annotated: bool) -> None:
    if not annotated:
        (coco / "annotations" / "panoptic_s.json").unlink()
    expected = [read_image(entry, cut=NEAR) for entry in read(coco).entries]
    for folder in (coco.parent / "maps", coco / "s"):
        with zipfile.ZipFile(f"{folder}.zip", "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"{folder.name}/{path.name}")
        shutil.rmtree(folder)
    found = [read_image(entry, cut=NEAR) for entry in read(coco).entries]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.picture, other.picture)
        assert np.array_equal(one.segments, other.segments)


@pytest.mark.parametrize("listed", ["sub/bee.jpg", "s/sub/bee.jpg", "sub\\bee.jpg"])
def test_a_map_is_where_its_picture_is(coco: Path, listed: str) -> None:
    for folder, name in ((coco / "s", f"{1:012d}.jpg"), (coco.parent / "maps", f"{1:012d}.png")):
        (folder / "sub").mkdir()
        (folder / name).rename(folder / "sub" / f"bee{name[-4:]}")
    content = edit_annotations(coco, "s")
    content["images"][0]["file_name"] = listed
    save_annotations(coco, "s", content)
    assert read_image(read(coco).entries[0], cut=NEAR).segments.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("name", ["../maps2/x.jpg", "/etc/passwd.jpg", "..\\maps2\\x.jpg"])
def test_a_map_is_not_sought_outside_its_folder(coco: Path, name: str) -> None:
    maps_of(coco.parent / "maps2", x=ramp())
    content = edit_annotations(coco, "s")
    content["images"][0]["file_name"] = name
    save_annotations(coco, "s", content)
    depth = read(coco).entries[0].depth
    assert str(depth).startswith("the depth maps: ")
    assert str(depth).endswith("leads outside its folder")


def list_pictures(coco: Path, *names: str) -> Split:
    """The split whose pictures and maps have these names, without annotations."""
    shutil.rmtree(coco / "annotations")
    picture = (coco / "s" / Picture(1).name).read_bytes()
    shutil.rmtree(coco / "s")
    (coco / "s").mkdir()
    for name in names:
        (coco / "s" / name).write_bytes(picture)
        maps_of(coco.parent / "maps", **{name.rpartition(".")[0]: ramp()})
    return read(coco)


def test_pictures_are_listed_where_there_are_no_annotations(coco: Path) -> None:
    split = list_pictures(coco, "bee.jpg", "ant.JPG", "._bee.jpg", "notes.txt")
    images = [entry.image for entry in split.entries]
    assert [(image.id, image.file_name, image.license) for image in images] == [
        (1, "ant.JPG", 0),
        (2, "bee.jpg", 0),
    ]
    assert {(image.height, image.width) for image in images} == {(HEIGHT, WIDTH)}
    assert split.annotations == "s/"


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000000000139.jpg", "000000000007.jpg"], [7, 139]),
        (["7.jpg", "007.jpg"], [1, 2]),
        (["7.jpg", "seven.jpg"], [1, 2]),
        (["7.jpg", f"{10**19}.jpg"], [1, 2]),
    ],
)
def test_ids_are_the_names_where_these_are_numbers(coco: Path, names: list[str], ids: list[int]) -> None:
    assert [entry.image.id for entry in list_pictures(coco, *names).entries] == ids


def test_listed_pictures_say_what_is_wrong_with_their_maps(coco: Path) -> None:
    list_pictures(coco, "ant.jpg", "bee.jpg", "cow.jpg")
    (coco.parent / "maps" / "ant.png").unlink()
    (coco.parent / "maps" / "bee.png").write_bytes(b"")
    choice = choose(read(coco), BuildOptions("s", depth="near"))
    assert choice.left_out == {"depth-broken": (2,), "depth-missing": (1,)}
    assert [fault.detail for fault in choice.faults] == [
        "image 1 cannot be used: the depth maps: 'ant.png' is not there; looked for 'ant.png', 'ant.tif', "
        "'ant.tiff'",
        "image 2 cannot be used: depth map bee.png: it is empty; store it as gray with 8 or 16 bits, "
        "as a PNG or a TIFF",
    ]


def test_a_split_changes_where_a_listed_picture_does(coco: Path) -> None:
    before = list_pictures(coco, "ant.jpg", "bee.jpg").annotations_sha256
    assert read(coco).annotations_sha256 == before
    (coco / "s" / "ant.jpg").rename(coco / "s" / "cow.jpg")
    assert read(coco).annotations_sha256 != before


def test_a_turned_picture_has_the_size_of_its_map(coco: Path) -> None:
    list_pictures(coco, "ant.jpg")
    exif = Image.Exif()
    exif[0x112] = 6
    picture = Image.open(coco / "s" / "ant.jpg").rotate(90, expand=True)
    picture.save(coco / "s" / "ant.jpg", exif=exif.tobytes())
    image = read_image(read(coco).entries[0], cut=NEAR)
    assert image.picture.shape == (HEIGHT, WIDTH, 3)
    assert image.notes == ("orientation-upright",)


def test_depth_maps_are_given_where_options_need_them(coco: Path) -> None:
    with pytest.raises(
        OptionsError, match=r"come from depth maps; give the folder that has them: --depth DIR"
    ):
        mfsynth.synthesize(coco, "s", depth="near")
    with pytest.raises(OptionsError, match="is not made from depth maps; omit --depth"):
        mfsynth.synthesize(coco, "s", depth="none", depth_maps=coco.parent / "maps")
    with pytest.raises(SourceError, match=r"there is no folder .*nowhere of depth maps"):
        mfsynth.synthesize(coco, "s", depth_maps=coco.parent / "nowhere")


# --- faults -------------------------------------------------------------------------------------------


def write(array: np.ndarray, suffix: str = ".png") -> Callable[[Path], object]:
    return lambda path: path.write_bytes(cv2.imencode(suffix, array)[1].tobytes())


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("depth-missing", Path.unlink),
    "two of them": ("depth-missing", lambda path: shutil.copy(path, path.with_suffix(".tif"))),
    "empty": ("depth-broken", lambda path: path.write_bytes(b"")),
    "cut": ("depth-broken", cut_off),
    "a JPEG": ("depth-broken", write(ramp() >> 8, ".jpg")),
    "in color": ("depth-broken", write(np.dstack([ramp(), ramp() // 2, ramp()]))),
    "float": ("depth-broken", write(ramp().astype(np.float32), ".tiff")),
    "another size": ("size-mismatch", write(ramp(HEIGHT + 1))),
    "transposed": ("size-mismatch", write(ramp().T.copy())),
    "flat": ("depth-flat", write(ramp(top=9, bottom=9))),
    "a pipe": ("unreadable", lambda path: replaced(path, os.mkfifo)),
    "a folder": ("unreadable", lambda path: replaced(path, os.mkdir)),
    "100 GB of nothing": ("unreadable", lambda path: os.truncate(path, 100 << 30)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_image_without_a_usable_map_cannot_be_used(coco: Path, fault: str) -> None:
    reason, spoil = FAULTS[fault]
    spoil(coco.parent / "maps" / f"{1:012d}.png")
    bad, good = read(coco).entries
    with pytest.raises(UnusableImage) as caught:
        read_image(bad, cut=NEAR)
    assert caught.value.reason == reason
    assert f"{1:012d}" in caught.value.message
    assert str(coco.parent) not in caught.value.message
    assert read_image(good, cut=NEAR).infos


def test_an_entry_names_its_map_among_its_files(coco: Path) -> None:
    first, second = read(coco).entries
    assert sorted(first.files("s")) == [f"depth_s/{1:012d}.png", f"s/{1:012d}.jpg"]
    assert json.dumps(sorted(replace(second, depth=None).files("s"))) == f'["s/{2:012d}.jpg"]'
