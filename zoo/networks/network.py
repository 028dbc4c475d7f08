"""A fusion network: tensors in, tensors out.

It takes two batches of frames, N x 3 x H x W float in [0, 1], RGB, and returns

- HF-Seg (`task="seg"`): N x 1 x H x W, the logit of frame 0 against frame 1. Its sigmoid is z_0 of Eq. 2;
- HF-Reg (`task="reg"`): N x 3 x H x W, the fused picture.

Results are float32 for weights of any dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.networks.table import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo.networks.config import Config
    from zoo.networks.focus_set import FocusSet

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The floating-point types that a network can compute in, by their names on the command line."""


class Network(nn.Module):
    """A network of any architecture.

    Args:
        config: What to build. Weights are drawn Xavier-normal from torch's global generator.

    Attributes:
        documents: The files that describe the weights (training.json, evaluation.json), as bytes, by name.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.documents: dict[str, bytes] = {}
        self.body = config.build()
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, a: Tensor, b: Tensor | tuple[int, ...]) -> Tensor:
        """One pass, in the order given.

        A network for sets also takes what its `set_scores` takes. Training calls it so, because wrappers for
        several processes see only calls of the module itself.

        Args:
            a: Frame 0, N x 3 x H x W, float32 in [0, 1].
            b: Frame 1, the same.

        Returns:
            seg: N x 1 x H x W logits of frame 0 against frame 1. reg: N x 3 x H x W pictures. float32.
        """
        if isinstance(b, tuple):
            return self.set_scores(a, b)
        return self.body(a, b)  # type: ignore[no-any-return]

    def symmetric(self, a: Tensor, b: Tensor) -> Tensor:
        """Both orders, antisymmetrized: swapping negates a logit and leaves a picture unchanged, bit for bit.

        Networks that are commutative by construction need only one pass.
        """
        if self.config.commutative:
            return self(a, b)  # type: ignore[no-any-return]
        if self.config.task == "seg":
            return (self(a, b) - self(b, a)) / 2  # type: ignore[no-any-return]
        return (self(a, b) + self(b, a)) / 2  # type: ignore[no-any-return]

    def scores(self, frames: Iterable[Tensor], wanted: tuple[slice, slice] | None = None) -> list[Tensor]:
        """What a network for sets says of each frame; see `zoo.networks.focus_set.FocusSet.scores`.

        Raises:
            ZooError: If this is a network for two frames.
        """
        return self._for_sets().scores(frames, wanted)

    def set_scores(self, frames: Tensor, counts: Sequence[int]) -> Tensor:
        """The same of several sets at once; see `zoo.networks.focus_set.FocusSet.set_scores`.

        Raises:
            ZooError: If this is a network for two frames.
        """
        return self._for_sets().set_scores(frames, counts)

    def _for_sets(self) -> FocusSet:
        """The module, of a network for sets."""
        if not self.config.sets:
            those = " or ".join(name for name, row in ARCHITECTURES.items() if row.sets)
            raise ZooError(
                f"a network of the architecture {self.config.architecture} takes two frames, not a set",
                f"call it with two frames, fuse the set with zoo.fuse, or take a network of {those}",
            )
        return cast("FocusSet", self.body)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def precision(self) -> str:
        """The name of the weights' dtype, in which it computes."""
        dtype = next(self.parameters()).dtype
        return next((name for name, each in PRECISIONS.items() if each == dtype), str(dtype))

    @property
    def parameters_count(self) -> int:
        """Number of weights."""
        return sum(weights.numel() for weights in self.parameters())
