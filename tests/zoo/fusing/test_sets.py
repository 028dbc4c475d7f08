"""A network for sets: all frames in one pass, tile by tile, in memory or from a temporary file."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.zoo.fusing.fakes import layer
from zoo.errors import FrameError
from zoo.fusing import fuse_layers as module
from zoo.fusing.fuse_frames import RULES
from zoo.fusing.fuse_layers import Layer, fuse_layers
from zoo.fusing.spool import spooled
from zoo.networks import Config, Network


@cache
def model() -> Network:
    torch.manual_seed(3)
    network = Network(
        Config(task="seg", architecture="focus-set", width=6, depth=1, upsampling="bilinear")
    ).eval()
    with torch.no_grad():  # decisions that differ from pixel to pixel
        for weights in network.parameters():
            weights *= 1.4
    return network


def frames(count: int, seed: int = 0, shape: tuple[int, ...] = (45, 61, 3)) -> list[np.ndarray]:
    return [*np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)]


def masks(count: int, seed: int, size: tuple[int, int] = (45, 61)) -> list[np.ndarray | None]:
    """Frames end somewhere, as they do when they moved."""
    rng = np.random.default_rng(seed)
    shown = np.ones((count, *size), bool)
    for each in shown:
        top, left = rng.integers(0, 20, 2)
        each[:top], each[:, :left] = False, False
    return [None if rng.random() < 0.3 else each for each in shown]


def stack(count: int, seed: int) -> list[Layer]:
    return [
        layer(pixels, 0, 255, shown)
        for pixels, shown in zip(frames(count, seed), masks(count, seed), strict=True)
    ]


@settings(max_examples=6, deadline=None)
@given(st.integers(2, 5), st.integers(0, 99), st.sampled_from(RULES["seg"]), st.booleans(), st.randoms())
def test_any_order_gives_the_same_picture_bit_for_bit(count, seed, rule, raw, random) -> None:
    layers = stack(count, seed)
    order = random.sample(range(count), count)
    one = fuse_layers(model(), layers, rule=rule, raw=raw, tile=32)
    other = fuse_layers(model(), (layers[place] for place in order), rule=rule, raw=raw, tile=32)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.confidence, other.confidence)
    shown = one.confidence > 0
    np.testing.assert_array_equal(np.array(order)[other.decision][shown], one.decision[shown])


def test_scores_are_those_of_one_pass_over_the_frames() -> None:
    taken = frames(5)
    tensors = [torch.from_numpy(each / np.float32(255)).permute(2, 0, 1)[None] for each in taken]
    with torch.inference_mode():
        weights = torch.softmax(torch.stack(model().scores(tensors)), 0)[:, 0, 0, ..., None].numpy()
    expected = (weights * np.stack(taken)).sum(0)
    fused = zoo.fuse(model(), taken, rule="weighted")
    assert np.abs(fused.image - expected).max() <= 0.51
    np.testing.assert_allclose(fused.confidence, weights.max(0)[..., 0], atol=1e-3)


@pytest.mark.parametrize("rule", ["weighted", "select"])
def test_two_frames_are_a_pair(rule) -> None:
    """As any network for two fuses them, bit for bit."""
    taken = frames(2)
    a, b = (torch.from_numpy(each / np.float32(255)).permute(2, 0, 1)[None] for each in taken)
    with torch.inference_mode():
        logit = model().symmetric(a, b)[0, 0]
        z = torch.softmax(torch.stack([logit / 2, -logit / 2]), 0).numpy()
    fused = zoo.fuse(model(), taken, rule=rule)
    np.testing.assert_array_equal(fused.decision, logit.numpy() < 0)
    np.testing.assert_array_equal(fused.confidence, z.max(0).astype(np.float16))


@settings(max_examples=6, deadline=None)
@given(st.integers(2, 5), st.integers(0, 99), st.sampled_from([28, 33, 48]))
def test_tiles_change_no_decision(count, seed, tile) -> None:
    layers = stack(count, seed)
    whole, tiled = (fuse_layers(model(), layers, raw=True, tile=each) for each in (None, tile))
    shown = np.sort([whole.confidence.astype(float), 1 - whole.confidence.astype(float)], 0)
    clear = np.abs(shown[1] - shown[0]) > 2e-3
    np.testing.assert_array_equal(whole.decision[clear], tiled.decision[clear])
    np.testing.assert_allclose(whole.confidence, tiled.confidence, atol=1e-3)


def test_a_layer_takes_no_part_where_it_shows_nothing() -> None:
    shown = np.ones((45, 61), bool)
    shown[:, 40:] = False
    one, two, three = frames(3)
    results = [
        fuse_layers(
            model(), [layer(np.where(shown[..., None], one, filling), 0, 255, shown), *rest], raw=True
        )
        for filling in (0, 255)
        for rest in [[layer(two, 0, 255), layer(three, 0, 255)]]
    ]
    np.testing.assert_array_equal(results[0].image, results[1].image)
    assert (results[0].decision[:, 40:] != 0).all()
    assert (results[0].decision[:, :40] == 0).any()


def test_no_edge_appears_where_a_layer_ends() -> None:
    """To the network, a frame is the others' mean there."""
    shown = np.ones((45, 61), bool)
    shown[:, 40:] = False
    same = frames(1)[0]
    ends = layer(np.where(shown[..., None], same, 0), 0, 255, shown)
    fused = fuse_layers(model(), [ends, layer(same, 0, 255), layer(same, 0, 255)])
    np.testing.assert_array_equal(fused.image, same)
    np.testing.assert_allclose(
        fused.confidence[:, :40].astype(float), 1 / 3, atol=1e-3
    )  # no frame stands out


@settings(max_examples=6, deadline=None)
@given(st.integers(2, 5), st.integers(0, 99), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_layers_in_a_file_are_those_in_memory(count, seed, dtype) -> None:
    layers = [
        Layer(each.pixels.astype(dtype), each.gain, each.offset, each.shown) for each in stack(count, seed)
    ]
    window = (slice(3, 30), slice(17, 61))
    with spooled(layers) as held, spooled(iter(layers), memory=layers[0].pixels.nbytes) as filed:
        for one, other in zip(held, filed, strict=True):
            for part in ((slice(None), slice(None)), window):
                a, b = one.part(part), other.part(part)
                np.testing.assert_array_equal(a.pixels, b.pixels)
                np.testing.assert_array_equal(a.shown, b.shown)
                assert (a.gain, a.offset, a.pixels.dtype) == (b.gain, b.offset, b.pixels.dtype)


def test_layers_in_a_file_are_ordered_as_in_memory_without_reading_them(small_memory: Path) -> None:
    """What does not fit into memory is not read from the disk once more, only to be hashed."""
    layers = stack(5, 1)
    with spooled(iter(layers), memory=10_000) as filed:
        (file,) = {each.file for each in filed}
        file.truncate(0)
        assert [each.key() for each in filed] == [each.key() for each in layers]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Layers go to a file in this folder."""
    monkeypatch.setattr(module, "MEMORY", 10_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_layers_in_a_file_give_the_same_picture(small_memory: Path) -> None:
    layers = stack(4, 1)
    one, other = (fuse_layers(model(), each, tile=32, raw=True) for each in (layers, iter(layers)))
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.decision, other.decision)


PEAK = """
import resource, sys
import numpy as np
import torch
import zoo
from zoo.fusing.layer import plain
from zoo.fusing.fuse_layers import fuse_layers

torch.set_num_threads(1)
model = zoo.load("focus-set-small", device="cpu").to(memory_format=torch.channels_last)
picture = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
fuse_layers(model, (plain(np.roll(picture, 37 * number, 0), 255) for number in range(int(sys.argv[1]))))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    """Layers of 12 MB, of which 512 MB are kept in memory."""
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", PEAK, str(count)])) / 1e3 for count in (50, 100)
    )
    assert many < 1700
    assert many - few < 150


def test_too_little_space_is_said_before_anything_is_written(small_memory, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 20_000))
    with pytest.raises(FrameError, match=rf"{small_memory} has 0.0 GB free.*needed.*TMPDIR"):
        fuse_layers(model(), iter(stack(4, 1)), expected=4)


@pytest.mark.parametrize("room", [100, 5_000, 12_345, 30_000])
def test_a_disk_that_gets_full_is_an_error_of_ours_and_leaves_nothing(
    room, small_memory, monkeypatch
) -> None:
    """Wherever it gets full: Python writes the last bytes of a layer again when it closes the file."""
    opened = []
    made = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: opened.append(made()) or opened[-1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(FrameError, match=rf"cannot write to {small_memory}: .*TMPDIR"):
            fuse_layers(model(), iter(stack(4, 1)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert opened[0].closed
    assert not list(small_memory.iterdir())


def test_the_file_is_gone_after_an_error(small_memory, monkeypatch) -> None:
    opened = []
    made = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: opened.append(made()) or opened[-1])

    def broken():
        yield from stack(4, 1)
        raise RuntimeError("a frame cannot be read")

    with pytest.raises(RuntimeError, match="cannot be read"):
        fuse_layers(model(), broken())
    assert opened[0].closed
    assert not list(small_memory.iterdir())


def test_progress_is_a_share_of_the_one_pass() -> None:
    """Half of a tile's is left when all frames were seen there: their scores take as long."""
    told: list[float] = []
    fuse_layers(model(), iter(stack(3, 1)), tile=32, progress=told.append)
    assert told == sorted(told)
    assert len(told) == (3 + 1) * 4
    assert told[2] == pytest.approx(told[3] / 2)
    assert told[-1] == pytest.approx(1)


def test_a_blend_is_exact_inside_regions_and_soft_at_rims() -> None:
    """A frame takes part from odds of one to ten on; otherwise pixels are the likeliest frame's."""
    taken = frames(3)
    fused = (
        zoo.fuse(model(), taken, rule="weighted"),
        zoo.fuse(model(), taken),
        zoo.fuse(model(), taken, rule="select"),
    )
    weighted, blended, selected = (each.image.astype(int) for each in fused)
    np.testing.assert_array_equal(fused[1].decision, fused[2].decision)
    sure = fused[1].confidence > 10 / 11
    assert 0 < sure.mean() < 1
    np.testing.assert_array_equal(blended[sure], selected[sure])
    torn = fused[1].confidence < 0.5
    assert np.abs(blended - weighted)[torn].mean() < np.abs(selected - weighted)[torn].mean()


@pytest.mark.parametrize("burst", ["fold", "tournament"])
def test_other_bursts_compare_by_twos(burst) -> None:
    taken = frames(3)
    step = zoo.fuse(model(), taken[:2], rule="select")
    expected = zoo.fuse(model(), [step.image, taken[2]], rule="select")
    got = zoo.fuse(model(), taken, rule="select", burst=burst)
    np.testing.assert_array_equal(got.image, expected.image)
