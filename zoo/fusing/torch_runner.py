"""A network of torch's tensors, run on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from zoo.fusing.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from zoo.fusing.interface import NetworkConfig, TorchNetwork, TorchSetNetwork
    from zoo.fusing.runner import Map
    from zoo.fusing.tiles import Window


class TorchRunner(Runner):
    """Runs a network where its weights are, in their dtype."""

    backend = "torch"

    def __init__(self, model: TorchNetwork) -> None:
        self.model = model

    @property
    def precision(self) -> str:
        """That of the weights."""
        return self.model.precision

    @property
    def config(self) -> NetworkConfig:
        """The network's."""
        return self.model.config

    @torch.inference_mode()
    def pair(self, a: Map, b: Map) -> Map:
        """See `Runner`."""
        return _array(self.model(self._tensor(a), self._tensor(b))[0])

    @torch.inference_mode()
    def symmetric(self, a: Map, b: Map) -> Map:
        """See `Runner`; the network knows how."""
        return _array(self.model.symmetric(self._tensor(a), self._tensor(b))[0])

    @torch.inference_mode()
    def scores(self, frames: Iterable[Map], wanted: Window) -> list[Map]:
        """See `Runner`."""
        model = cast("TorchSetNetwork", self.model)
        return [_array(each[0, 0]) for each in model.scores(map(self._tensor, frames), wanted)]

    def _tensor(self, frame: Map) -> Tensor:
        """1 x 3 x H x W, channels last."""
        tensor = torch.from_numpy(frame)
        tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor.expand(3, *tensor.shape)
        return tensor[None].to(self.model.device)


def _array(values: Tensor) -> Map:
    return values.cpu().numpy()
