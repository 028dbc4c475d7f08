"""The table of architectures. A new one is a file and a row here."""

from __future__ import annotations

from zoo.networks import odd, siamese, unet
from zoo.networks.architecture import Architecture, Shape


def _halvings(shape: Shape) -> int:
    return 1 << shape.depth


ARCHITECTURES = {
    "unet": Architecture(unet.UNet, unet.reach, _halvings, commutative=False, allowed=unet.allowed),
    "odd": Architecture(odd.Odd, odd.reach, _halvings, commutative=True, allowed=odd.allowed),
    "siamese": Architecture(
        siamese.Siamese, lambda _: siamese.REACH, _halvings, commutative=True, allowed=siamese.allowed
    ),
}
"""Every architecture that a config may name."""
