"""What an architecture is: the row that each has in the table `zoo.networks.table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import nn

Task = Literal["seg", "reg"]
Padding = Literal["same", "valid"]
Upsampling = Literal["transposed", "bilinear"]


class Shape(Protocol):
    """What an architecture is built from; `zoo.networks.Config` says what each value means."""

    @property
    def task(self) -> Task:
        """`seg` or `reg`."""

    @property
    def width(self) -> int:
        """Channels at full resolution."""

    @property
    def depth(self) -> int:
        """Number of times that the resolution is halved."""

    @property
    def out_channels(self) -> int:
        """Channels of the last layer."""

    @property
    def padding(self) -> Padding:
        """`same` or `valid`."""

    @property
    def upsampling(self) -> Upsampling:
        """`transposed` or `bilinear`."""

    @property
    def residual(self) -> bool:
        """Whether a difference from the frames' mean is predicted."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of network.

    Args:
        build: Makes the module; its forward is what `zoo.networks.Network.forward` says.
        reach: How far away, in pixels, a value of the input can be and still change a value of the output.
        stride: Pixels by which a picture can move without any other change of the result.
        commutative: Whether a swap of the frames negates a logit and leaves a picture, by construction.
        allowed: The values that each field of a shape may have.
    """

    build: Callable[[Shape], nn.Module]
    reach: Callable[[Shape], int]
    stride: Callable[[Shape], int]
    commutative: bool
    allowed: Callable[[Shape], Mapping[str, Sequence[object]]]
