"""A network's folder, opened by a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from zoo.backends.graph_runner import GraphRunner
from zoo.backends.session import check_precision, opened
from zoo.stacks.fuses import Fuses
from zoo.store.files import CONFIG, TRAINING, WEIGHTS, config_in, damaged, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from zoo.backends.session import Runtime
    from zoo.networks import Config


class GraphModel(GraphRunner, Fuses):
    """A network that a runtime runs; it fuses as `zoo.FusionModel` does, without torch."""


def load_graph(
    folder: Path, hashes: Mapping[str, str], runtime: Runtime, precision: str = "fp32"
) -> GraphModel:
    """The network in a folder; the runtime and onnx must be installed.

    Raises:
        OptionsError: If the runtime does not compute in the precision.
        MissingFileError, DamagedError, ConfigError, WeightsError: As for `zoo.store.folder.load_folder`.
    """
    from zoo.graphs.graph import graph_of, pair_graph_of

    check_precision(runtime, precision)
    config, weights = contents(folder, hashes)
    graph = graph_of(config, weights).SerializeToString()  # now, so that weights that do not fit are told
    if not config.sets:
        return GraphModel(config, runtime, precision, lambda: opened(runtime, graph, precision))
    pair = pair_graph_of(config, weights).SerializeToString()
    return GraphModel(
        config,
        runtime,
        precision,
        lambda: opened(runtime, graph, precision),
        lambda: opened(runtime, pair, precision),
    )


def contents(folder: Path, hashes: Mapping[str, str]) -> tuple[Config, dict[str, NDArray[Any]]]:
    """The config and the tensors in a network's folder.

    Raises:
        MissingFileError, DamagedError, ConfigError: As for `zoo.store.folder.load_folder`.
    """
    read = {name: read_file(folder, name, hashes) for name in (CONFIG, TRAINING, WEIGHTS)}
    files = {name: data for name, data in read.items() if data is not None}
    try:
        return config_in(folder, files), load_tensors(files[WEIGHTS])
    except SafetensorError as error:
        raise damaged(folder / WEIGHTS, str(error)) from error
