import math

import pytest
import torch
from torch.autograd import gradcheck

from zoo.training.losses import REGRESSION, cross_entropy, l1, mse, nps, phi, set_cross_entropy


def pictures(*values):
    """1 x 1 x 1 x n."""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def test_cross_entropy_by_hand():
    """Frame 1 is sharp where the map is 1: there log z_1 counts, elsewhere log z_0 (Eq. 3 corrected)."""
    z_0 = torch.tensor([0.9, 0.2, 0.5])
    logit = torch.log(z_0 / (1 - z_0))[None, None, None]
    focus = torch.tensor([0.0, 1.0, 1.0])[None, None, None]
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5)) / 3
    assert cross_entropy(focus, logit).item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_of_a_pair_as_a_set_is_that_of_its_logit():
    target, scores = torch.randint(0, 2, (3, 8, 8)), torch.randn(6, 1, 8, 8)
    logit = scores[0::2] - scores[1::2]
    assert set_cross_entropy(target, scores, (2, 2, 2)).item() == pytest.approx(
        cross_entropy(target, logit).item(), rel=1e-5
    )


def test_cross_entropy_of_sets_by_hand():
    """Equal scores of n frames: the surprise is log n, whatever the target."""
    scores = torch.zeros(5, 1, 4, 4)
    target = torch.stack([torch.full((4, 4), 1), torch.full((4, 4), 2)])
    expected = (math.log(2) + math.log(3)) / 2
    assert set_cross_entropy(target, scores, (2, 3)).item() == pytest.approx(expected)


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


def test_gradient_of_cross_entropy_is_the_numerical_one():
    torch.manual_seed(0)
    focus = torch.randint(0, 2, (2, 1, 4, 5)).double()
    logit = torch.randn(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda values: cross_entropy(focus, values), logit)


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("difference", [0.0, 1e-30, 1.0, 1e4, 1e18])
def test_finite_at_no_and_at_extreme_differences(name, difference):
    truth = torch.zeros(1, 3, 4, 4)
    predicted = torch.full_like(truth, difference).requires_grad_()
    loss = REGRESSION[name](truth, predicted)
    loss.backward()
    assert loss.isfinite()
    assert predicted.grad.isfinite().all()


def test_cross_entropy_is_finite_at_extreme_logits():
    logit = torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e30])[None, None, None].requires_grad_()
    for value in (0.0, 1.0):
        loss = cross_entropy(torch.full_like(logit, value), logit)
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
