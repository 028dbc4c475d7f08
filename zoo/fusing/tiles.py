"""Cutting large pictures into tiles whose margins are as wide as the network's reach."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

from mfsynth.errors import OptionsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.fusing.interface import NetworkConfig

    Window = tuple[slice, slice]
    """Rows and columns."""

_TILE_VALUES = 36 << 20
"""Largest number of values at a tile's full resolution: a pass then needs about 1 GB beyond the pictures."""

_ARRAY = 32 << 20
"""Largest array of a network for sets, in bytes: the C library maps larger ones anew each time."""

_KEPT = 7 / 16
"""What a network for sets keeps of a layer, in values for each pixel and each channel of its width.

One more for each pixel is the layer's score.
"""

_SET_VALUES = 128 << 20
"""Largest number of values that a network for sets keeps of a tile of all layers: 0.5 GB, 1.1 GB at the peak.

The more frames, the smaller the tiles, and the more their margins weigh: six frames are seen 1.5 times over,
a hundred 2.5 times, 255 3.7 times. Margins cost time in the encoder only.
"""

_STRIP = 1 << 15
"""Pixels of a strip."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile, with its surroundings.

    Args:
        window: What it covers of the picture.
        outer: The same with margins.
        inner: What it covers of `outer`.
    """

    window: Window
    outer: Window
    inner: Window


def tiles(height: int, width: int, side: int) -> Iterator[Window]:
    """Rows and columns of a picture's tiles: squares, cut off at its right and lower border."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))


def strips(height: int, width: int, multiple: int = 1) -> Iterator[slice]:
    """Rows of a tile's strips, which are so small that work on several of them stays in a core's cache.

    Each begins at a multiple of so many rows.
    """
    step = max(_STRIP // width // multiple, 1) * multiple
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def tiles_for(config: NetworkConfig, height: int, width: int, side: int) -> list[Tile]:
    """Tiles with margins, so that what a network gives inside is what it gives for the whole picture."""
    return [_with_margins(window, halo(config)) for window in tiles(height, width, side)]


def tile_side(
    config: NetworkConfig,
    side: int | None,
    height: int,
    width: int,
    layers: int = 2,
    with_margins: bool = False,
) -> int:
    """The side of the tiles: a multiple of the stride, so that every tile is halved at the same pixels.

    Args:
        config: The network's.
        side: In pixels; None takes the largest that need about 1 GB.
        height: Of the picture.
        width: Of the picture.
        layers: How many a network for sets sees.
        with_margins: Whether it keeps a tile's margins of all of them, too.

    Raises:
        OptionsError: If it is too small.
    """
    stride = config.stride
    if side is None:
        whole, side = _largest(config, layers, with_margins)
        if height * width <= whole:
            return -(-max(height, width) // stride) * stride
    check_side(config, side)
    return side // stride * stride


def check_side(config: NetworkConfig, side: int, name: str = "tile") -> None:
    """Check that tiles are not narrower than their margins, which most of the time would be spent on.

    Args:
        config: The network's.
        side: Of the tiles, in pixels.
        name: What the option is called.

    Raises:
        OptionsError: If they are.
    """
    if side < _least(config):
        raise OptionsError(
            f"{name} is {side}",
            f"it must be {_least(config)} or more for this network, as wide as a tile's margins; "
            "smaller tiles would take many times as long",
        )


def _least(config: NetworkConfig) -> int:
    """The smallest side of tiles: that of their margins."""
    return max(halo(config), config.stride)


def _largest(config: NetworkConfig, layers: int, with_margins: bool) -> tuple[int, int]:
    """The largest area of a picture that needs no tiles, and the side of those of a larger one."""
    margins = 2 * halo(config)
    if not config.sets:
        whole = _TILE_VALUES // config.width
        return whole, max(isqrt(whole) - margins, _least(config))
    kept = int(_SET_VALUES / ((_KEPT * config.width + 1) * layers))
    seen = _ARRAY // max(config.width, 12)  # bytes of a pixel: its features at half resolution, or its colors
    side = isqrt(kept) - (margins if with_margins else 0)
    return min(seen, kept), max(min(isqrt(seen) - margins, side), _least(config))


def halo(config: NetworkConfig) -> int:
    """Width of a tile's margin, in pixels: the network's reach, in whole strides."""
    return -(-config.reach // config.stride) * config.stride


def _with_margins(window: Window, margin: int) -> Tile:
    rows, columns = (slice(max(0, part.start - margin), part.stop + margin) for part in window)
    top, left = (
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(window, (rows, columns), strict=True)
    )
    return Tile(window, (rows, columns), (top, left))
