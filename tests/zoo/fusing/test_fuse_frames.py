import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from mfsynth.errors import OptionsError
from tests.zoo.fusing.fakes import Sharpest
from zoo.errors import FrameError, ZooError
from zoo.fusing.fuse_frames import RULES, canonical_order, fuse
from zoo.networks import Config, Network

CONFIGS = {
    "seg": Config(task="seg", width=4, depth=2),
    "seg-valid": Config(task="seg", width=4, depth=2, padding="valid"),
    "seg-odd": Config(task="seg", architecture="odd", width=4, depth=2),
    "seg-set": Config(task="seg", architecture="focus-set", width=6, depth=2, upsampling="bilinear"),
    "seg-siamese": Config(task="seg", architecture="siamese", width=4, depth=1, upsampling="bilinear"),
    "reg": Config(task="reg", width=4, depth=2, residual=True),
    "reg-odd": Config(task="reg", architecture="odd", width=4, depth=2),
}
CASES = [(name, rule) for name, config in CONFIGS.items() for rule in RULES[config.task]]
DTYPES = [np.uint8, np.uint16, np.float32]


def network(name, dtype=torch.float32):
    torch.manual_seed(3)
    model = Network(CONFIGS[name]).eval()
    with torch.no_grad():  # decisions that differ from pixel to pixel
        for weights in model.parameters():
            weights *= 1.4 if name == "seg-set" else 2 if name.startswith("seg") else 1
    return model.to(dtype)


def pictures(count, dtype=np.uint8, shape=(45, 61, 3), seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.random(shape) for _ in range(count)]
    if dtype == np.float32:
        return [value.astype(np.float32) for value in values]
    return [(value * np.iinfo(dtype).max).round().astype(dtype) for value in values]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "rule"), CASES)
def test_swapping_frames_changes_no_bit(name, rule, dtype):
    model, frames = network(name), pictures(2, dtype)
    one, other = fuse(model, frames, rule=rule), fuse(model, frames[::-1], rule=rule)
    assert one.image.dtype == dtype
    assert one.image.shape == frames[0].shape
    np.testing.assert_array_equal(one.image, other.image)
    if rule != "direct":
        np.testing.assert_array_equal(one.decision, 1 - other.decision)
        np.testing.assert_array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_any_order_of_a_burst_gives_the_same_picture(name, rule):
    model, frames = network(name), pictures(4)
    orders = list(itertools.permutations(range(4)))[::4]
    fused = [fuse(model, [frames[k] for k in order], rule=rule) for order in orders]
    for order, each in zip(orders, fused, strict=True):
        np.testing.assert_array_equal(each.image, fused[0].image)
        if each.decision is not None:  # in the caller's numbering
            np.testing.assert_array_equal(np.array(order)[each.decision], fused[0].decision)


@pytest.mark.parametrize("burst", ["joint", "fold"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "rule"), [("seg", "select"), ("reg", "nearest")])
def test_pixels_come_from_the_frame_that_the_decision_names(name, rule, dtype, burst):
    frames = pictures(3, dtype)
    fused = fuse(network(name), frames, rule=rule, burst=burst)
    stack = np.stack(frames)
    expected = np.take_along_axis(stack, fused.decision[None, ..., None].astype(int), 0)[0]
    np.testing.assert_array_equal(fused.image, expected)
    assert len(np.unique(fused.decision)) > 1
    assert fused.decision.dtype == np.uint8
    assert fused.confidence.dtype == np.float16


def test_weighted_rule_is_equation_2():
    model, frames = network("seg"), pictures(2)
    a, b = (torch.from_numpy(frame / np.float32(255)).permute(2, 0, 1)[None] for frame in frames)
    with torch.inference_mode():
        z = torch.sigmoid(model(a, b))[0, 0].numpy()[..., None].astype(np.float64)
    fused = fuse(model, frames, symmetric=False)
    expected = z * frames[0] + (1 - z) * frames[1]
    assert np.abs(fused.image - expected).max() <= 0.501
    decided = z[..., 0] != 0.5
    np.testing.assert_array_equal(fused.decision[decided], z[decided][..., 0] < 0.5)
    np.testing.assert_allclose(fused.confidence, np.maximum(z, 1 - z)[..., 0], atol=1e-3)


def test_nearest_rule_is_equation_6():
    model, frames = network("reg"), pictures(2, np.float32)
    predicted = fuse(model, frames).image
    distances = [np.square(predicted - frame).sum(2) for frame in frames]
    fused = fuse(model, frames, rule="nearest")
    clear = np.abs(distances[0] - distances[1]) > 1e-5
    expected = np.where((distances[0] < distances[1])[..., None], *frames)
    np.testing.assert_array_equal(fused.image[clear], expected[clear])


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_fold_of_three_is_two_fusions(name, rule):
    model, frames = network(name), pictures(3, np.float32)
    step = fuse(model, frames[:2], rule=rule)
    expected = fuse(model, [step.image, frames[2]], rule=rule)
    got = fuse(model, frames, rule=rule, burst="fold")
    np.testing.assert_array_equal(got.image, expected.image)
    if got.decision is not None:
        np.testing.assert_array_equal(got.decision == 2, expected.decision == 1)


@pytest.mark.parametrize("name", ["seg", "seg-odd"])
def test_joint_burst_weighs_by_the_logits_of_every_two(name):
    model, frames = network(name), pictures(3, np.float32)
    tensors = [torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in frames]
    rivals = np.ones((3, *frames[0].shape[:2]))
    with torch.inference_mode():
        for i, j in itertools.permutations(range(3), 2):
            rivals[i] += np.exp(-model.symmetric(tensors[i], tensors[j])[0, 0].numpy().astype(np.float64))
    weights = 1 / rivals
    weights /= weights.sum(0)
    expected = sum(weight[..., None] * frame for weight, frame in zip(weights, frames, strict=True))
    np.testing.assert_allclose(fuse(model, frames).image, expected, atol=1e-5)


class Additive(Sharpest):
    """Logits that are differences of scores: what the softmax of the scores weighs is known."""

    def symmetric(self, a, b):
        return 9 * (a - b)[:, :1]


def test_more_blurred_frames_make_a_joint_burst_no_less_sure():
    values = np.random.default_rng(0).random((7, 16, 16)).astype(np.float32)
    expected = torch.softmax(torch.from_numpy(9 * values), 0).amax(0).numpy()
    np.testing.assert_allclose(fuse(Additive(), [*values]).confidence, expected, rtol=2e-3)


@pytest.mark.parametrize("shape", [(50, 43, 3), (40, 67), (17, 100, 3)])
@pytest.mark.parametrize(("name", "rule"), CASES)
def test_tiles_do_not_show(name, rule, shape):
    model, frames = network(name), pictures(2, np.float32, shape)
    tile = 64 if model.config.sets else 24
    whole, tiled = fuse(model, frames, rule=rule), fuse(model, frames, rule=rule, tile=tile)
    if rule in ("select", "nearest"):
        clear = np.abs(whole.confidence.astype(np.float32) - 0.5) > 1e-3
        np.testing.assert_array_equal(whole.image[clear], tiled.image[clear])
        assert clear.mean() > 0.9
    else:
        assert np.abs(whole.image - tiled.image).max() <= 1e-4


def test_exact_ties_go_to_the_larger_rgb_value():
    model = network("seg", torch.bfloat16)
    with torch.no_grad():
        model.body.head.weight.zero_()
        model.body.head.bias.zero_()
    frames = pictures(2)
    one, other = (fuse(model, order, rule="select").image for order in (frames, frames[::-1]))
    np.testing.assert_array_equal(one, other)
    values = [frame.astype(np.int64) @ [1 << 16, 1 << 8, 1] for frame in frames]
    np.testing.assert_array_equal(one, np.where((values[0] > values[1])[..., None], *frames))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("name", "rule"), CASES)
def test_half_precision_is_commutative_and_close(name, rule, dtype):
    frames = pictures(2)
    model = network(name, dtype)
    one, other = fuse(model, frames, rule=rule), fuse(model, frames[::-1], rule=rule)
    np.testing.assert_array_equal(one.image, other.image)
    if rule in ("weighted", "direct"):
        exact = fuse(network(name), frames, rule=rule).image
        assert np.abs(one.image.astype(int) - exact).mean() < 3


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_gray_frames_give_a_gray_picture(name, rule):
    frames = pictures(2, shape=(40, 40))
    color = [np.repeat(frame[..., None], 3, 2) for frame in frames]
    model = network(name)
    got = fuse(model, frames, rule=rule).image
    assert got.shape == (40, 40)
    if rule in ("weighted", "select"):
        np.testing.assert_array_equal(got, fuse(model, color, rule=rule).image[..., 0])


def test_equal_frames_stay_what_they_are():
    frame = pictures(1)[0]
    for rule in ("weighted", "select"):
        np.testing.assert_array_equal(fuse(network("seg"), [frame, frame, frame], rule=rule).image, frame)


def test_threads_may_share_a_network():
    model, frames = network("seg"), pictures(2)
    alone = fuse(model, frames).image
    with ThreadPoolExecutor(4) as pool:
        for image in pool.map(lambda _: fuse(model, frames).image, range(12)):
            np.testing.assert_array_equal(image, alone)


def test_views_and_channels_last_networks_give_the_same():
    frames = pictures(2)
    views = [np.ascontiguousarray(frame[::-1, ::-1])[::-1, ::-1] for frame in frames]
    model = network("seg")
    alone = fuse(model, frames).image
    np.testing.assert_array_equal(fuse(model, views).image, alone)
    last = fuse(model.to(memory_format=torch.channels_last), frames).image
    assert np.abs(last.astype(int) - alone).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_compiled_network_gives_the_same_within_rounding(name):
    model, frames = network(name), pictures(2)
    plain = fuse(model, frames).image
    model.compile()
    compiled = fuse(model, frames)
    assert np.abs(compiled.image.astype(int) - plain).max() <= 1
    np.testing.assert_array_equal(compiled.image, fuse(model, frames[::-1]).image)


def test_order_depends_on_content_alone():
    frames = pictures(3)
    order = canonical_order(frames)
    shuffled = [frames[k] for k in (2, 0, 1)]
    for one, other in zip(order, canonical_order(shuffled), strict=True):
        np.testing.assert_array_equal(frames[one], shuffled[other])


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (pictures(1), "from 2 to 255 frames, not 1"),
        ([], "not 0"),
        ([*pictures(1), pictures(1, shape=(45, 60, 3))[0]], r"frame 0 is 45 x 61 x 3.*frame 1 is 45 x 60"),
        ([pictures(1)[0], pictures(1, np.uint16)[0]], "uint8.*uint16"),
        (pictures(2, shape=(20, 20, 4)), "alpha.*flatten"),
        (pictures(2, shape=(15, 20, 3)), "15 x 20.*16"),
        (pictures(2, shape=(20, 20, 5)), "shape"),
        ([np.zeros((0, 0, 3), np.uint8)] * 2, "0 x 0"),
        ([np.full((20, 20, 3), np.nan, np.float32)] * 2, r"nan.*\[0, 1\]"),
        ([np.full((20, 20, 3), 7, np.float32)] * 2, r"7.*\[0, 1\]"),
        ([np.zeros((20, 20, 3))] * 2, "float64.*uint8"),
    ],
)
def test_bad_frames_are_refused_with_the_reason(frames, message):
    with pytest.raises(FrameError, match=message):
        fuse(network("seg"), frames)


@pytest.mark.parametrize("name", ["seg", "reg"])
def test_result_that_is_not_finite_is_an_error(name):
    model = network(name)
    with torch.no_grad():
        model.body.head.weight *= 1e38
        model.body.head.weight *= 1e38
    with pytest.raises(ZooError, match="not finite"):
        fuse(model, pictures(2))


def test_mean_of_ones_stays_one():
    frames = [np.ones((16, 16, 3), np.float32)] * 2
    assert fuse(network("seg"), frames).image.max() <= 1


def test_read_only_frames_are_taken(recwarn):
    frames = pictures(2, np.float32)
    for frame in frames:
        frame.flags.writeable = False
    fuse(network("seg"), frames)
    assert not recwarn.list


def test_rules_are_the_networks_own():
    with pytest.raises(ValueError, match="weighted, select and blend"):
        fuse(network("seg"), pictures(2), rule="nearest")
    with pytest.raises(ValueError, match="burst"):
        fuse(network("seg"), pictures(2), burst="both")


@pytest.mark.parametrize(("name", "least"), [("seg", 24), ("seg-set", 64), ("seg-siamese", 14)])
def test_tiles_narrower_than_their_margins_are_refused_with_the_least_side(name, least):
    """With 16 pixels, less than a hundredth of what focus-set sees would be the tiles themselves."""
    with pytest.raises(OptionsError, match=f"tile is {least - 1}; it must be {least} or more.*margins"):
        fuse(network(name), pictures(2), tile=least - 1)
    fuse(network(name), pictures(2), tile=least)
