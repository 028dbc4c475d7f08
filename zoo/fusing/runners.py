"""From a network to what runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from zoo.fusing.runner import Runner

if TYPE_CHECKING:
    from zoo.fusing.fused import FusionNetwork, TorchNetwork


def runner_of(model: FusionNetwork) -> Runner:
    """The network as one that runs on arrays; torch is imported for its own networks only."""
    if isinstance(model, Runner):
        return model
    from zoo.fusing.by_torch import TorchRunner

    return TorchRunner(cast("TorchNetwork", model))
