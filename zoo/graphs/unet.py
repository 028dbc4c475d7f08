"""The graph of `zoo.networks.unet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.networks.shapes import halvings

if TYPE_CHECKING:
    from zoo.graphs.builder import Graph
    from zoo.networks import Config


def unet(graph: Graph, config: Config) -> None:
    """From `a` and `b`, N x 3 x H x W, to `logits`, N x 1 x H x W, or to `picture`, N x 3 x H x W."""
    g = graph
    a, b = (g.input(name, ["pairs", 3, "height", "width"]) for name in "ab")
    out = _trunk(g, config, g.op("Concat", a, b, axis=1))
    if config.out_channels == 2:
        one, other = (g.part(out, g.integers(place), g.integers(place + 1), 1) for place in (0, 1))
        out = g.op("Sub", one, other)
    if config.residual:
        out = g.op("Add", g.op("Div", g.op("Add", a, b), g.number(2)), out)
    if config.task == "seg":
        g.output(out, "logits", ["pairs", 1, "height", "width"])
    else:
        g.output(out, "picture", ["pairs", 3, "height", "width"])


def _trunk(g: Graph, config: Config, x: str) -> str:
    sides = g.sides(x)
    padding = 1 if config.padding == "same" else 0
    x = g.whole(x, halvings(config)) if padding else _with_valid_margins(g, config.depth, x, sides)
    skips = []
    for level in range(config.depth):
        x = g.convs(x, f"body.down.{level}", padding)
        skips.append(x)
        x = g.halved(x)
    x = g.convs(x, f"body.down.{config.depth}", padding)
    for level in range(config.depth):
        x = g.upward(x, f"body.up.{level}", config.upsampling == "bilinear")
        skip = skips.pop() if padding else _center(g, skips.pop(), x)
        x = g.convs(g.op("Concat", skip, x, axis=1), f"body.join.{level}", padding)
    return g.top_left(g.conv(x, "body.head"), sides)


def _with_valid_margins(g: Graph, depth: int, x: str, sides: str) -> str:
    """Extended as `zoo.networks.unet.valid_margins` says."""
    before, size, four = 2, sides, g.integers(4)
    for _ in range(depth):
        before = 2 * before + 4
        size = g.op("Div", g.op("Add", size, g.integers(5)), g.integers(2))
    size = g.op("Add", size, four)
    for _ in range(depth):
        size = g.op("Add", g.op("Mul", size, g.integers(2)), four)
    return g.extended(x, before, g.op("Sub", g.op("Sub", size, g.integers(before)), sides))


def _center(g: Graph, skip: str, like: str) -> str:
    """The part of a skip connection that an upsampled value covers."""
    sides = g.sides(like)
    start = g.op("Div", g.op("Sub", g.sides(skip), sides), g.integers(2))
    return g.part(skip, start, g.op("Add", start, sides), 2, 3)
