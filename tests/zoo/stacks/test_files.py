import json
import os

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from mfsynth.errors import OptionsError
from zoo.errors import FrameError
from zoo.networks import Config, Network
from zoo.stacks.files import fuse_files
from zoo.stacks.options import Extras, FuseOptions
from zoo.stacks.request import FuseRequest
from zoo.store.folder import save_folder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Network(Config(task="seg", width=4, depth=2)).eval()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("network")
    save_folder(path, model)
    return path


def texture(height, width, seed=0):
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, None, 1.5)
    return cv2.normalize(smooth, None, 0, 1, cv2.NORM_MINMAX)


def stack(folder, count=2, dtype=np.uint8, suffix=".png", size=(96, 128)):
    """One texture, sharp in a different stripe in each frame."""
    folder.mkdir(exist_ok=True)
    sharp = texture(*size)
    blurred = cv2.GaussianBlur(sharp, None, 3)
    paths = []
    for number in range(count):
        frame = blurred.copy()
        stripe = slice(number * size[1] // count, (number + 1) * size[1] // count)
        frame[:, stripe] = sharp[:, stripe]
        values = (frame * np.iinfo(dtype).max).round().astype(dtype)
        paths.append(folder / f"bee_{number}{suffix}")
        cv2.imwrite(str(paths[-1]), values[..., ::-1])
    return paths


def pixels(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_command_fuses_and_draws_the_decision(folder, tmp_path, cli):
    paths = stack(tmp_path / "stack", 3)
    done = cli("fuse", *paths, "-o", tmp_path / "fused.png", "--model", folder, "--decision-map",
               tmp_path / "map.png", "--rule", "select", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["fused"][0]
    assert report["frames"] == 3
    assert report["size"] == [96, 128]
    levels = pixels(tmp_path / "map.png")
    assert set(np.unique(levels)) <= {0, 128, 255}
    shares = [(levels == level).mean() for level in (0, 128, 255)]
    assert report["shares"] == pytest.approx(shares, abs=1e-4)
    frames = np.stack([pixels(path) for path in paths])
    chosen = np.take_along_axis(frames, (levels // 127).clip(0, 2)[None, ..., None].astype(int), 0)[0]
    np.testing.assert_array_equal(pixels(tmp_path / "fused.png"), chosen)


def test_two_orders_of_a_stack_give_the_same_file(model, tmp_path):
    paths = stack(tmp_path / "stack", 5)
    for name, order in (("one", paths), ("other", [paths[k] for k in (3, 0, 4, 2, 1)])):
        fuse_files(model, order, tmp_path / f"{name}.png", FuseOptions())
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


def test_depth_profile_and_exif_are_the_first_frames(model, tmp_path):
    paths = stack(tmp_path / "stack", dtype=np.uint16, suffix=".tif")
    fuse_files(model, paths, tmp_path / "deep.png", FuseOptions())
    assert pixels(tmp_path / "deep.png").dtype == np.uint16

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "a camera's maker"
    exif[0x0112] = 6  # turned by 90 degrees
    paths = [tmp_path / f"turned_{k}.jpg" for k in range(2)]
    for path in paths:
        Image.fromarray((texture(40, 64) * 255).astype(np.uint8)).save(path, icc_profile=profile, exif=exif)
    fuse_files(model, paths, tmp_path / "upright.jpg", FuseOptions())
    with Image.open(tmp_path / "upright.jpg") as fused:
        assert fused.size == (40, 64)
        assert fused.info["icc_profile"] == profile
        assert fused.getexif()[0x010F] == "a camera's maker"
        assert fused.getexif().get(0x0112, 1) == 1


def test_moved_frames_are_warned_of_and_registered(model, tmp_path):
    size = (240, 320)
    sharp = (texture(size[0] + 40, size[1] + 40) * 255).astype(np.uint8)
    paths = []
    for number, (top, left) in enumerate([(20, 20), (26, 11)]):
        paths.append(tmp_path / f"moved_{number}.png")
        cv2.imwrite(str(paths[-1]), sharp[top : top + size[0], left : left + size[1]])
    told: list[str] = []
    fuse_files(model, paths, tmp_path / "fused.png", FuseOptions(), say=told.append)
    assert len(told) == 1
    assert "moved_1.png looks shifted" in told[0]
    assert "--align" in told[0]
    fused = fuse_files(model, paths, tmp_path / "aligned.png", FuseOptions(align=True), say=told.append)
    assert len(fused.moves) == 1
    inside = (slice(20, -20), slice(20, -20))
    error = pixels(tmp_path / "aligned.png")[inside].astype(int) - pixels(paths[0])[inside]
    assert np.abs(error).mean() < 2


def test_outputs_are_never_frames_by_any_name(model, tmp_path):
    paths = stack(tmp_path / "stack")
    before = [path.read_bytes() for path in paths]
    (tmp_path / "soft.png").symlink_to(paths[1])
    os.link(paths[1], tmp_path / "hard.png")
    (tmp_path / "folder").symlink_to(tmp_path / "stack")
    others = (tmp_path / "soft.png", tmp_path / "hard.png", tmp_path / "folder" / "bee_1.png", paths[1])
    for output in others:
        with pytest.raises(OptionsError, match="would overwrite the frame"):
            fuse_files(model, paths, output, FuseOptions())
        with pytest.raises(OptionsError, match="would overwrite the frame"):
            fuse_files(model, paths, tmp_path / "new.png", FuseOptions(), extras=Extras(output))
        with pytest.raises(OptionsError, match="would overwrite the frame"):
            FuseRequest(tuple(paths), tmp_path / "new.png", extras=Extras(output))
    with pytest.raises(OptionsError, match="one picture would overwrite another"):
        FuseRequest(tuple(paths), tmp_path / "New.png", extras=Extras(tmp_path / "new.png"))
    assert [path.read_bytes() for path in paths] == before
    assert not (tmp_path / "new.png").exists()


def test_different_sizes_are_refused_by_name(model, tmp_path):
    first, _ = stack(tmp_path / "stack")
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), pixels(first)[:50])
    with pytest.raises(FrameError, match=r"bee_0\.png is 128 x 96 pixels.*small\.png is 128 x 50"):
        fuse_files(model, [first, small], tmp_path / "fused.png", FuseOptions())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.png", "-o", "out.png"], 2, "two or more"),
        (["missing.png", "gone.png", "-o", "out.png"], 1, "missing.png"),
        (["a.png", "b.png", "-o", "out.png", "--rule", "nearest"], 2, "weighted, select and blend"),
        (["a.png", "b.png", "-o", "out.xyz"], 2, ".png"),
        (["a.png", "b.png", "-o", "out.png", "--device", "abacus"], 2, "abacus"),
        (["--batch", ".", "a.png", "-o", "out"], 2, "--batch"),
        (["a.png", "b.png", "-o", "a.png"], 2, "overwrite"),
        (["a.png", "b.png", "-o", "out.png", "--decision-map", "out.png"], 2, "overwrite"),
        (["--batch", "stack", "-o", "stack"], 2, "among the frames"),
        (["--batch", "stack", "-o", "a.png"], 2, "a.png is not a folder"),
        (["a.png", "b.png", "-o", "out.png", "--decision-map", "map.xyz"], 2, ".png"),
        (["a.png", "b.png", "-o", "out.png", "--device", "meta"], 2, "cpu, cuda, mps"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, code, message, folder, tmp_path, cli):
    frames = stack(tmp_path / "stack")
    for name, path in zip(("a.png", "b.png"), frames, strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    done = cli("fuse", *arguments, "--model", folder, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.png").exists()


def test_frames_too_small_to_align_are_fused(model, tmp_path):
    paths = stack(tmp_path / "stack", size=(17, 20))
    fuse_files(model, paths, tmp_path / "fused.png", FuseOptions())
    assert pixels(tmp_path / "fused.png").shape == (17, 20, 3)


def test_unknown_network_is_named(tmp_path, cli):
    paths = stack(tmp_path / "stack")
    done = cli("fuse", *paths, "-o", tmp_path / "fused.png", "--model", "hf-nothing")
    assert done.returncode == 1
    assert "hf-nothing" in done.stderr
