"""Colors of one profile as those of another, against Little CMS, which Pillow carries."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from zoo.errors import PictureError
from zoo.pictures.conversion import converted
from zoo.pictures.frames import frames_of
from zoo.pictures.picture import PictureFile, Refusal
from zoo.pictures.profiles import BT2020_PRIMARIES, P3_PRIMARIES, SRGB_CURVE, SRGB_PRIMARIES, rgb_profile
from zoo.pictures.write import write_picture
from zoo.stacks.stack import FileStack

LITTLE_CMS_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
PROFILES = {
    "sRGB": LITTLE_CMS_SRGB,
    "Display P3": rgb_profile("Display P3", P3_PRIMARIES, SRGB_CURVE),
    "Adobe RGB": rgb_profile("Adobe RGB", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (2.19921875,)),
    "BT.2020": rgb_profile("BT.2020", BT2020_PRIMARIES, SRGB_CURVE),
}
COLORS = np.random.default_rng(1).integers(0, 256, (60, 70, 3), np.uint8)


def by_little_cms(pixels: np.ndarray, source: bytes, target: bytes) -> np.ndarray:
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(each)) for each in (source, target)]
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(pixels), *profiles, intent))


@pytest.mark.parametrize("target", PROFILES)
@pytest.mark.parametrize("source", PROFILES)
def test_colors_are_little_cms_s(source: str, target: str) -> None:
    expected = by_little_cms(COLORS, PROFILES[source], PROFILES[target])
    found = converted(COLORS, PROFILES[source], PROFILES[target])
    error = np.abs(found.astype(int) - expected)
    assert (error > 1).mean() < 1e-3
    deep = converted(COLORS.astype(np.uint16) * 257, PROFILES[source], PROFILES[target])
    assert deep.dtype == np.uint16
    assert (np.abs(deep / 257 - expected) > 1).mean() < 1e-3


def test_no_profile_is_srgb() -> None:
    p3 = PROFILES["Display P3"]
    assert np.array_equal(converted(COLORS, p3, None), converted(COLORS, p3, LITTLE_CMS_SRGB))
    assert np.array_equal(converted(COLORS, None, p3), converted(COLORS, LITTLE_CMS_SRGB, p3))


def test_profiles_that_mean_the_same_change_nothing() -> None:
    ours = rgb_profile("another sRGB", SRGB_PRIMARIES, SRGB_CURVE)
    for source in (None, ours, LITTLE_CMS_SRGB):
        for target in (None, ours, LITTLE_CMS_SRGB):
            assert converted(COLORS, source, target) is COLORS


def test_there_and_back_is_the_same_where_the_target_holds_the_colors() -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (40, 50, 3), np.uint16)
    wide = PROFILES["BT.2020"]
    back = converted(converted(deep, None, wide), wide, None)
    assert np.abs(back.astype(int) - deep).max() <= 40  # of 65,535: sRGB's curve is steep at black


def test_a_gray_curve_is_applied() -> None:
    gray = np.arange(256, dtype=np.uint8)[None].repeat(4, 0)
    gamma = rgb_profile("gamma", SRGB_PRIMARIES, (1.8,)).replace(b"rTRC", b"kTRC")
    linear = (gray / 255.0) ** 1.8
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(converted(gray, gamma, None) - 255 * expected).max() <= 0.51


def _place(icc: bytes, tag: bytes) -> slice:
    _, start, size = struct.unpack_from(">4sII", icc, icc.index(tag))
    return slice(start, start + size)


def test_what_cannot_be_converted_is_refused() -> None:
    p3 = PROFILES["Display P3"]
    with pytest.raises(Refusal, match="floats"):
        converted(COLORS.astype(np.float32), p3, None)
    singular = p3.replace(p3[_place(p3, b"rXYZ")], p3[_place(p3, b"gXYZ")])
    for broken in (p3[:200], singular):
        with pytest.raises(Refusal, match="its color profile is broken"):
            converted(COLORS, broken, None)
        with pytest.raises(Refusal, match="the first frame's color profile is broken"):
            converted(COLORS, None, broken)
    with pytest.raises(Refusal, match="tables"):
        converted(COLORS.astype(np.uint16), LITTLE_CMS_SRGB.replace(b"rTRC", b"A2B0"), None)


def test_frames_are_read_in_the_first_frames_profile_with_a_word(tmp_path: Path) -> None:
    p3 = PROFILES["Display P3"]
    for name, icc in (("a.png", None), ("b.png", LITTLE_CMS_SRGB), ("c.png", p3), ("d.png", p3)):
        write_picture(tmp_path / name, PictureFile(COLORS, icc))
    said: list[str] = []
    stack = FileStack(frames_of(sorted(tmp_path.iterdir())), None, say=said.append)
    frames = [stack.frame(number) for number in (0, 1, 2, 3, 2)]
    assert np.array_equal(frames[0], COLORS)
    assert np.array_equal(frames[1], COLORS)
    assert np.array_equal(frames[2], converted(COLORS, p3, None))
    assert said == ["c.png has a different color profile than a.png; such frames are converted to it"]
    broken = FileStack(frames_of([tmp_path / "a.png"]), p3[:200])
    with pytest.raises(PictureError, match=r"a\.png"):
        broken.frame(0)
