"""The graph of `zoo.networks.focus_set`, for any number of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from zoo.networks.shapes import BLOCK, set_stride

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.graphs.builder import Graph
    from zoo.networks import Config

Seen = TypeVar("Seen", contravariant=True)
"""Features of all frames at a level."""


def focus_set(graph: Graph, config: Config) -> None:
    """From `frames`, N x 3 x H x W, to `scores`, N x H x W.

    Of a pair, only one frame's odd stream is made: the other's is its negative, bit for bit. So swapping the
    frames of a pair swaps their scores; more frames are to come in an order that depends only on them.
    """
    g = graph
    frames = g.input("frames", ["frames", 3, "height", "width"])
    sides, over = g.sides(frames), _Any(g, frames)
    features = _encoded(g, config, g.whole(frames, set_stride(config)))
    scores = g.top_left(_scored(g, config, features, over), sides)
    scores = g.op("Squeeze", over.each(scores), g.integers(1))
    g.output(scores, "scores", ["frames", "height", "width"])


def focus_pair(graph: Graph, config: Config) -> None:
    """The same for a pair only, in less time: from `a` and `b`, 1 x 3 x H x W, to `score`, 1 x 1 x H x W.

    It is that of a; that of b is its negative. Sides must be multiples of the stride: runtimes then know
    which values inside have the same size, and add them without bringing them into another layout. The frames
    are encoded one by one, since runtimes copy what is cut out of a batch; halves are in the kernels, where
    they cost nothing.
    """
    g = graph
    a, b = (g.input(name, [1, 3, "height", "width"]) for name in "ab")
    features = [*zip(_encoded(g, config, a), _encoded(g, config, b), strict=True)]
    g.output(_scored(g, config, features, _Pair(g)), "score", [1, 1, "height", "width"])


def _scored(g: Graph, config: Config, features: list[Seen], over: _Over[Seen]) -> str:
    """Scores of the frames that have an odd stream, from the features at every level, finest first.

    N x 1 x H x W, at the size of whole strides.
    """
    odd, even = "", ""
    for level in reversed(range(config.depth + 1)):
        name = f"body.up.{level}"
        seen = features.pop()
        apart = over.apart(seen)
        even = _even(g, name, over.common(seen), over.magnitude(apart), even, over.times)
        gate = g.op("Sigmoid", g.conv(even, f"{name}.gate_conv", padding=1))
        kernel = g.weight(f"{name}.odd_skip.weight") / over.times
        stream = g.conv(apart, f"{name}.odd_skip", bias=False, kernel=kernel)
        if odd:
            stream = g.op("Add", stream, g.upward(odd, f"{name}.odd_up", bilinear=True, bias=False))
        kernel = 2 * g.weight(f"{name}.odd_conv.weight")
        odd = g.op("Mul", g.conv(stream, f"{name}.odd_conv", padding=1, bias=False, kernel=kernel), gate)
        if level:
            across = g.conv(over.magnitude(odd), f"{name}.cross", bias=False)
            even = g.op("Relu", g.op("Add", g.conv(even, f"{name}.even_conv", padding=1), across))
    head = g.conv(odd, "body.head", padding=1, bias=False)
    return g.op("DepthToSpace", head, blocksize=BLOCK, mode="CRD")


def _encoded(g: Graph, config: Config, frames: str) -> list[str]:
    """Features of frames at every level, finest first."""
    kernel = _of_pixels(g.weight("body.down.0.0.weight", channels=3 * BLOCK**2))
    x = g.op("Relu", g.conv(frames, "body.down.0.0", padding=BLOCK, stride=BLOCK, kernel=kernel))
    x = g.op("Relu", g.conv(x, "body.down.0.2", padding=1))
    features = [x]
    for level in range(1, config.depth + 1):
        features.append(g.convs(g.halved(features[-1]), f"body.down.{level}", 1))
    return features


def _even(g: Graph, name: str, common: str, spread: str, below: str, times: int) -> str:
    """The even stream; see `zoo.networks.focus_set.SetLevel.even`."""
    kernel = g.weight(f"{name}.even_skip.weight") / times
    own, others = np.split(kernel, 2, axis=1)  # two convolutions, so that nothing is concatenated
    stream = g.op(
        "Add",
        g.conv(common, f"{name}.even_skip", kernel=own),
        g.conv(spread, f"{name}.even_skip", bias=False, kernel=others, part="spread"),
    )
    return g.op("Add", stream, g.upward(below, f"{name}.even_up", bilinear=True)) if below else stream


class _Over(Protocol[Seen]):
    """Arithmetic over frames, on their features.

    Attributes:
        times: How many times larger `common` and `apart` are than the mean and the deviations from it.
    """

    times: int

    def common(self, seen: Seen, /) -> str:
        """What the frames have in common: their mean."""

    def apart(self, seen: Seen, /) -> str:
        """Deviations from the mean, of each frame that has an odd stream."""

    def magnitude(self, odd: str, /) -> str:
        """The mean magnitude of the odd streams."""


def _of_pixels(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """From a kernel for blocks of pixels as channels to one for pixels, twice as large."""
    n_out, n_in, rows, columns = kernel.shape
    blocks = kernel.reshape(n_out, n_in // BLOCK**2, BLOCK, BLOCK, rows, columns)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n_out, -1, rows * BLOCK, columns * BLOCK)


class _Any:
    """Arithmetic over any number of frames; of a pair, only one frame has an odd stream."""

    times = 1

    def __init__(self, graph: Graph, frames: str) -> None:
        g = self.graph = graph
        self.count = g.op("Shape", frames, start=0, end=1)
        is_pair = g.op("Equal", self.count, g.integers(2))
        self.streams = g.op("Where", is_pair, g.integers(1), self.count)
        self.first_other = g.op("Where", is_pair, g.integers(1), g.integers(0))
        self.factor = g.op("Where", is_pair, g.number(0.5), g.number(1.0))

    def common(self, seen: str) -> str:
        return self.graph.op("ReduceMean", seen, self.graph.integers(0), keepdims=1)

    def apart(self, seen: str) -> str:
        g = self.graph
        ours = g.part(seen, g.integers(0), self.streams, 0)
        others = g.part(seen, self.first_other, self.count, 0)
        return g.op("Mul", g.op("Sub", ours, self.common(others)), self.factor)

    def magnitude(self, odd: str) -> str:
        return self.common(self.graph.op("Abs", odd))

    def each(self, scores: str) -> str:
        """Scores of all frames."""
        g = self.graph
        return g.part(g.op("Concat", scores, g.op("Neg", scores), axis=0), g.integers(0), self.count, 0)


class _Pair:
    """The same for two frames that are encoded one by one."""

    times = 2

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def common(self, seen: tuple[str, str]) -> str:
        return self.graph.op("Add", *seen)

    def apart(self, seen: tuple[str, str]) -> str:
        return self.graph.op("Sub", *seen)

    def magnitude(self, odd: str) -> str:
        return self.graph.op("Abs", odd)
