import weakref

import cv2
import numpy as np
import pytest

from tests.zoo.fusing.fakes import Mean, Sharpest, halves, layer
from zoo.errors import FrameError
from zoo.fusing.fuse_frames import fuse
from zoo.fusing.fuse_layers import fuse_layers


def to_range(picture, low, high, dtype=np.float32):
    values = picture * np.float32(high - low) + np.float32(low)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else np.rint(values).astype(dtype)


@pytest.mark.parametrize("burst", ["joint", "fold"])
@pytest.mark.parametrize("rule", ["weighted", "select"])
def test_result_is_in_the_layers_own_values(rule, burst):
    frames = halves()[1:]
    unit = fuse_layers(Sharpest(), map(layer, frames), rule=rule, burst=burst, raw=True)
    for low, high, dtype in ((-3.0, 700.0, np.float32), (250, 1000, np.uint16)):
        own = [layer(to_range(frame, low, high, dtype), low, high) for frame in frames]
        fused = fuse_layers(Sharpest(), own, rule=rule, burst=burst, raw=True)
        assert fused.image.dtype == dtype
        expected = to_range(unit.image, low, high)
        if dtype == np.float32:
            np.testing.assert_allclose(fused.image, expected, atol=0.01)
        else:  # rounding moves the decision a little
            assert np.abs(fused.image - expected).mean() < 1


def test_plain_layers_fuse_as_arrays_do():
    frames = [to_range(frame, 0, 255, np.uint8) for frame in halves()[1:]]
    for rule in ("weighted", "select"):
        got = fuse_layers(Sharpest(), [layer(each, 0, 255) for each in frames], rule=rule, raw=True)
        expected = fuse(Sharpest(), frames, rule=rule)
        np.testing.assert_array_equal(got.image, expected.image)
        np.testing.assert_array_equal(got.confidence, expected.confidence)


@pytest.mark.parametrize("burst", ["joint", "fold"])
@pytest.mark.parametrize("rule", ["weighted", "select", "nearest", "direct"])
def test_hidden_pixels_take_no_part(rule, burst):
    _, one, other = halves()
    noise = np.random.default_rng(1).random(one.shape, np.float32)
    shown = np.ones((2, *one.shape[:2]), bool)
    shown[0, :, 70:], shown[1, :20], shown[:, 40:, :10] = False, False, False
    model = Sharpest() if rule in ("weighted", "select") else Mean()
    results = []
    for filling in (0.0, noise):
        layers = [
            layer(np.where(mask[..., None], frame, filling), shown=mask)
            for frame, mask in zip((one, other), shown, strict=True)
        ]
        results.append(fuse_layers(model, layers, rule=rule, burst=burst))
    fused = results[0]
    nowhere = ~shown.any(0)
    assert (fused.image[nowhere] == 0).all()
    if rule != "direct":
        assert (fused.decision[nowhere] == 0).all()
        assert (fused.confidence[nowhere] == 0).all()
        only = shown[0] != shown[1]
        np.testing.assert_array_equal(fused.decision[only], shown[1][only])
        assert (fused.confidence[only] == 1).all()
        np.testing.assert_array_equal(fused.image[only], np.where(shown[0][..., None], one, other)[only])
    np.testing.assert_array_equal(results[1].image, fused.image)  # whatever lies there


def test_a_blurred_layer_does_not_win_where_it_ends():
    sharp, *_ = halves(seed=2)
    shown = np.ones(sharp.shape[:2], bool)
    shown[:, 60:] = False
    soft = cv2.GaussianBlur(sharp, None, 3) * shown[..., None]
    for layers in ([layer(sharp), layer(soft, shown=shown)], [layer(soft, shown=shown), layer(sharp)]):
        image = fuse_layers(Sharpest(), layers, rule="select", raw=True).image
        wrong = (image != sharp).any(2)
        assert wrong[:, 44:].mean() <= wrong[:, :44].mean() + 0.01


def test_fold_takes_layers_in_their_turn_and_lets_them_go():
    frames = [to_range(frame, 0, 255, np.uint8) for frame in (*halves(), *halves(seed=1))]
    alive: list[weakref.ref] = []
    most = 0

    def layers():
        nonlocal most
        for frame in frames:
            most = max(most, sum(each() is not None for each in alive))
            copy = layer(frame.copy(), 0, 255)
            alive.append(weakref.ref(copy.pixels))
            yield copy
            del copy

    fuse_layers(Sharpest(), layers(), burst="fold", rule="select")
    assert most <= 1


def test_any_order_of_masked_layers_gives_the_same_picture():
    frames = [to_range(frame, 0, 255, np.uint8) for frame in (*halves()[1:], halves(seed=1)[1])]
    shown = np.random.default_rng(0).random((3, 1, 96)) > 0.3
    layers = [layer(frame, 0, 255, np.repeat(mask, 64, 0)) for frame, mask in zip(frames, shown, strict=True)]
    one, other = (fuse_layers(Sharpest(), order) for order in (layers, [layers[k] for k in (2, 0, 1)]))
    np.testing.assert_array_equal(one.image, other.image)
    seen = shown.any(0)[0]
    np.testing.assert_array_equal(np.array([2, 0, 1])[other.decision][:, seen], one.decision[:, seen])


@pytest.mark.parametrize("burst", ["joint", "fold"])
def test_kept_exposures_change_no_decision(burst):
    """The second frame is darker; the network sees both alike, and each keeps its own values."""
    _, one, other = halves()
    third = halves(seed=3)[1]
    same = [layer(one), layer(other), layer(third)]
    kept = [layer(one), layer(other * 0.5, 0, 0.5), layer(third)]
    expected = fuse_layers(Sharpest(), same, rule="select", burst=burst)
    got = fuse_layers(Sharpest(), kept, rule="select", burst=burst)
    assert (expected.decision == got.decision).mean() > 0.999
    stack = np.stack([each.pixels for each in kept])
    chosen = np.take_along_axis(stack, got.decision[None, ..., None].astype(int), 0)[0]
    np.testing.assert_array_equal(got.image, chosen)


def test_predicted_picture_has_the_exposure_of_the_first_layer():
    frame = to_range(halves()[0], 0, 200, np.uint8)
    for burst in ("joint", "fold"):
        fused = fuse_layers(Mean(), [layer(frame, 0, 255), layer(frame // 2, 0, 127.5)], burst=burst)
        assert np.abs(fused.image.astype(int) - frame).max() <= 1


def test_progress_counts_comparisons():
    for burst, total in (("joint", 3), ("fold", 2)):
        told: list[float] = []
        frames = [layer(each) for each in halves()]
        fuse_layers(Sharpest(), frames, burst=burst, tile=32, progress=told.append)
        assert told == sorted(told)
        assert len(told) == 6 * total
        assert told[-1] == pytest.approx(total)


@pytest.mark.parametrize("burst", ["joint", "fold"])
def test_bad_layers_are_refused_with_the_reason(burst):
    frame = layer(halves()[0])
    cases = (
        ([], "from 2 to 255 frames, not 0"),
        ([frame], "not 1"),
        ([frame, layer(halves(64, 80)[0])], "frame 0 is 64 x 96 x 3 float32, frame 1 is 64 x 80"),
        ([layer(halves(12, 40)[0])] * 2, "12 x 40"),
    )
    for layers, message in cases:
        with pytest.raises(FrameError, match=message):
            fuse_layers(Sharpest(), iter(layers), burst=burst)
