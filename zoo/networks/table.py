"""The table of architectures. A new one is a file next to this one and a row here."""

from __future__ import annotations

from zoo.networks import focus_set, odd, siamese, unet
from zoo.networks.architecture import Architecture
from zoo.networks.layers import halvings, hourglass_values

ARCHITECTURES = {
    "unet": Architecture(
        build=unet.UNet,
        reach=unet.reach,
        stride=halvings,
        commutative=False,
        allowed=unet.allowed,
        description="A multi-source U-Net without normalization layers",
    ),
    "odd": Architecture(
        build=odd.Odd,
        reach=odd.reach,
        stride=halvings,
        commutative=True,
        allowed=hourglass_values,
        description="An hourglass that is commutative by construction (`odd`), without normalization layers",
    ),
    "focus-set": Architecture(
        build=focus_set.FocusSet,
        reach=focus_set.reach,
        stride=focus_set.stride,
        commutative=True,
        sets=True,
        allowed=focus_set.allowed,
        description="An hourglass that scores any number of frames in one pass (`focus-set`), without "
        "normalization layers",
        title="Focus-Set",
    ),
    "siamese": Architecture(
        build=siamese.Siamese,
        reach=siamese.reach,
        stride=halvings,
        commutative=True,
        allowed=siamese.allowed,
        description="Liu's network on patches (Information Fusion 36, 2017), antisymmetrized (`siamese`), "
        "without normalization layers",
        title="CNN",
        citation=siamese.PAPER,
    ),
}
"""Every architecture that a config may name."""
