"""A network's graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.graphs.builder import Graph
from zoo.graphs.focus_set import focus_pair, focus_set
from zoo.graphs.odd import odd
from zoo.graphs.siamese import siamese
from zoo.graphs.unet import unet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto

    from zoo.graphs.builder import Precision, Weights
    from zoo.networks import Config

WRITERS = {"unet": unet, "odd": odd, "focus-set": focus_set, "siamese": siamese}
"""What writes the graph of each architecture in `zoo.networks.table.ARCHITECTURES`."""


def graph_of(
    config: Config,
    weights: Weights,
    *,
    precision: Precision = "fp32",
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """A network as an ONNX model; height, width, and the number of frames or pairs are free.

    Args:
        config: The network's.
        weights: Its tensors, by the names in model.safetensors.
        precision: What weights are kept in.
        metadata: Texts that are kept in the model.

    Raises:
        WeightsError: If a tensor is missing.
    """
    graph = Graph(weights, precision)
    WRITERS[config.architecture](graph, config)
    return graph.model(metadata or {})


def pair_graph_of(config: Config, weights: Weights) -> ModelProto:
    """A network for sets as an ONNX model that takes two frames only; see `zoo.graphs.focus_set.focus_pair`.

    Raises:
        WeightsError: If a tensor is missing.
    """
    graph = Graph(weights)
    focus_pair(graph, config)
    return graph.model({})
