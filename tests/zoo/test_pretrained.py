"""FusionModel: a network that takes arrays and paths."""

import cv2
import numpy as np
import pytest
import torch

import zoo
from zoo.errors import DeviceError, FrameError, PictureError
from zoo.networks import Config, Network
from zoo.pretrained import FusionModel, find_device


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FusionModel(Config(task="seg", width=4, depth=2)).eval()


@pytest.fixture(scope="module")
def frames():
    return [*np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3), dtype=np.uint8)]


@pytest.fixture
def paths(frames, tmp_path):
    """The same frames as files, in three formats that keep every bit."""
    found = [tmp_path / name for name in ("near.png", "middle.tif", "far.bmp")]
    for path, frame in zip(found, frames, strict=True):
        cv2.imwrite(str(path), frame[..., ::-1])
    return found


def test_paths_strings_and_arrays_fuse_to_the_same_picture(model, frames, paths):
    fused = model.fuse(frames)
    np.testing.assert_array_equal(fused.image, zoo.fuse(model, frames).image)
    for given in (paths, [str(path) for path in paths], [paths[0], str(paths[1]), frames[2]]):
        again = model.fuse(given)
        np.testing.assert_array_equal(again.image, fused.image)
        np.testing.assert_array_equal(again.decision, fused.decision)


def test_options_reach_the_fusion(model, frames, paths):
    expected = zoo.fuse(model, frames, rule="select", burst="fold", symmetric=False, tile=24)
    fused = model.fuse(paths, rule="select", burst="fold", symmetric=False, tile=24)
    np.testing.assert_array_equal(fused.image, expected.image)


def test_sixteen_bits_and_orientation_of_a_file_are_read(model, tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (2, 40, 48, 3), dtype=np.uint16)
    for number, frame in enumerate(deep):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame[..., ::-1])
    fused = model.fuse([tmp_path / "0.png", tmp_path / "1.png"])
    np.testing.assert_array_equal(fused.image, model.fuse([*deep]).image)


def test_missing_and_broken_files_are_named(model, frames, tmp_path):
    with pytest.raises(PictureError, match=r"none\.png: No such file"):
        model.fuse([frames[0], tmp_path / "none.png"])
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"broken\.png: it is a text file"):
        model.fuse([frames[0], str(tmp_path / "broken.png")])


def test_files_of_different_kinds_are_refused(model, frames, tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), frames[0][..., 0])
    with pytest.raises(FrameError, match="frame 0 is 40 x 48 x 3 uint8, frame 1 is 40 x 48 uint8"):
        model.fuse([frames[0], tmp_path / "gray.png"])


def test_saved_model_comes_back_as_a_fusion_model_and_a_network(model, frames, tmp_path):
    model.save_pretrained(tmp_path)
    again = FusionModel.from_pretrained(tmp_path)
    assert isinstance(again, Network)
    assert not again.training
    np.testing.assert_array_equal(again.fuse(frames).image, model.fuse(frames).image)


def test_loaded_model_computes_where_and_in_what_it_was_asked_to(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = zoo.load(tmp_path, device="cpu", dtype=torch.bfloat16)
    assert type(loaded) is FusionModel
    assert (loaded.device.type, next(loaded.parameters()).dtype) == ("cpu", torch.bfloat16)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_devices_that_do_not_exist_are_refused(name):
    with pytest.raises(DeviceError, match=f"there is no device '{name}'"):
        find_device(name)


def test_the_network_for_sets_that_comes_with_the_package_finds_the_sharp_frame_of_several(frames):
    """Three frames of noise, each sharp in a band of its own."""
    sharp = cv2.resize(frames[0], (192, 192), interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    stack = [blurred.copy() for _ in range(3)]
    for number, frame in enumerate(stack):
        frame[64 * number : 64 * (number + 1)] = sharp[64 * number : 64 * (number + 1)]
    model = zoo.load("focus-set", device="cpu")
    fused = model.fuse(stack)
    right = [(fused.decision[64 * n + 12 : 64 * n + 52] == n).mean() for n in range(3)]
    assert min(right) > 0.95
    np.testing.assert_array_equal(model.fuse(stack[::-1]).image, fused.image)
