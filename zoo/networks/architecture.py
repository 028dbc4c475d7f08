"""What an architecture is: one row of the table in `zoo.networks.table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import nn

Task = Literal["seg", "reg"]
Padding = Literal["same", "valid"]
Upsampling = Literal["transposed", "bilinear"]

HOURGLASS_PAPER = r"""@article{guerrero2019hourglass,
  title  = {A Multiple Source Hourglass Deep Network for Multi-Focus Image Fusion},
  author = {Guerrero Pe{\~n}a, Fidel A. and Marrero Fern{\'a}ndez, Pedro D. and Ren, Tsang Ing and
            Vasconcelos, Germano C. and Cunha, Alexandre},
  year   = {2019},
  journal = {arXiv preprint arXiv:1908.10945},
}"""
"""BibTeX of the paper that this package follows."""

CNN_PAPER = """@article{liu2017cnn,
  title   = {Multi-focus image fusion with a deep convolutional neural network},
  author  = {Liu, Yu and Chen, Xun and Peng, Hu and Wang, Zengfu},
  journal = {Information Fusion},
  volume  = {36},
  pages   = {191--207},
  year    = {2017},
}"""
"""BibTeX of the paper of `siamese`."""


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
        """Whether the difference from the frames' mean is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A kind of network: everything that the rest of the zoo knows about it.

    Args:
        build: Makes the module; its forward is what `zoo.networks.Network.forward` says.
        reach: How far away, in pixels, an input value can be and still change an output value.
        stride: Pixels by which a picture can be shifted without changing the result otherwise.
        commutative: Whether, by construction, a swap negates a logit and leaves a picture unchanged.
        sets: Whether the module scores any number of frames at once; it then has `scores` and `set_scores`
            as in `zoo.networks.focus_set.FocusSet`.
        allowed: The values that each field of a shape may have, the architecture's own value first.
        description: What it is, in a few words with an article; cards begin a sentence with it.
        title: Its name in comparisons; empty takes the task's, HF-Seg or HF-Reg.
        citation: BibTeX of the work to cite.
    """

    build: Callable[[Shape], nn.Module]
    reach: Callable[[Shape], int]
    stride: Callable[[Shape], int]
    commutative: bool
    allowed: Callable[[Shape], Mapping[str, Sequence[object]]]
    description: str
    sets: bool = False
    title: str = ""
    citation: str = HOURGLASS_PAPER
