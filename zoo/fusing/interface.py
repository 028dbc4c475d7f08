"""What fusion takes and gives: a network, its rules, a fused picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from mfsynth.errors import OptionsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from zoo.networks.architecture import Task

Rule = Literal["weighted", "select", "blend", "direct", "nearest"]
Burst = Literal["joint", "fold", "tournament"]

RULES: dict[Task, tuple[Rule, ...]] = {"seg": ("weighted", "select", "blend"), "reg": ("direct", "nearest")}
"""The rules of a network, its default first; the default of a network for sets is `blend`."""


class NetworkConfig(Protocol):
    """What fusion needs to know about a network."""

    @property
    def task(self) -> Task:
        """`seg` (which frame is sharp) or `reg` (the picture itself)."""

    @property
    def commutative(self) -> bool:
        """Whether one pass gives the same for either order of two frames."""

    @property
    def sets(self) -> bool:
        """Whether one pass scores any number of frames."""

    @property
    def width(self) -> int:
        """Channels at full resolution; memory grows with them."""

    @property
    def stride(self) -> int:
        """Pixels by which a picture can be shifted without changing the result otherwise."""

    @property
    def reach(self) -> int:
        """How far away, in pixels, an input value can be and still change an output value."""


class FusionNetwork(Protocol):
    """A network that fusion can run: a `TorchNetwork`, or a `zoo.fusing.runner.Runner`."""

    @property
    def config(self) -> NetworkConfig:
        """Its properties."""


class TorchNetwork(FusionNetwork, Protocol):
    """A network of torch's tensors: `zoo.networks.Network`, or anything that behaves like it."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    @property
    def precision(self) -> str:
        """What it computes in: `fp32`, `bf16` or `fp16`."""

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """One pass: frames of N x 3 x H x W in [0, 1] to N x 1 x H x W logits or N x 3 x H x W pictures."""

    def symmetric(self, a: Tensor, b: Tensor, /) -> Tensor:
        """Both orders: swapping the frames negates a logit and leaves a picture, bit for bit."""


class TorchSetNetwork(TorchNetwork, Protocol):
    """A network of torch's tensors for sets of frames."""

    def scores(self, frames: Iterable[Tensor], wanted: tuple[slice, slice], /) -> list[Tensor]:
        """One pass: frames of 1 x 3 x H x W in [0, 1] to their scores, each 1 x 1 x h x w.

        Each frame is taken when its turn comes. `wanted` are the rows and columns that scores are given for;
        they begin at multiples of the stride.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A fused picture.

    Attributes:
        image: H x W x 3 or H x W, with the shape and dtype of the frames.
        decision: H x W, uint8: the index of the frame that each pixel came from, or mostly came from. None
            where no frame is chosen: HF-Reg by the rule `direct`.
        confidence: H x W, float16: the probability of that frame, by HF-Seg or a network for sets; for HF-Reg
            by the rule `nearest`, how much nearer that frame is, from 1/2 (as near as another) to 1. None
            without a decision.
    """

    image: NDArray[Any]
    decision: NDArray[np.uint8] | None
    confidence: NDArray[np.float16] | None


def rule_of(model: FusionNetwork, rule: Rule | None) -> Rule:
    """The rule, if the network has it; None is its default.

    Raises:
        OptionsError: If it does not have it.
    """
    rules = RULES[model.config.task]
    if rule is not None and rule not in rules:
        raise OptionsError(
            f"this network has no rule {rule}", f"it has {', '.join(rules[:-1])} and {rules[-1]}"
        )
    return rule or ("blend" if model.config.sets else rules[0])


def check_burst(burst: Burst) -> None:
    """Check that a burst is one.

    Raises:
        OptionsError: If not.
    """
    if burst not in get_args(Burst):
        raise OptionsError(f"burst is {burst!r}", "it can be 'joint', 'fold' or 'tournament'")
