"""Stacks whose frames are the pages of one file, from the file to the result."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from mfsynth.errors import OptionsError
from zoo.networks import Config, Network
from zoo.pictures.profiles import P3_PRIMARIES, SRGB_CURVE, rgb_profile
from zoo.stacks.files import fuse_files
from zoo.stacks.options import FuseOptions
from zoo.stacks.request import FuseRequest
from zoo.store.folder import save_folder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Network(Config(task="seg", width=4, depth=2)).eval()


def slices(dtype=np.uint16, count=3, size=(96, 128)):
    """One texture, each stripe sharp in another slice."""
    noise = np.random.default_rng(3).random(size, np.float32)
    sharp = cv2.normalize(cv2.GaussianBlur(noise, None, 1.5), None, 0, 1, cv2.NORM_MINMAX)
    blurred = cv2.GaussianBlur(sharp, None, 3)
    stack = np.repeat(blurred[None], count, 0)
    for number, stripe in enumerate(np.array_split(np.arange(size[1]), count)):
        stack[number][:, stripe] = sharp[:, stripe]
    return (stack * np.iinfo(dtype).max).astype(dtype)


def test_command_fuses_the_pages_of_one_file(model, tmp_path, cli):
    save_folder(tmp_path / "network", model)
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, slices(), metadata={"axes": "ZYX"})
    done = cli("fuse", path, "-o", tmp_path / "fused.tif", "--model", tmp_path / "network")
    assert done.returncode == 0, done.stderr
    assert "3 frames" in done.stdout
    with tifffile.TiffFile(tmp_path / "fused.tif") as tif:  # as itself, not as the stack that it was
        assert tif.series[0].shape == tif.pages[0].shape == (96, 128)
        assert tif.pages[0].dtype == np.uint16
        assert not tif.pages[0].description


def test_pages_fuse_like_the_same_frames_in_files(model, tmp_path):
    stack = slices()
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    paths = [tmp_path / f"{number}.tif" for number in range(3)]
    for path, frame in zip(paths, stack, strict=True):
        tifffile.imwrite(path, frame, metadata=None)
    fuse_files(model, [tmp_path / "stack.tif"], tmp_path / "a.png", FuseOptions())
    fuse_files(model, paths, tmp_path / "b.png", FuseOptions())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_single_picture_is_still_one_frame(tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", slices()[0])
    Image.fromarray(slices(np.uint8)[0]).save(tmp_path / "one.png")
    for name in ("one.tif", "one.png"):
        with pytest.raises(OptionsError, match="one frame is given"):
            FuseRequest((tmp_path / name,), tmp_path / "fused.png")


def test_xmp_of_the_first_frame_goes_to_the_result(model, tmp_path):
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
    paths = [tmp_path / f"{number}.jpg" for number in range(2)]
    for path, frame in zip(paths, slices(np.uint8, 2), strict=True):
        Image.fromarray(frame).save(path, xmp=packet)
    fuse_files(model, paths, tmp_path / "fused.png", FuseOptions())
    with Image.open(tmp_path / "fused.png") as image:
        assert image.info["xmp"] == packet


def test_a_frame_in_another_profile_is_converted_and_the_report_says_so(model, tmp_path):
    profile = rgb_profile("Display P3", P3_PRIMARIES, SRGB_CURVE)
    colors = [np.dstack([frame, frame // 2, 255 - frame]) for frame in slices(np.uint8, 2)]
    for number, (frame, icc) in enumerate(zip(colors, (None, profile), strict=True)):
        Image.fromarray(frame).save(tmp_path / f"{number}.png", icc_profile=icc)
    said = []
    paths = [tmp_path / "0.png", tmp_path / "1.png"]
    report = fuse_files(model, paths, tmp_path / "fused.png", FuseOptions(), say=said.append)
    word = "1.png has a different color profile than 0.png; such frames are converted to it"
    assert word in said
    assert word in report.warnings
    with Image.open(tmp_path / "fused.png") as image:
        assert "icc_profile" not in image.info
