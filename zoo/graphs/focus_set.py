"""The graph of `zoo.networks.focus_set`, for any number of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.networks.shapes import BLOCK, set_stride

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.graphs.builder import Graph
    from zoo.networks import Config


def focus_set(graph: Graph, config: Config, *, pair: bool = False) -> None:
    """From `frames`, N x 3 x H x W, to `scores`, N x H x W.

    Of a pair, only one frame's odd stream is made: the other's is its negative, bit for bit. So swapping the
    frames of a pair swaps their scores; more frames are to come in an order that depends only on them.

    Args:
        graph: What is written to.
        config: The network's.
        pair: Take two frames only, which is faster.
    """
    g = graph
    count = 2 if pair else "frames"
    frames = g.input("frames", [count, 3, "height", "width"])
    sides = g.sides(frames)
    features = _encoded(g, config, frames)
    over: _Any | _Pair = _Pair(g) if pair else _Any(g, frames)
    odd, even = "", ""
    for level in reversed(range(config.depth + 1)):
        name = f"body.up.{level}"
        seen = features.pop()
        mean, odd_seen = over.mean(seen), over.apart(seen)
        spread = over.magnitude(odd_seen)
        even = _even(g, name, mean, spread, even)
        gate = g.op("Sigmoid", g.conv(even, f"{name}.gate_conv", padding=1))
        stream = g.conv(odd_seen, f"{name}.odd_skip", bias=False)
        if odd:
            stream = g.op("Add", stream, g.upward(odd, f"{name}.odd_up", bilinear=True, bias=False))
        kernel = 2 * g.weight(f"{name}.odd_conv.weight")
        odd = g.op("Mul", g.conv(stream, f"{name}.odd_conv", padding=1, bias=False, kernel=kernel), gate)
        if level:
            across = g.conv(over.magnitude(odd), f"{name}.cross", bias=False)
            even = g.op("Relu", g.op("Add", g.conv(even, f"{name}.even_conv", padding=1), across))
    scores = g.op(
        "DepthToSpace", g.conv(odd, "body.head", padding=1, bias=False), blocksize=BLOCK, mode="CRD"
    )
    scores = g.op("Squeeze", over.each(g.top_left(scores, sides)), g.integers(1))
    g.output(scores, "scores", [count, "height", "width"])


def _encoded(g: Graph, config: Config, frames: str) -> list[str]:
    """Features of all frames at every level, finest first."""
    x = g.whole(frames, set_stride(config))
    kernel = _of_pixels(g.weight("body.down.0.0.weight", channels=3 * BLOCK**2))
    x = g.op("Relu", g.conv(x, "body.down.0.0", padding=BLOCK, stride=BLOCK, kernel=kernel))
    x = g.op("Relu", g.conv(x, "body.down.0.2", padding=1))
    features = [x]
    for level in range(1, config.depth + 1):
        features.append(g.convs(g.halved(features[-1]), f"body.down.{level}", 1))
    return features


def _even(g: Graph, name: str, mean: str, spread: str, below: str) -> str:
    """The even stream; see `zoo.networks.focus_set.SetLevel.even`."""
    stream = g.conv(g.op("Concat", mean, spread, axis=1), f"{name}.even_skip")
    return g.op("Add", stream, g.upward(below, f"{name}.even_up", bilinear=True)) if below else stream


def _of_pixels(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """From a kernel for blocks of pixels as channels to one for pixels, twice as large."""
    n_out, n_in, rows, columns = kernel.shape
    blocks = kernel.reshape(n_out, n_in // BLOCK**2, BLOCK, BLOCK, rows, columns)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n_out, -1, rows * BLOCK, columns * BLOCK)


class _Any:
    """Arithmetic over any number of frames; of a pair, only one frame has an odd stream."""

    def __init__(self, graph: Graph, frames: str) -> None:
        g = self.graph = graph
        self.count = g.op("Shape", frames, start=0, end=1)
        is_pair = g.op("Equal", self.count, g.integers(2))
        self.streams = g.op("Where", is_pair, g.integers(1), self.count)
        self.first_other = g.op("Where", is_pair, g.integers(1), g.integers(0))
        self.factor = g.op("Where", is_pair, g.number(0.5), g.number(1.0))

    def mean(self, values: str) -> str:
        """Over the frames."""
        return self.graph.op("ReduceMean", values, self.graph.integers(0), keepdims=1)

    def apart(self, features: str) -> str:
        """Deviations from the mean; of a pair, half the difference."""
        g = self.graph
        ours = g.part(features, g.integers(0), self.streams, 0)
        others = g.part(features, self.first_other, self.count, 0)
        return g.op("Mul", g.op("Sub", ours, self.mean(others)), self.factor)

    def magnitude(self, odd: str) -> str:
        """The mean magnitude of the odd streams."""
        return self.mean(self.graph.op("Abs", odd))

    def each(self, scores: str) -> str:
        """Scores of all frames."""
        g = self.graph
        return g.part(g.op("Concat", scores, g.op("Neg", scores), axis=0), g.integers(0), self.count, 0)


class _Pair:
    """The same for two frames, in four fifths of the time."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def mean(self, values: str) -> str:
        g = self.graph
        return g.op("Mul", g.op("Add", *self._frames(values)), g.number(0.5))

    def apart(self, features: str) -> str:
        g = self.graph
        return g.op("Mul", g.op("Sub", *self._frames(features)), g.number(0.5))

    def magnitude(self, odd: str) -> str:
        return self.graph.op("Abs", odd)

    def each(self, scores: str) -> str:
        g = self.graph
        return g.op("Concat", scores, g.op("Neg", scores), axis=0)

    def _frames(self, values: str) -> list[str]:
        g = self.graph
        return [g.part(values, g.integers(place), g.integers(place + 1), 0) for place in (0, 1)]
