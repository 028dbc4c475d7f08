"""What fusion asks of a network, in arrays, whatever computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from zoo.fusing.interface import NetworkConfig
    from zoo.fusing.tiles import Window

    Map = NDArray[np.float32]

HALF = np.float32(0.5)
"""A half that leaves float32 what it is."""


class Runner(ABC):
    """A network that runs on arrays; frames are H x W x 3 (RGB) or H x W (gray), float32 in [0, 1].

    Attributes:
        backend: What computes it: `torch`, `onnxruntime` or `openvino`.
        all_at_once: Whether a network for sets sees all frames of a tile together, margins and all. It then
            needs smaller tiles for the same memory.
    """

    backend: str
    all_at_once = False

    @property
    @abstractmethod
    def precision(self) -> str:
        """What it computes in: `fp32`, `bf16` or `fp16`."""

    @property
    @abstractmethod
    def config(self) -> NetworkConfig:
        """Its properties."""

    @abstractmethod
    def pair(self, a: Map, b: Map) -> Map:
        """What a network for two frames says: 1 x H x W, logits of a against b, or 3 x H x W, a picture."""

    @abstractmethod
    def scores(self, frames: Iterable[Map], wanted: Window) -> list[Map]:
        """What a network for sets says of each frame, h x w.

        Args:
            frames: Each is taken when its turn comes.
            wanted: The rows and columns to score; they begin at multiples of the stride.
        """

    def symmetric(self, a: Map, b: Map) -> Map:
        """As `pair`, of both orders: swapping negates a logit and leaves a picture, bit for bit."""
        if self.config.commutative:
            return self.pair(a, b)
        one, other = self.pair(a, b), self.pair(b, a)
        return (one - other if self.config.task == "seg" else one + other) * HALF
