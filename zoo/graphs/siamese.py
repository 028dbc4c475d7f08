"""The graph of `zoo.networks.siamese`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.networks.shapes import BT601, CELLS, STRIDE

if TYPE_CHECKING:
    from zoo.graphs.builder import Graph
    from zoo.networks import Config


def siamese(graph: Graph, _: Config) -> None:
    """From `a` and `b`, N x 3 x H x W, to `logits`, N x 1 x H x W."""
    g = graph
    a, b = (g.input(name, ["pairs", 3, "height", "width"]) for name in "ab")
    apart = g.op("Sub", _features(g, a), _features(g, b))
    scores = g.doubled(g.conv(apart, "body.head", padding=CELLS // 2, bias=False))
    one = g.integers(1, 1)
    logits = g.part(scores, one, g.op("Add", g.sides(a), one), 2, 3)
    g.output(logits, "logits", ["pairs", 1, "height", "width"])


def _features(g: Graph, frame: str) -> str:
    """A frame's features at half the resolution."""
    luma = np.array(BT601, np.float32).reshape(1, 3, 1, 1)
    gray = g.op("Conv", frame, g.constant("luma", luma), kernel_shape=[1, 1])
    x = g.halved(g.convs(g.whole(gray, STRIDE), "body.branch", 1))
    return g.op("Relu", g.conv(x, "body.branch.5", padding=1))
