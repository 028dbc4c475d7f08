"""What a training step needs: learning rate, loss of a batch, optimizer, averaged weights. Stateless."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zoo.training.losses import DECISION, REGRESSION, Decided, leveled, pair_frames, pair_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from zoo.networks import Network
    from zoo.training.data import Batch
    from zoo.training.options import TrainOptions


def learning_rate(options: TrainOptions, step: int, total: int) -> float:
    """The learning rate of a step: a linear rise, then constant or half a cosine down to 0."""
    rise = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    if options.schedule == "constant":
        return options.lr * rise
    done = max(0, step - options.warmup) / max(1, total - options.warmup)
    return options.lr * rise * (1 + math.cos(math.pi * done)) / 2


def loss_of(model: nn.Module, batch: Batch, options: TrainOptions, device: torch.device) -> Tensor:
    """The loss of a batch, one number, of which gradients can be taken.

    Args:
        model: A network, or a wrapper of one.
        batch: As a loader gives it.
        options: What says which loss, and in which layout pictures are stored.
        device: Where the network is.
    """
    if options.model.sets:
        frames, target, gt = sets_to_device(batch, device, options)
        return _decided(target, model(frames, batch.counts), frames, gt, batch.counts, options)
    a, b, target, gt = pairs_to_device(batch, device, options)
    output = model(a, b)
    if options.model.task == "reg":
        return REGRESSION[options.loss](gt, output)
    return _decided(target[:, 0], pair_scores(output), pair_frames(a, b), gt, (2,) * len(a), options)


def _decided(
    target: Tensor, scores: Tensor, frames: Tensor, gt: Tensor, counts: Sequence[int], options: TrainOptions
) -> Tensor:
    if options.unequal or options.unbalanced:
        frames = leveled(frames, gt, counts)
    return DECISION[options.loss](Decided(target, scores, frames, gt, counts))


def pairs_to_device(
    batch: Batch, device: torch.device, options: TrainOptions
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames, target and truth of a batch of pairs as floats in [0, 1], with the reversed pairs if asked for.

    Returns:
        a, b: N x 3 x S x S; target: N x 1 x S x S; truth: N x 3 x S x S.
    """
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    frames = batch.frames.to(device, non_blocking=True).float() / 255
    a, b = (frames[k::2].contiguous(memory_format=layout) for k in (0, 1))
    target = batch.target.to(device, non_blocking=True).float()[:, None]
    gt = batch.gt.to(device, non_blocking=True).float() / 255
    if options.both_orders:
        a, b = torch.cat([a, b]), torch.cat([b, a])
        target, gt = torch.cat([target, 1 - target]), torch.cat([gt, gt])
    return a, b, target, gt


def sets_to_device(
    batch: Batch, device: torch.device, options: TrainOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, target and truth of a batch of sets, pictures as floats in [0, 1].

    Returns:
        Frames: F x 3 x S x S; target: P x S x S; truth: P x 3 x S x S.
    """
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    frames = batch.frames.to(device, non_blocking=True).float() / 255
    gt = batch.gt.to(device, non_blocking=True).float() / 255
    return frames.contiguous(memory_format=layout), batch.target.to(device, non_blocking=True), gt


def make_optimizer(options: TrainOptions, model: Network) -> torch.optim.Optimizer:
    """The optimizer that the options name."""
    if options.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=options.lr)
    return torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)


def averaged(options: TrainOptions, model: Network) -> AveragedModel | None:
    """A copy of a network to hold its averaged weights; None without EMA."""
    if not options.ema:
        return None
    average = get_ema_multi_avg_fn(options.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average)


def total_steps(options: TrainOptions, samples: int, processes: int) -> int:
    """The number of optimizer steps in a training run; an epoch has all crops of each sample."""
    crops = options.epochs * samples * options.windows
    return options.steps or math.ceil(crops / pairs_per_step(options, processes))


def pairs_per_step(options: TrainOptions, processes: int) -> int:
    """The number of pairs that one optimizer step sees, over all processes."""
    return options.pairs * options.accumulate * processes
