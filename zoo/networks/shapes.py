"""What is known of each architecture without building it: strides, reaches, and values that fields may have.

Programs that run a network by other means than torch need this, and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.networks.architecture import Shape

MIN_SIDE = 16
"""Shortest side of a frame that any network is given, in pixels."""

BLOCK = 2
"""Side of the blocks whose pixels become the channels of `focus-set`."""

PATCH = 16
"""Side of a patch of `siamese`, in pixels."""

STRIDE = 2
"""Pixels from one patch to the next."""

CELLS = PATCH // STRIDE
"""Patches that cover a pixel, along each side."""

BT601 = (0.299, 0.587, 0.114)
"""What red, green and blue are worth in the gray that `siamese` sees."""


def halvings(shape: Shape) -> int:
    """The stride of a network that halves the resolution `depth` times, in pixels."""
    return 1 << shape.depth


def hourglass_values(shape: Shape) -> Mapping[str, Sequence[object]]:
    """The values that each field of an hourglass's shape may have, its own first."""
    return {
        "task": ("seg", "reg"),
        "width": range(1, 1025),
        "depth": range(1, 9),
        "out_channels": (3,) if shape.task == "reg" else (1,),
        "padding": ("same",),
        "upsampling": ("transposed", "bilinear"),
        "residual": (False,),
    }


def hourglass_reach(depth: int, joins: int, bilinear: bool, top: int = 0, bottom: int = 0) -> int:
    """The reach of an encoder and decoder, in pixels.

    Follows the interval that one output pixel depends on back through the network, for each position that
    the pixel can have within the stride.

    Args:
        depth: Number of times that the resolution is halved.
        joins: Number of 3x3 convolutions at each level of the decoder.
        bilinear: Whether the decoder interpolates, which adds a pixel at each level.
        top: Number of 3x3 convolutions after the decoder.
        bottom: Number of 3x3 convolutions at the lowest level, besides the encoder's.
    """
    reach = 0
    for place in range(1 << depth):
        low, high = place - top, place + top
        for _ in range(depth):
            low, high = (low - joins - bilinear) // 2, (high + joins + bilinear) // 2
        low, high = low - 2 - bottom, high + 2 + bottom
        for _ in range(depth):
            low, high = 2 * low - 2, 2 * high + 3
        reach = max(reach, place - low, high - place)
    return reach


def unet_reach(shape: Shape) -> int:
    """How far an output value depends on the input, in pixels."""
    return hourglass_reach(shape.depth, 2, shape.upsampling == "bilinear")


def unet_allowed(shape: Shape) -> Mapping[str, Sequence[object]]:
    """The values that each field of the shape may have, its own first."""
    return {
        **hourglass_values(shape),
        "out_channels": (3,) if shape.task == "reg" else (2, 1),
        "padding": ("same", "valid"),
        "residual": (False, True) if shape.task == "reg" else (False,),
    }


def valid_margins(length: int, depth: int) -> tuple[int, int]:
    """Pixels to add before and after a length, so that unpadded convolutions return at least that length.

    >>> valid_margins(388, 4)  # 572, as in the U-Net paper
    (92, 92)
    """
    before, size = 2, length
    for _ in range(depth):
        size = -(-(size + 4) // 2)
    size += 4
    for _ in range(depth):
        before, size = 2 * before + 4, 2 * size + 4
    return before, size - before - length


def odd_reach(shape: Shape) -> int:
    """How far an output value depends on the input, in pixels."""
    return hourglass_reach(shape.depth, 1, shape.upsampling == "bilinear")


def set_stride(shape: Shape) -> int:
    """Pixels by which a picture can be shifted without changing the scores otherwise."""
    return BLOCK * halvings(shape)


def set_reach(shape: Shape) -> int:
    """How far a score depends on the input, in pixels."""
    return BLOCK * hourglass_reach(shape.depth, 1, bilinear=True, top=1, bottom=1) + BLOCK - 1


def set_allowed(_: Shape) -> Mapping[str, Sequence[object]]:
    """The values that each field of the shape may have."""
    return {
        "task": ("seg",),
        "width": range(1, 1025),
        "depth": range(1, 7),
        "out_channels": (1,),
        "padding": ("same",),
        "upsampling": ("bilinear",),
        "residual": (False,),
    }


def siamese_reach(_: Shape) -> int:
    """How far an output depends on the input, in pixels, whatever the width.

    A logit is interpolated between patches that reach 9 pixels; the convolution at half resolution adds 2,
    the two at full resolution 1 each.
    """
    return 9 + 2 + 1 + 1


def siamese_allowed(shape: Shape) -> Mapping[str, Sequence[object]]:
    """The values that each field of the shape may have: the classic network only segments, at one depth."""
    return {**hourglass_values(shape), "task": ("seg",), "depth": (1,), "upsampling": ("bilinear",)}
