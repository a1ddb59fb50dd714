"""Takes the splitting of heads into the attention operator, which needs no transposed copies for it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import NodeProto, helper, numpy_helper

SWAP_HEADS_AND_TOKENS = [0, 2, 1, 3]


def merge_heads(model: onnx.ModelProto) -> None:
    """Rewrites `Reshape, Transpose, Attention, Transpose, Reshape` to `Attention`, in place; leaves other forms."""
    neighbours = _Neighbours(model.graph)
    for node in model.graph.node:
        if node.op_type == "Attention":
            _merge(node, neighbours)
    _remove_unread(model.graph)


class _Neighbours:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._makers = {output: node for node in graph.node for output in node.output}
        self._readers: dict[str, list[NodeProto]] = {output.name: [] for output in graph.output}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def split_before(self, name: str) -> tuple[str, int] | None:
        """Of a tensor (batch, heads, tokens, size): the one that it was split from, and the number of heads."""
        transpose = self._makers.get(name)
        reshape = self._makers.get(transpose.input[0]) if transpose and _swaps(transpose) else None
        if reshape is None or reshape.op_type != "Reshape" or reshape.input[1] not in self._constants:
            return None
        shape = numpy_helper.to_array(self._constants[reshape.input[1]]).tolist()
        return (reshape.input[0], shape[2]) if len(shape) == 4 and shape[2] > 0 else None

    def join_after(self, name: str) -> NodeProto | None:
        """The node that makes (batch, tokens, heads * size) of the tensor, where nothing else reads it."""
        transpose = self._only_reader(name)
        reshape = self._only_reader(transpose.output[0]) if transpose and _swaps(transpose) else None
        if reshape is None or reshape.op_type != "Reshape" or reshape.input[1] not in self._constants:
            return None
        return reshape if list(self._constants[reshape.input[1]].dims) == [3] else None

    def _only_reader(self, name: str) -> NodeProto | None:
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 else None


def _merge(node: NodeProto, neighbours: _Neighbours) -> None:
    splits = [split for name in node.input[:3] if (split := neighbours.split_before(name))]
    join = neighbours.join_after(node.output[0])
    if join is None or len(splits) < 3:
        return
    heads = {"q_num_heads": splits[0][1], "kv_num_heads": splits[1][1]}
    node.input[:3] = [name for name, _ in splits]
    node.output[0], join.output[0] = join.output[0], f"{join.output[0]}_unread"
    node.attribute.extend(helper.make_attribute(name, count) for name, count in heads.items())


def _swaps(node: NodeProto) -> bool:
    return node.op_type == "Transpose" and list(node.attribute[0].ints) == SWAP_HEADS_AND_TOKENS


def _remove_unread(graph: onnx.GraphProto) -> None:
    read = {output.name for output in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            kept.append(node)
            read.update(node.input)
    _set_nodes(graph, reversed(kept))


def _set_nodes(graph: onnx.GraphProto, nodes: Iterable[NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
