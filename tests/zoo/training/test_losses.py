import math
from dataclasses import replace

import pytest
import torch
from torch.autograd import gradcheck

from zoo.training.losses import (
    DECISION,
    REGRESSION,
    Decided,
    cross_entropy,
    fused,
    l1,
    leveled,
    mse,
    nps,
    pair_frames,
    pair_scores,
    phi,
    stakes,
)


def pictures(*values):
    """1 x 1 x 1 x n."""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def decided(counts=(2, 3), side=4):
    """Frames, scores and targets at random, in float64."""
    torch.manual_seed(0)
    frames, truth = (torch.rand(n, 3, side, side, dtype=torch.float64) for n in (sum(counts), len(counts)))
    target = torch.stack([torch.randint(0, count, (side, side)) for count in counts])
    return Decided(target, torch.randn(sum(counts), 1, side, side).double(), frames, truth, counts)


def test_cross_entropy_of_a_pair_by_hand():
    """Frame 1 is sharp where the map is 1: there log z_1 counts, elsewhere log z_0 (Eq. 3 corrected)."""
    z_0 = torch.tensor([0.9, 0.2, 0.5])
    logit = torch.log(z_0 / (1 - z_0))[None, None, None]
    focus = torch.tensor([0, 1, 1])[None, None]
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5)) / 3
    assert cross_entropy(focus, pair_scores(logit), (2,)).item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_of_sets_by_hand():
    """Equal scores of n frames: the surprise is log n, whatever the target."""
    scores = torch.zeros(5, 1, 4, 4)
    target = torch.stack([torch.full((4, 4), 1), torch.full((4, 4), 2)])
    expected = (math.log(2) + math.log(3)) / 2
    assert cross_entropy(target, scores, (2, 3)).item() == pytest.approx(expected)


def test_the_frames_of_pairs_stand_one_set_after_the_other():
    a, b = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert pair_frames(a, b).equal(torch.stack([a[0], b[0], a[1], b[1]]))


def test_fused_is_the_frame_with_all_the_weight_and_the_mean_of_equals():
    frames = torch.rand(5, 3, 4, 4)
    scores = torch.zeros(5, 1, 4, 4)
    scores[1] = 1e4
    picture = fused(scores, frames, (2, 3))
    assert torch.allclose(picture, torch.stack([frames[1], frames[2:].mean(0)]))


def test_stakes_by_hand():
    """The next best frame is 0.3 farther from the truth, as far, and 0.1 nearer."""
    truth = torch.zeros(1, 3, 1, 3)
    rows = torch.tensor([[0.1, 0.5, 0.2], [0.4, 0.5, 0.1], [0.9, 0.5, 0.3]])
    frames = rows[:, None, None].expand(3, 3, 1, 3)
    got = stakes(torch.zeros(1, 1, 3), frames, truth, (3,))
    assert got.flatten().tolist() == pytest.approx([(1 + 3) / 2, 0.5, 0.5])


def test_stakes_are_half_where_no_choice_matters():
    frames = torch.full((2, 3, 4, 4), 0.5)
    assert stakes(torch.zeros(1, 4, 4), frames, frames[:1], (2,)).unique().tolist() == [0.5]


def test_leveled_takes_back_exposure_and_white_balance():
    truth = torch.rand(2, 3, 8, 8) / 2
    gains = torch.tensor([[0.5, 1.0, 1.5], [1.1, 0.9, 1.0], [0.7, 1.3, 1.9]])
    sets = torch.tensor([0, 0, 1])
    frames = truth[sets] * gains[..., None, None]
    assert torch.allclose(leveled(frames, truth, (2, 1)), truth[sets], atol=1e-6)
    assert leveled(torch.zeros(3, 3, 8, 8), truth, (2, 1)).eq(0).all()


@pytest.mark.parametrize("name", DECISION)
def test_the_gradient_of_a_loss_of_decisions_is_the_numerical_one(name):
    what = decided()
    assert gradcheck(
        lambda scores: DECISION[name](replace(what, scores=scores)), what.scores.requires_grad_()
    )


@pytest.mark.parametrize("name", DECISION)
def test_losses_of_decisions_are_least_where_the_right_frame_has_all_the_weight(name):
    what = decided((3, 3))
    truth = torch.stack(
        [what.frames[3 * n : 3 * n + 3].gather(0, what.target[n].expand(1, 3, -1, -1))[0] for n in (0, 1)]
    )
    right = torch.zeros_like(what.scores)
    for n in (0, 1):
        right[3 * n : 3 * n + 3, 0].scatter_(0, what.target[n][None], 100.0)
    best, any_ = (DECISION[name](replace(what, truth=truth, scores=each)) for each in (right, what.scores))
    assert best.item() == pytest.approx(0, abs=1e-9)
    assert any_ > 0.1


@pytest.mark.parametrize("name", DECISION)
def test_the_order_of_a_sets_frames_does_not_matter(name):
    what = decided((3, 3))
    order = torch.tensor([1, 2, 0])  # where each frame goes
    places = torch.cat([order.argsort(), 3 + order.argsort()])
    moved = replace(what, frames=what.frames[places], scores=what.scores[places], target=order[what.target])
    assert DECISION[name](moved).item() == pytest.approx(DECISION[name](what).item())


def test_phi_is_equation_5_as_printed():
    for difference in (0.0, 0.01, 0.3, 1.0):
        for alpha in (6, 8, 10):
            printed = 2 / (math.exp(-alpha * difference) + 1) - 1
            got = phi(pictures(difference), pictures(0.0), alpha).item()
            assert got == pytest.approx(printed, abs=1e-12)


def test_nps_by_hand():
    """Means of phi, and range terms, summed over the channels."""
    truth = torch.tensor([[[[0.0, 1.0]], [[0.2, 0.6]], [[0.5, 0.5]]]], dtype=torch.float64)
    predicted = torch.tensor([[[[0.1, 1.0]], [[0.2, 0.5]], [[0.5, 0.7]]]], dtype=torch.float64)
    t = [math.tanh(3 * difference) for difference in (0.1, 0.1, 0.2)]
    ranges = 0.1 + 0.1 + 0.2  # |min| of channel 0, |max| of channels 1 and 2
    assert nps(truth, predicted).item() == pytest.approx(sum(t) / 2 + ranges, rel=1e-12)


def test_nps_takes_the_range_of_each_picture():
    truth = torch.cat([pictures(0.0, 0.0), pictures(1.0, 1.0)])
    swapped = truth.flip(0)
    assert nps(truth, swapped).item() == pytest.approx(math.tanh(3) + 2)


def test_l1_and_mse_by_hand():
    assert l1(pictures(0.0, 1.0), pictures(0.5, 0.75)).item() == pytest.approx(0.375)
    assert mse(pictures(0.0, 1.0), pictures(0.5, 0.75)).item() == pytest.approx((0.25 + 0.0625) / 2)


@pytest.mark.parametrize("name", REGRESSION)
def test_gradient_is_the_numerical_one(name):
    torch.manual_seed(0)
    truth = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    predicted = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda values: REGRESSION[name](truth, values), predicted)


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("difference", [0.0, 1e-30, 1.0, 1e4, 1e18])
def test_finite_at_no_and_at_extreme_differences(name, difference):
    truth = torch.zeros(1, 3, 4, 4)
    predicted = torch.full_like(truth, difference).requires_grad_()
    loss = REGRESSION[name](truth, predicted)
    loss.backward()
    assert loss.isfinite()
    assert predicted.grad.isfinite().all()


@pytest.mark.parametrize("name", DECISION)
def test_losses_of_decisions_are_finite_at_extreme_logits(name):
    logit = torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e30])[None, None, None].requires_grad_()
    frames = torch.rand(2, 3, 1, 5)
    for value in (0, 1):
        target = torch.full((1, 1, 5), value)
        loss = DECISION[name](Decided(target, pair_scores(logit), frames, frames[:1], (2,)))
        loss.backward()
        assert loss.isfinite()
        assert logit.grad.isfinite().all()


@pytest.mark.parametrize("name", REGRESSION)
def test_autocast_changes_no_more_than_the_inputs_rounding(name):
    torch.manual_seed(0)
    truth, predicted = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    exact = REGRESSION[name](truth, predicted.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        cast = REGRESSION[name](truth, predicted.bfloat16())
    assert cast.dtype == torch.float32
    assert cast.item() == pytest.approx(exact.item(), rel=1e-6)
