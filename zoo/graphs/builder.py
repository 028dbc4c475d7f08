"""What writes an ONNX graph, operation by operation; a value in it is known by its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from onnx import TensorProto, helper, numpy_helper, shape_inference

from zoo.errors import WeightsError
from zoo.networks.shapes import MIN_SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, ValueInfoProto

    Weights = Mapping[str, NDArray[Any]]
    """A network's tensors, by the names that model.safetensors has for them."""

Precision = Literal["fp32", "fp16", "int8"]
"""What weights are kept in; arithmetic is in float32 all the same."""

OPSET = 23
"""Version of the operations: the newest that onnxruntime and OpenVINO both read."""

IR_VERSION = 11
"""Version of the file format that goes with it."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph that grows.

    Args:
        weights: What `conv` and `upward` find their weights in.
        precision: What weights are kept in. `int8` is 255 steps for each first channel of a kernel; biases
            stay in float32.
    """

    weights: Weights
    precision: Precision = "fp32"
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    inputs: list[ValueInfoProto] = field(default_factory=list)
    outputs: list[ValueInfoProto] = field(default_factory=list)

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """A float32 input; sides that differ from call to call have names."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give a value out, float32, under a name of its own."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def op(self, kind: str, *values: str, **attributes: Any) -> str:
        """An operation of ONNX with one result."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [*values], [name], name=name, **attributes))
        return name

    def integers(self, *values: int) -> str:
        """A vector of int64."""
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def integer(self, value: int) -> str:
        """An int64 without a dimension."""
        return self.constant(f"int_{value}", np.array(value, np.int64))

    def number(self, value: float) -> str:
        """A float32."""
        return self.constant(f"number_{value}", np.array(value, np.float32))

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """Weights under a name, float32 wherever they are used."""
        if self.precision == "fp16":
            kept = self.constant(name, values.astype(np.float16))
            return self.op("Cast", kept, to=TensorProto.FLOAT)
        if self.precision == "int8" and values.ndim == 4:
            return self._in_steps(name, values)
        return self.constant(name, values.astype(np.float32))

    def _in_steps(self, name: str, kernel: NDArray[Any]) -> str:
        """A kernel in int8, and in float32 how large a step is in each of its first channels."""
        largest = np.abs(kernel).max(axis=(1, 2, 3))
        steps = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        kept = self.constant(name, np.round(kernel / steps[:, None, None, None]).astype(np.int8))
        return self.op("DequantizeLinear", kept, self.constant(f"{name}.steps", steps), axis=0)

    def weight(self, name: str, channels: int | None = None) -> NDArray[Any]:
        """The network's tensor with a name.

        Args:
            name: Its name.
            channels: The number of those that it must take, if the graph needs to know.

        Raises:
            WeightsError: If there is none, or it takes others.
        """
        if name not in self.weights:
            raise _unfitting(f"there is no {name}")
        tensor = self.weights[name]
        if channels is not None and tensor.shape[1:2] != (channels,):
            raise _unfitting(f"{name} has the shape {tensor.shape}")
        return tensor

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Values under a name, which stands for them from then on."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    # --- layers

    def conv(
        self,
        x: str,
        name: str,
        *,
        padding: int = 0,
        stride: int = 1,
        bias: bool = True,
        kernel: NDArray[Any] | None = None,
        part: str = "",
    ) -> str:
        """A convolution with the weights of the layer with a name, or with a kernel made of them.

        Several kernels that are made of one have names for their parts.
        """
        kernel = self.weight(f"{name}.weight") if kernel is None else kernel
        values = [self.tensor(f"{name}.weight{part and f'.{part}'}", kernel)]
        if bias:
            values.append(self.tensor(f"{name}.bias", self.weight(f"{name}.bias")))
        return self.op(
            "Conv", x, *values,
            kernel_shape=kernel.shape[2:], pads=[padding] * 4, strides=[stride] * 2,
        )  # fmt: skip

    def convs(self, x: str, name: str, padding: int) -> str:
        """Two 3 x 3 convolutions, a rectifier after each; see `zoo.networks.layers.convs`."""
        for place in (0, 2):
            x = self.op("Relu", self.conv(x, f"{name}.{place}", padding=padding))
        return x

    def halved(self, x: str) -> str:
        """The largest of each 2 x 2 block."""
        return self.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def upward(self, x: str, name: str, bilinear: bool, bias: bool = True) -> str:
        """Twice the resolution; see `zoo.networks.layers.up_sample`."""
        if bilinear:
            return self.doubled(self.conv(x, f"{name}.0", bias=bias))
        values = [self.tensor(f"{name}.weight", self.weight(f"{name}.weight"))]
        if bias:
            values.append(self.tensor(f"{name}.bias", self.weight(f"{name}.bias")))
        return self.op("ConvTranspose", x, *values, kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, x: str) -> str:
        """Twice the resolution, interpolated."""
        scales = self.constant("twice", np.array([1, 1, 2, 2], np.float32))
        return self.op("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    # --- sizes

    def sides(self, x: str) -> str:
        """Height and width, a vector of two."""
        return self.op("Shape", x, start=2)

    def part(self, x: str, start: str, stop: str, *axes: int) -> str:
        """From start to stop, vectors of as many numbers as there are axes."""
        return self.op("Slice", x, start, stop, self.integers(*axes))

    def top_left(self, x: str, sides: str) -> str:
        """As much as a picture with these sides has."""
        return self.part(x, self.integers(0, 0), sides, 2, 3)

    def whole(self, x: str, side: int) -> str:
        """Extended below and on the right to multiples of a side, by mirroring at the border pixels."""
        more = self.op("Mod", self.op("Neg", self.sides(x)), self.integers(side, side))
        if side > MIN_SIDE:
            return self.extended(x, 0, more)
        nothing = self.integers(0, 0, 0, 0, 0, 0)
        return self.op("Pad", x, self.op("Concat", nothing, more, axis=0), mode="reflect")  # faster

    def extended(self, x: str, before: int, after: str) -> str:
        """Extended by mirroring at the border pixels, even by more than the picture's own size.

        Args:
            x: N x C x H x W.
            before: Pixels above and on the left.
            after: Pixels below and on the right, a vector of two.
        """
        sides = self.sides(x)
        for axis in (2, 3):
            here = (self.integers(axis - 2), self.integers(axis - 1), self.integers(0))
            length, more = self.op("Slice", sides, *here), self.op("Slice", after, *here)
            x = self.op("Gather", x, self._mirrored(length, before, more), axis=axis)
        return x

    def _mirrored(self, length: str, before: int, after: str) -> str:
        """For each pixel of the extended side, the index of the pixel that it mirrors."""
        length, after = self.op("Squeeze", length), self.op("Squeeze", after)
        places = self.op("Range", self.integer(-before), self.op("Add", length, after), self.integer(1))
        twice = self.op("Mul", self.op("Sub", length, self.integer(1)), self.integer(2))
        period = self.op("Max", twice, self.integer(1))
        places = self.op("Mod", places, period)
        return self.op("Min", places, self.op("Sub", period, places))

    def model(self, metadata: Mapping[str, str]) -> ModelProto:
        """The graph as a model, with metadata.

        Raises:
            WeightsError: If weights are left over, or shapes do not fit.
        """
        if left := self.weights.keys() - self.constants.keys():
            raise _unfitting(f"it has no {min(left)}")
        graph = helper.make_graph(
            self.nodes, "mfsynth", self.inputs, self.outputs, [*self.constants.values()]
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="mfsynth"
        )
        model.ir_version = IR_VERSION
        helper.set_model_props(model, dict(metadata))
        _check_shapes(model)
        return model


def _check_shapes(model: ModelProto) -> None:
    """Check that every operation can take what it is given.

    Raises:
        WeightsError: If not.
    """
    try:
        graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    except shape_inference.InferenceError as error:
        raise _unfitting(str(error).partition("\n")[0]) from error
    known = {each.name: each.type.tensor_type.shape.dim for each in (*graph.input, *graph.value_info)}
    shapes = {name: [side.dim_value for side in sides] for name, sides in known.items()}
    shapes |= {each.name: [*each.dims] for each in graph.initializer}
    for node in graph.node:  # onnx itself does not compare these
        if node.op_type in ("Conv", "ConvTranspose"):
            x, kernel = (shapes[name] for name in node.input[:2])
            channels = x[1] if len(x) > 1 else 0
            if channels not in (0, kernel[node.op_type == "Conv"]):  # 0 is not known
                raise _unfitting(f"{node.input[1]}, {tuple(kernel)}, is given {channels} channels")


def _unfitting(reason: str) -> WeightsError:
    return WeightsError(f"the weights do not fit the network in its config: {reason}", "fetch both again")
