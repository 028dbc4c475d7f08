"""Graphs say what torch's networks say, at any size and for any number of frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.errors import WeightsError
from zoo.networks import Config, Network
from zoo.networks.table import ARCHITECTURES

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from zoo.graphs.graph import WRITERS, graph_of, pair_graph_of  # noqa: E402 - needs onnx

CONFIGS = {
    "unet": Config(task="seg", width=4, depth=2),
    "valid": Config(task="seg", width=3, depth=3, padding="valid"),
    "residual": Config(task="reg", width=4, depth=2, upsampling="bilinear", residual=True),
    "odd": Config(task="seg", architecture="odd", width=4, depth=2),
    "odd-reg": Config(task="reg", architecture="odd", width=3, depth=2, upsampling="bilinear"),
    "siamese": Config(task="seg", architecture="siamese", width=4, depth=1, upsampling="bilinear"),
    "focus-set": Config(task="seg", architecture="focus-set", width=4, depth=2, upsampling="bilinear"),
    "deep": Config(task="seg", architecture="focus-set", width=2, depth=5, upsampling="bilinear"),
}


def network(config: Config) -> Network:
    torch.manual_seed(2)
    made = Network(config).eval()
    with torch.no_grad():
        for weights in made.parameters():
            weights += 0.05 * torch.randn_like(weights)  # biases, too
    return made


def weights_of(made: Network) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in made.state_dict().items()}


def session(made: Network):
    return opened(graph_of(made.config, weights_of(made)))


def opened(graph):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options)


def frames(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).random((count, 3, height, width), np.float32)


def said(made: Network, seen: np.ndarray) -> np.ndarray:
    tensors = [torch.from_numpy(each[None]) for each in seen]
    with torch.inference_mode():
        if made.config.sets:
            return torch.cat(made.scores(tensors))[:, 0].numpy()
        return made(*tensors).numpy()


def by_graph(made: Network, graph, seen: np.ndarray) -> np.ndarray:
    given = {"frames": seen} if made.config.sets else {"a": seen[:1], "b": seen[1:]}
    return graph.run(None, given)[0]


def test_every_architecture_has_a_graph() -> None:
    assert WRITERS.keys() == ARCHITECTURES.keys()
    assert {config.architecture for config in CONFIGS.values()} == WRITERS.keys()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_graph_says_what_the_network_says(name) -> None:
    made = network(CONFIGS[name])
    graph = session(made)
    for height, width in ((16, 23), (48, 32), (37, 61)):
        for count in (2, 3, 5) if made.config.sets else (2,):
            seen = frames(count, height, width)
            expected = said(made, seen)
            np.testing.assert_allclose(
                by_graph(made, graph, seen), expected, atol=2e-5 * np.abs(expected).max()
            )


def test_swapping_a_pair_swaps_its_scores_bit_for_bit() -> None:
    made = network(CONFIGS["focus-set"])
    graph, seen = session(made), frames(2, 37, 61)
    one, other = by_graph(made, graph, seen), by_graph(made, graph, seen[::-1].copy())
    np.testing.assert_array_equal(one, other[::-1])
    np.testing.assert_array_equal(one[0], -one[1])


def test_the_graph_for_pairs_says_the_same() -> None:
    made = network(CONFIGS["focus-set"])
    graph, seen = opened(pair_graph_of(made.config, weights_of(made))), frames(2, 40, 64)
    a, b = np.split(seen, 2)
    one, other = graph.run(None, {"a": a, "b": b})[0][0], graph.run(None, {"a": b, "b": a})[0][0]
    np.testing.assert_array_equal(one, -other)
    np.testing.assert_allclose(one, said(made, seen)[:1], atol=2e-5 * np.abs(one).max())


@pytest.mark.parametrize(("precision", "size", "error"), [("fp16", 0.6, 5e-3), ("int8", 0.4, 5e-2)])
@pytest.mark.parametrize("name", ["focus-set", "unet"])
def test_smaller_weights_say_nearly_the_same(name, precision, size, error) -> None:
    made = network(CONFIGS[name])
    whole, small = (graph_of(made.config, weights_of(made), precision=each) for each in ("fp32", precision))
    kept = [sum(len(each.raw_data) for each in graph.graph.initializer) for graph in (whole, small)]
    assert kept[1] < size * kept[0]
    seen = frames(3 if made.config.sets else 2, 37, 61)
    expected = said(made, seen)
    np.testing.assert_allclose(
        by_graph(made, opened(small), seen), expected, atol=error * np.abs(expected).max()
    )


def test_kernels_in_int8_are_at_most_half_a_step_from_what_they_were() -> None:
    made = network(CONFIGS["unet"])
    graph = graph_of(made.config, weights_of(made), precision="int8")
    kept = {each.name: onnx.numpy_helper.to_array(each) for each in graph.graph.initializer}
    kernels = {name: value for name, value in weights_of(made).items() if value.ndim == 4}
    assert kernels
    for name, kernel in kernels.items():
        steps = kept[f"{name}.steps"].reshape(-1, 1, 1, 1)
        assert kept[name].dtype == np.int8
        assert (np.abs(kept[name] * steps - kernel) <= 0.501 * steps).all()


def test_weights_that_do_not_fit_are_refused() -> None:
    config, weights = CONFIGS["focus-set"], weights_of(network(CONFIGS["focus-set"]))
    with pytest.raises(WeightsError, match=r"do not fit .* there is no body\.down\.0\.0\.weight"):
        graph_of(config, {})
    with pytest.raises(WeightsError, match=r"do not fit .* it has no more"):
        graph_of(config, weights | {"more": np.zeros(3, np.float32)})
    name = "body.down.1.2.weight"
    with pytest.raises(WeightsError, match="do not fit"):
        graph_of(config, weights | {name: weights[name][:, :-1]})
