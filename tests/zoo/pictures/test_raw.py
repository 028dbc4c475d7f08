"""RAW: drawn DNGs, whose scene is known."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from dng import write_dng
from PIL import Image, ImageCms

from mfsynth.errors import OptionsError
from mfsynth.synthesis.optics.light import srgb_of
from zoo.errors import PictureError
from zoo.pictures.raw import Development, development_of
from zoo.pictures.read import read_picture
from zoo.stacks.options import FuseOptions
from zoo.stacks.request import FuseRequest


def scene(size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Smooth linear light, in which a mosaic loses nothing; 0.02 to 0.45."""
    small = np.random.default_rng(9).uniform(0.02, 0.45, (4, 5, 3)).astype(np.float32)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0.02, 0.45).astype(float)


def distance(pixels: np.ndarray, light: np.ndarray) -> float:
    """The mean distance from the truth, in units of full range."""
    return float(np.abs(pixels / 65535 - light).mean())


def test_it_is_developed_as_srgb_or_in_linear_light(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", scene())
    found = read_picture(tmp_path / "a.dng")
    assert found.pixels.dtype == np.uint16
    assert distance(found.pixels, srgb_of(scene())) < 0.004
    linear = read_picture(tmp_path / "a.dng", Development(linear=True))
    assert distance(linear.pixels, scene()) < 0.004
    assert found.icc != linear.icc


def test_profiles_say_how_it_was_developed(tmp_path: Path) -> None:
    """Both developments are the same colors: brought to sRGB by LittleCMS, they look alike."""
    write_dng(tmp_path / "a.dng", scene())
    srgb, shown = ImageCms.createProfile("sRGB"), []
    for linear in (False, True):
        picture = read_picture(tmp_path / "a.dng", Development(linear))
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
        image = Image.fromarray((picture.pixels / 257).round().astype(np.uint8))
        shown.append(np.asarray(ImageCms.profileToProfile(image, profile, srgb)).astype(int))
    assert (
        np.abs(shown[0] - shown[1])[shown[0] > 64].max() <= 3
    )  # 8 bits of linear light are coarse in the dark


def test_half_the_light_gives_half_the_values(tmp_path: Path) -> None:
    """No automatic brightness, and no white level from the brightest pixel."""
    for name, light in (("a", scene()), ("b", scene() / 2)):
        write_dng(tmp_path / f"{name}.dng", light)
    one, half = (read_picture(tmp_path / f"{n}.dng", Development(linear=True)).pixels for n in "ab")
    assert np.median(half / one) == pytest.approx(0.5, abs=0.002)


def test_a_stack_has_one_white_balance(tmp_path: Path) -> None:
    """A camera that doubts its light tags every frame differently; the sensor has seen the same."""
    write_dng(tmp_path / "a.dng", scene(), balance=(2.0, 1.0, 1.5))
    write_dng(tmp_path / "b.dng", scene() * [1.25, 1, 1], balance=(2.5, 1.0, 1.5))  # the same counts
    how = development_of(tmp_path / "a.dng")
    first, second = (read_picture(tmp_path / f"{name}.dng", how).pixels.astype(int) for name in "ab")
    alone = read_picture(tmp_path / "b.dng").pixels
    assert np.abs(first - second).max() <= 65
    assert np.abs(first - alone).mean() > 1000


def test_it_is_upright_and_keeps_exif(tmp_path: Path) -> None:
    for orientation, turned in ((1, scene()), (3, scene()[::-1, ::-1]), (6, np.rot90(scene(), -1))):
        write_dng(tmp_path / "a.dng", scene(), orientation=orientation)
        found = read_picture(tmp_path / "a.dng")
        assert found.pixels.shape == turned.shape
        assert distance(found.pixels, srgb_of(turned)) < 0.004
        tags = Image.Exif()
        tags.load(found.exif)
        assert (tags[0x0112], tags[0x010F], tags[0x0110]) == (1, "A maker", "A camera")


def test_linear_light_is_refused_where_nothing_is_raw() -> None:
    linear = FuseOptions(linear=True)
    with pytest.raises(OptionsError, match="--linear is for RAW"):
        FuseRequest((Path("a.jpg"), Path("b.jpg")), Path("c.png"), options=linear)
    FuseRequest((Path("a.jpg"), Path("b.CR3")), Path("c.png"), options=linear)


def refusal(path: Path) -> PictureError:
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert caught.value.message.startswith(f"cannot read {path}: ")
    return caught.value


def test_a_broken_file_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_dng(tmp_path / "a.dng", scene())
    data = (tmp_path / "a.dng").read_bytes()
    for cut in (data[:40], data[: len(data) // 2], b"not a picture at all", b"\0" * 100):
        (tmp_path / "a.dng").write_bytes(cut)
        refusal(tmp_path / "a.dng")


def test_a_missing_package_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dng(tmp_path / "a.dng", scene())
    monkeypatch.setitem(sys.modules, "rawpy", None)
    error = refusal(tmp_path / "a.dng")
    assert "rawpy is not installed" in error.message
    assert "[formats]" in error.hint
