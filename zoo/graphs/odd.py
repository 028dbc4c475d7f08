"""The graph of `zoo.networks.odd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.networks.shapes import halvings

if TYPE_CHECKING:
    from zoo.graphs.builder import Graph
    from zoo.networks import Config


def odd(graph: Graph, config: Config) -> None:
    """From `a` and `b`, N x 3 x H x W, to `logits`, N x 1 x H x W, or to `picture`, N x 3 x H x W."""
    g = graph
    a, b = (g.input(name, ["pairs", 3, "height", "width"]) for name in "ab")
    sides, bilinear = g.sides(a), config.upsampling == "bilinear"
    levels = [*zip(_encoded(g, config, a), _encoded(g, config, b), strict=True)]
    last = config.depth - 1 if config.task == "seg" else config.depth
    one, other = levels.pop()
    difference, total = g.op("Sub", one, other), g.op("Add", one, other)
    for level in range(config.depth):
        one, other = levels.pop()
        upper = g.upward(difference, f"body.up_odd.{level}", bilinear, bias=False)
        upper_total = g.upward(total, f"body.up_even.{level}", bilinear)
        difference, total = _block(
            g,
            f"body.blocks.{level}",
            g.op("Add", upper, g.op("Sub", one, other)),
            g.op("Add", upper_total, g.op("Add", one, other)),
            even=level != last,
        )
    logits = g.top_left(g.conv(difference, "body.head", bias=False), sides)
    if config.task == "seg":
        g.output(logits, "logits", ["pairs", 1, "height", "width"])
        return
    half = g.number(0.5)
    share = g.op("Tanh", g.op("Mul", logits, half))
    middle = g.op("Mul", g.op("Add", a, b), half)
    apart = g.op("Mul", g.op("Mul", g.op("Sub", a, b), half), share)
    rest = g.top_left(g.conv(total, "body.residual"), sides)
    picture = g.op("Add", g.op("Add", middle, apart), rest)
    g.output(picture, "picture", ["pairs", 3, "height", "width"])


def _encoded(g: Graph, config: Config, frame: str) -> list[str]:
    """A frame's features at every level, finest first."""
    features = [g.convs(g.whole(frame, halvings(config)), "body.down.0", 1)]
    for level in range(1, config.depth + 1):
        features.append(g.convs(g.halved(features[-1]), f"body.down.{level}", 1))
    return features


def _block(g: Graph, name: str, difference: str, total: str, *, even: bool) -> tuple[str, str]:
    """See `zoo.networks.odd.OddEven`."""
    gate = g.op("Mul", g.op("Sigmoid", g.conv(total, f"{name}.gate", padding=1)), g.number(2))
    gated = g.op("Mul", g.conv(difference, f"{name}.odd", padding=1, bias=False), gate)
    if not even:
        return gated, total
    across = g.conv(g.op("Abs", difference), f"{name}.cross", bias=False)
    return gated, g.op("Relu", g.op("Add", g.conv(total, f"{name}.even", padding=1), across))
