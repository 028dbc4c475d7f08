"""A network that several backends can compute, of which each stack gets the one that suits it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.fusing.interface import FusionNetwork, NetworkConfig


class NetworkChoice(ABC):
    """A network, and a choice of what computes it; `mfsynth fuse` makes one for each stack."""

    @property
    @abstractmethod
    def config(self) -> NetworkConfig:
        """The network's properties, whatever computes it."""

    @abstractmethod
    def suited(self, frames: int) -> FusionNetwork:
        """The network for a stack of so many frames."""


def suited(network: FusionNetwork | NetworkChoice, frames: int) -> FusionNetwork:
    """The network for a stack of so many frames: the chosen one, or the only one there is."""
    return network.suited(frames) if isinstance(network, NetworkChoice) else network
