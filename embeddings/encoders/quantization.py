"""Rewrites an exported transformer to int8. Of use to any model, whatever it is for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
SMALLEST_TABLE = 1 << 20
"""Elements; smaller embedding tables stay as they are."""


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights to int8 per output channel, embedding tables to int8 per row, activations to uint8 at each run.

    The scale of an activation is that of the whole tensor, so inputs must be run one at a time.
    """
    graph = _Graph(model)
    for node in list(model.graph.node):
        if node.op_type == "MatMul" and graph.is_matrix(node.input[1]):
            graph.quantize_matmul(node)
        elif node.op_type == "Gather" and graph.is_matrix(node.input[0], least_elements=SMALLEST_TABLE):
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
        self._quantized_inputs: dict[str, list[str]] = {}

    def is_matrix(self, name: str, *, least_elements: int = 1) -> bool:
        constant = self._constants.get(name)
        return constant is not None and constant.ndim == 2 and constant.size >= least_elements

    def quantize_matmul(self, node: NodeProto) -> None:
        weight, scale = _to_int8(self._constants[node.input[1]], axis=0)
        bias, output = self._following_bias(node)
        names = [self._add(node, "weight", weight), self._add(node, "scale", scale[0])]
        self._replacements[node.output[0]] = [
            helper.make_node(
                "DynamicQuantizeMatMul", [node.input[0], *names, "", bias], [output], domain=MICROSOFT, name=node.name
            )
        ]

    def quantize_table(self, node: NodeProto) -> None:
        """The rows that a text needs are widened again as they are read."""
        rows, scale = _to_int8(self._constants[node.input[0]], axis=1)
        table, scales = self._add(node, "rows", rows), self._add(node, "scale", scale)
        chosen, widened, chosen_scales = (f"{node.output[0]}_{part}" for part in ("chosen_rows", "widened_rows", "chosen_scales"))
        self._replacements[node.output[0]] = [
            helper.make_node("Gather", [table, node.input[1]], [chosen]),
            helper.make_node("Cast", [chosen], [widened], to=onnx.TensorProto.FLOAT),
            helper.make_node("Gather", [scales, node.input[1]], [chosen_scales]),
            helper.make_node("Mul", [widened, chosen_scales], [node.output[0]]),
        ]

    def finished(self) -> onnx.ModelProto:
        graph = self._model.graph
        nodes = [new for node in graph.node for new in self._replacements.get(node.output[0], [node])]
        used = Counter(name for node in nodes for name in node.input)
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        for node in nodes:
            del node.metadata_props[:]
        graph.node.extend(nodes)
        graph.initializer.extend(
            numpy_helper.from_array(constant, name) for name, constant in self._constants.items() if used[name]
        )
        self._model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        return self._model

    def _following_bias(self, node: NodeProto) -> tuple[str, str]:
        """The constant that alone is added to the node's output, and where the sum goes; or "" and the output."""
        consumers = self._consumers.get(node.output[0], [])
        if len(consumers) == 1 and consumers[0].op_type == "Add":
            bias = next(name for name in consumers[0].input if name != node.output[0])
            if bias in self._constants and self._constants[bias].ndim == 1:
                self._replacements[consumers[0].output[0]] = []
                return bias, consumers[0].output[0]
        return "", node.output[0]

    def _add(self, node: NodeProto, part: str, constant: NDArray[np.generic]) -> str:
        name = f"{node.output[0]}_{part}"
        self._constants[name] = constant
        return name


def _to_int8(matrix: NDArray[np.float32], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric, with one scale for each line along `axis`."""
    scale = np.abs(matrix).max(axis=axis, keepdims=True).clip(min=1e-12) / 127
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)
