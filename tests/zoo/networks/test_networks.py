import json
import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import zoo
from zoo.errors import ConfigError, ZooError
from zoo.networks import Config, Network
from zoo.networks.architecture import Architecture
from zoo.networks.layers import mirror
from zoo.networks.shapes import valid_margins
from zoo.networks.table import ARCHITECTURES
from zoo.pretrained import FusionModel
from zoo.training.presets import preset

SIAMESE = Config(task="seg", architecture="siamese", width=4, depth=1, upsampling="bilinear")
FOCUS_SET = Config(task="seg", architecture="focus-set", width=6, depth=2, upsampling="bilinear")
CONFIGS = {
    "seg": Config(task="seg", width=4, depth=3),
    "seg-logit": Config(task="seg", width=4, depth=2, out_channels=1),
    "seg-valid": Config(task="seg", width=4, depth=3, padding="valid"),
    "seg-bilinear": Config(task="seg", width=4, depth=3, upsampling="bilinear"),
    "reg": Config(task="reg", width=4, depth=2),
    "reg-valid": Config(task="reg", width=4, depth=2, padding="valid", residual=True),
    "seg-odd": Config(task="seg", architecture="odd", width=4, depth=3),
    "reg-odd": Config(task="reg", architecture="odd", width=4, depth=2, upsampling="bilinear"),
    "siamese": SIAMESE,
    "focus-set": FOCUS_SET,
    "focus-set-deep": replace(FOCUS_SET, depth=3),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys(), scope="module")
def model(request):
    torch.manual_seed(1)
    return Network(request.param).eval()


def frames(height, width, seed=0, batch=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(batch, 3, height, width, generator=generator) for _ in range(2))


@settings(max_examples=12, deadline=None)
@given(height=st.integers(16, 70), width=st.integers(16, 70))
@torch.inference_mode()
def test_output_has_the_frames_own_size(model, height, width):
    out = model(*frames(height, width))
    assert out.shape == (1, 1 if model.config.task == "seg" else 3, height, width)
    assert out.isfinite().all()


@torch.inference_mode()
def test_swapping_frames_negates_logits_and_keeps_pictures_bit_for_bit(model):
    for size in [(16, 16), (33, 50), (64, 64)]:
        a, b = frames(*size)
        forth, back = model.symmetric(a, b), model.symmetric(b, a)
        assert torch.equal(forth, -back if model.config.task == "seg" else back)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_some_networks_are_commutative_in_one_pass(dtype):
    a, b = frames(37, 41)
    for config in (CONFIGS["seg-odd"], CONFIGS["reg-odd"], FOCUS_SET):
        model = Network(config).to(dtype).eval()
        forth, back = model(a, b), model(b, a)
        assert torch.equal(forth, -back if config.task == "seg" else back)
        assert forth.abs().max() > 0


@torch.inference_mode()
def test_odd_cannot_tell_equal_frames_apart():
    a, _ = frames(24, 24)
    assert not Network(Config(task="seg", architecture="odd", width=8))(a, a).any()


@torch.inference_mode()
def test_a_set_of_equal_frames_scores_nothing():
    a, _ = frames(24, 24)
    assert not torch.stack(Network(FOCUS_SET).scores([a] * 4)).any()


@torch.inference_mode()
def test_scores_of_a_set_follow_its_frames_in_any_order():
    model = Network(FOCUS_SET).eval()
    given = [*frames(40, 33), *frames(40, 33, seed=1)]
    expected = model.scores(given)
    assert torch.stack(expected).std() > 0
    for order in permutations(range(4)):
        for place, score in zip(order, model.scores(given[k] for k in order), strict=True):
            assert torch.allclose(score, expected[place], atol=1e-6)


@torch.inference_mode()
def test_sets_scored_together_are_as_each_by_itself():
    model = Network(FOCUS_SET).eval()
    sets = [[*frames(32, 32)], [*frames(32, 32, 1), *frames(32, 32, 2)], [*frames(32, 32, 3)]]
    flat = torch.cat([frame for each in sets for frame in each])
    together = model.set_scores(flat, [2, 4, 2])
    assert torch.equal(together, model(flat, (2, 4, 2)))
    for part, each in zip(together.split([2, 4, 2]), sets, strict=True):
        assert torch.allclose(part, torch.cat(model.scores(each)), atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("config", [CONFIGS["seg"], CONFIGS["reg-odd"], SIAMESE])
def test_a_network_for_two_frames_says_that_it_has_no_scores_of_sets(config):
    model, (a, b) = Network(config), frames(16, 16)
    for call in (
        lambda: model.scores([a, b]), lambda: model.set_scores(torch.cat([a, b]), [2]), lambda: model(a, (2,))
    ):  # fmt: skip
        with pytest.raises(ZooError, match=f"{config.architecture}.*takes two frames.*focus-set"):
            call()


def test_scores_are_linear_in_a_frame_once_the_even_stream_is_fixed():
    """A frame that is twice as far from the others' mean in features has twice the score."""
    level = Network(FOCUS_SET).body.up[0]
    deviation = torch.randn(1, level.odd_skip.in_channels, 8, 8)
    below = torch.randn(1, level.odd_up[0].in_channels, 4, 4)
    twice = level.odd(2 * deviation, 2 * below)
    assert torch.allclose(twice, 2 * level.odd(deviation, below), atol=1e-5)


@torch.inference_mode()
def test_siamese_leans_to_no_side():
    """With weights that are their own mirror images, mirrored frames give the mirrored logits."""
    model = Network(SIAMESE).eval()
    for weights in model.parameters():
        if weights.ndim == 4:
            weights += weights.flip(2, 3)
    a, b = frames(32, 46)
    mirrored = model(a.flip(2, 3), b.flip(2, 3)).flip(2, 3)
    assert torch.allclose(mirrored, model(a, b), atol=1e-5)


@torch.inference_mode()
def test_siamese_logits_lie_at_the_centers_of_patches():
    """Between pixels 2k + 7 and 2k + 8 is what two frames differ by in sharpness at patch k."""
    model = Network(SIAMESE).eval()
    a, b = frames(40, 48)
    patches = model.body.sharpness(a) - model.body.sharpness(b)
    assert patches.shape == (1, 1, 13, 17)
    stencil = torch.tensor([0.125, 0.75, 0.125])  # the mean of both pixels, which interpolate
    expected = nn.functional.conv2d(patches, stencil.outer(stencil)[None, None])
    at_centers = nn.functional.avg_pool2d(model(a, b)[..., 9:-9, 9:-9], 2)
    assert torch.allclose(at_centers, expected, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_gradient_reaches_as_far_as_the_config_says(config):
    """Everything that an output depends on lies within `reach`, and something lies just there."""
    model = Network(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.abs_()  # so that no rectifier is shut
    size = 2 * config.reach + 4 * config.stride
    farthest = 0
    for place in range(size // 2 // config.stride * config.stride, size // 2 + config.stride):
        a, b = (frame.requires_grad_() for frame in frames(size, 16))
        model(a, b)[..., place, 8].sum().backward()
        rows = a.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        farthest = max(farthest, place - int(rows.min()), int(rows.max()) - place)
    assert farthest <= config.reach
    assert farthest >= config.reach - config.stride


@torch.inference_mode()
def test_moving_frames_by_the_stride_moves_the_result():
    model = Network(Config(task="seg", width=4, depth=3)).eval()
    a, b = frames(160, 160)
    whole = model(a, b)
    moved = model(a[..., 8:, 8:], b[..., 8:, 8:])
    inner = slice(64, 90)
    assert torch.allclose(moved[..., inner, inner], whole[..., 72:98, 72:98], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.tuples(*[st.integers(0, 30)] * 4))
def test_mirror_is_numpys_reflect(height, width, margins):
    values = np.arange(height * width, dtype=np.float32).reshape(height, width)
    top, bottom, left, right = margins
    expected = np.pad(values, [(top, bottom), (left, right)], "reflect")
    got = mirror(torch.from_numpy(values)[None, None], top, bottom, left, right)
    np.testing.assert_array_equal(got[0, 0].numpy(), expected)


def test_valid_margins_are_those_of_the_unet_paper():
    assert valid_margins(388, 4) == (92, 92)  # 572 in, 388 out


@torch.inference_mode()
def test_valid_network_sees_nothing_but_mirrored_frames():
    """Extending the frames by mirroring beforehand changes nothing inside."""
    model = Network(Config(task="reg", width=4, depth=2, padding="valid")).eval()
    a, b = frames(32, 32)
    wide = [
        torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), (32, 32), (32, 32)], "reflect")) for x in (a, b)
    ]
    assert torch.allclose(model(*wide)[..., 32:64, 32:64], model(a, b), atol=1e-5)


def test_no_normalization_and_xavier_normal_weights():
    torch.manual_seed(0)
    model = Network(Config(task="seg", width=32))
    kinds = {type(layer) for layer in model.modules()}
    assert not any("Norm" in kind.__name__ for kind in kinds)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 10_000:
            fans = (layer.in_channels + layer.out_channels) * math.prod(layer.kernel_size)
            assert layer.weight.std().item() == pytest.approx((2 / fans) ** 0.5, rel=0.05)
            assert not layer.bias.any()


def test_papers_scale_has_the_unets_size():
    """31.0 million weights: U-Net's with two classes on six channels."""
    model = Network(Config(task="seg", width=64, depth=4, padding="valid"))
    one_channel, six_channels = 31_030_658, 31_030_658 + 5 * 64 * 9  # U-Net, two classes; more input
    assert model.parameters_count == six_channels != one_channel


def test_config_goes_through_json(model):
    text = json.dumps(model.config.to_json())
    assert Config.read(text) == model.config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"wdith": 3}, "wdith"),
        ({"width": "16"}, "malformed"),
        ({"width": 0}, "width"),
        ({"task": "classify"}, "malformed"),
        ({"out_channels": 5}, "out_channels"),
        ({"residual": True}, "residual"),
    ],
)
def test_config_refuses_what_it_does_not_know(change, message):
    values = Config(task="seg").to_json() | change
    with pytest.raises(ConfigError, match=message):
        Config.from_json(values)


def test_config_without_a_task_or_of_another_format_is_refused():
    values = Config(task="seg").to_json()
    del values["task"]
    with pytest.raises(ConfigError, match="task"):
        Config.from_json(values)
    with pytest.raises(ConfigError, match="JSON"):
        Config.read("{")


def test_every_architecture_is_tested():
    assert {config.architecture for config in CONFIGS.values()} == set(ARCHITECTURES)


def test_another_architecture_brings_its_own_values_where_it_must():
    reg = Config(task="reg", width=16, residual=True, padding="valid")
    assert reg.changed(architecture="odd") == Config(task="reg", architecture="odd", width=16)
    seg = Config(task="seg", width=64, depth=4)
    siamese = Config(task="seg", architecture="siamese", width=64, depth=1, upsampling="bilinear")
    assert seg.changed(architecture="siamese") == siamese
    assert siamese.changed(architecture="unet").out_channels == 2
    assert seg.changed(depth=2) == Config(task="seg", width=64, depth=2)
    with pytest.raises(ConfigError, match="depth is 3"):
        seg.changed(architecture="siamese", depth=3)
    with pytest.raises(ConfigError, match=r"architecture is 'vgg'.*'focus-set' or"):
        seg.changed(architecture="vgg")
    with pytest.raises(ConfigError, match="task is 'reg'"):
        reg.changed(architecture="siamese")


def test_a_row_is_all_that_an_architecture_needs(monkeypatch, tmp_path):
    """A network of an architecture that nothing else knows is built, saved, loaded, described and trained."""

    class Difference(nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.head = nn.Conv2d(3, 1, shape.width, padding=shape.width // 2, bias=False)

        def forward(self, a, b):
            return self.head(a - b)

    row = Architecture(
        build=Difference,
        reach=lambda shape: shape.width // 2,
        stride=lambda _: 1,
        commutative=True,
        allowed=lambda _: {"task": ("seg",), "width": (5, 3), "out_channels": (1,), "residual": (False,)},
        description="A single convolution of the difference",
        title="Difference",
    )
    monkeypatch.setitem(ARCHITECTURES, "difference", row)
    options = preset("hf-seg", "fast").override({"model.architecture": "difference"})
    assert (options.model.width, options.model.out_channels, options.both_orders) == (5, 1, False)
    model = FusionModel(options.model)
    model.save_pretrained(tmp_path)
    loaded = zoo.load(tmp_path)
    fused = loaded.fuse([*np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), dtype=np.uint8)])
    assert fused.image.shape == (20, 24, 3)
    assert "network     difference, width 5" in "\n".join(zoo.info(tmp_path).lines())
    card = (tmp_path / "README.md").read_text()
    assert "# Difference" in card
    assert "A single convolution of the difference; width 5" in card
