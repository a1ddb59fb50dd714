"""Rewrites an exported transformer to int8. Of use to any model, whatever it is for.

Outliers sit in a few channels of the activations. Each channel is therefore divided by a power of the largest value it
takes in the samples, and the weights multiplied by it: Xiao et al., SmoothQuant, ICML 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from embeddings.encoders.attention import merge_heads

MICROSOFT = "com.microsoft"
SMOOTHING_EXPONENT = 0.25
SMALLEST_VALUE = 1e-3
"""A channel is not taken for quieter than this."""
SMALLEST_TABLE = 1 << 20
"""Elements; smaller embedding tables stay as they are, if nothing else is said."""


def quantize(
    model: onnx.ModelProto,
    samples: Sequence[Mapping[str, NDArray[np.int64]]],
    *,
    smallest_table: int = SMALLEST_TABLE,
) -> onnx.ModelProto:
    """Weights to int8 per output channel, embedding tables to int8 per row, activations to uint8 at each run.

    An activation has one scale, found anew at each run: where several texts run together, their results depend on
    each other. `samples` are inputs of the model, `smallest_table` the elements of the smallest table to quantize.
    """
    merge_heads(model)
    graph = _Graph(model)
    matmuls = graph.matmuls_by_input()
    largest = _largest_values(model, matmuls, samples)
    for name, nodes in matmuls.items():
        graph.quantize_matmuls(nodes, smoothing=_smoothing(largest[name]))
    for node in model.graph.node:
        if node.op_type == "Gather" and graph.is_matrix(node.input[0], least_elements=smallest_table):
            graph.quantize_table(node)
    return graph.finished()


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._replacements: dict[str, list[NodeProto]] = {}
        """By the output of the node that they stand for."""

    def is_matrix(self, name: str, *, least_elements: int = 1) -> bool:
        constant = self._constants.get(name)
        return constant is not None and constant.ndim == 2 and constant.size >= least_elements

    def matmuls_by_input(self) -> dict[str, list[NodeProto]]:
        """Those with constant weights; such as read the same tensor can run as one."""
        matmuls: dict[str, list[NodeProto]] = {}
        for node in self._model.graph.node:
            if node.op_type == "MatMul" and self.is_matrix(node.input[1]):
                matmuls.setdefault(node.input[0], []).append(node)
        return matmuls

    def quantize_matmuls(self, nodes: list[NodeProto], *, smoothing: NDArray[np.float32]) -> None:
        weights = [self._constants[node.input[1]] for node in nodes]
        biases, outputs = zip(*(self._bias_and_output(node) for node in nodes), strict=True)
        quantized, scale = _to_int8((np.concatenate(weights, axis=1) / smoothing[:, None]).astype(np.float32), axis=0)
        first = nodes[0]
        prefix = first.output[0]
        constants = {"smoothing": smoothing, "weight": quantized, "scale": scale[0], "bias": np.concatenate(biases)}
        names = {part: self._add(f"{prefix}_{part}", constant) for part, constant in constants.items()}
        smooth, product = f"{prefix}_smooth", f"{prefix}_all" if len(nodes) > 1 else outputs[0]
        arguments = [smooth, names["weight"], names["scale"], "", names["bias"]]
        self._replace(nodes, by=[])
        self._replacements[first.output[0]] = [
            helper.make_node("Mul", [first.input[0], names["smoothing"]], [smooth]),
            helper.make_node("DynamicQuantizeMatMul", arguments, [product], domain=MICROSOFT),
        ]
        if len(nodes) > 1:
            widths = self._add(f"{prefix}_widths", np.array([weight.shape[1] for weight in weights], np.int64))
            split = helper.make_node("Split", [product, widths], list(outputs), axis=-1)
            self._replacements[first.output[0]].append(split)

    def quantize_table(self, node: NodeProto) -> None:
        """The rows that a text needs are widened again as they are read."""
        rows, scale = _to_int8(self._constants[node.input[0]], axis=1)
        output = node.output[0]
        table, scales = self._add(f"{output}_table", rows), self._add(f"{output}_scale", scale)
        chosen, widened, chosen_scales = (f"{output}_{part}" for part in ("chosen", "widened", "chosen_scales"))
        self._replacements[output] = [
            helper.make_node("Gather", [table, node.input[1]], [chosen]),
            helper.make_node("Cast", [chosen], [widened], to=onnx.TensorProto.FLOAT),
            helper.make_node("Gather", [scales, node.input[1]], [chosen_scales]),
            helper.make_node("Mul", [widened, chosen_scales], [output]),
        ]

    def finished(self) -> onnx.ModelProto:
        """A model of what is still used, without the exporter's notes (they name paths)."""
        graph = self._model.graph
        nodes = [new for node in graph.node for new in self._replacements.get(node.output[0], [node])]
        for node in nodes:
            del node.metadata_props[:]
        used = {name for node in nodes for name in node.input}
        constants = [numpy_helper.from_array(array, name) for name, array in self._constants.items() if name in used]
        return helper.make_model(
            helper.make_graph(nodes, "transformer", graph.input, graph.output, constants),
            opset_imports=[*self._model.opset_import, helper.make_opsetid(MICROSOFT, 1)],
            ir_version=self._model.ir_version,
        )

    def _bias_and_output(self, node: NodeProto) -> tuple[NDArray[np.float32], str]:
        """The constant vector that alone is added to the node's output, and where the sum goes."""
        output = node.output[0]
        consumers = self._consumers.get(output, [])
        if len(consumers) == 1 and consumers[0].op_type == "Add":
            bias = self._constants.get(next(name for name in consumers[0].input if name != output))
            if bias is not None and bias.ndim == 1:
                self._replace(consumers, by=[])
                return bias, consumers[0].output[0]
        return np.zeros(self._constants[node.input[1]].shape[1], np.float32), output

    def _replace(self, nodes: Iterable[NodeProto], *, by: list[NodeProto]) -> None:
        self._replacements.update((node.output[0], by) for node in nodes)

    def _add(self, name: str, constant: NDArray[np.generic]) -> str:
        self._constants[name] = constant
        return name


def _largest_values(
    model: onnx.ModelProto, names: Iterable[str], samples: Sequence[Mapping[str, NDArray[np.int64]]]
) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude in each channel (last axis) of the tensors named."""
    names = list(names)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    largest: dict[str, NDArray[np.float32]] = {}
    for sample in samples:
        for name, values in zip(names, session.run(names, dict(sample)), strict=True):
            magnitude = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest.get(name, 0), magnitude)
    return largest


def _smoothing(largest: NDArray[np.float32]) -> NDArray[np.float32]:
    return (largest.clip(min=SMALLEST_VALUE) ** -SMOOTHING_EXPONENT).astype(np.float32)


def _to_int8(matrix: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric, with one scale for each line along `axis`."""
    scale = np.abs(matrix).max(axis=axis, keepdims=True).clip(min=1e-12) / 127
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)
