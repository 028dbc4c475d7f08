"""The table of architectures. A new one is a file next to this one, its shapes, its graph, and a row here.

torch is imported only when a network is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.networks import shapes
from zoo.networks.architecture import CNN_PAPER, Architecture

if TYPE_CHECKING:
    from torch import nn

    from zoo.networks.architecture import Shape


def _unet(shape: Shape) -> nn.Module:
    from zoo.networks.unet import UNet

    return UNet(shape)


def _odd(shape: Shape) -> nn.Module:
    from zoo.networks.odd import Odd

    return Odd(shape)


def _focus_set(shape: Shape) -> nn.Module:
    from zoo.networks.focus_set import FocusSet

    return FocusSet(shape)


def _siamese(shape: Shape) -> nn.Module:
    from zoo.networks.siamese import Siamese

    return Siamese(shape)


ARCHITECTURES = {
    "unet": Architecture(
        build=_unet,
        reach=shapes.unet_reach,
        stride=shapes.halvings,
        commutative=False,
        allowed=shapes.unet_allowed,
        description="A multi-source U-Net without normalization layers",
    ),
    "odd": Architecture(
        build=_odd,
        reach=shapes.odd_reach,
        stride=shapes.halvings,
        commutative=True,
        allowed=shapes.hourglass_values,
        description="An hourglass that is commutative by construction (`odd`), without normalization layers",
    ),
    "focus-set": Architecture(
        build=_focus_set,
        reach=shapes.set_reach,
        stride=shapes.set_stride,
        commutative=True,
        sets=True,
        allowed=shapes.set_allowed,
        description="An hourglass that scores any number of frames in one pass (`focus-set`), without "
        "normalization layers",
        title="Focus-Set",
    ),
    "siamese": Architecture(
        build=_siamese,
        reach=shapes.siamese_reach,
        stride=shapes.halvings,
        commutative=True,
        allowed=shapes.siamese_allowed,
        description="Liu's network on patches (Information Fusion 36, 2017), antisymmetrized (`siamese`), "
        "without normalization layers",
        title="CNN",
        citation=CNN_PAPER,
    ),
}
"""Every architecture that a config may name."""
