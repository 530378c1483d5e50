"""Which signatures of a model can be batched, as far as the graph can tell.

A signature can, if dimension 0 of every input and output is unknown and no op it depends on changes state. An output
that mixes examples (batch statistics, say) cannot be detected: that is up to whoever enables batching.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tensorflow.python.framework import op_def_registry

# TensorFlow calls these stateful too, but they only read or call; and a random op has no order that a client could see.
HARMLESS = frozenset(
    {
        *("Assert", "Case", "If", "While", "StatefulPartitionedCall", "Placeholder", "Print", "PrintV2", "Timestamp"),
        *("VarHandleOp", "VariableV2", "ReadVariableOp", "ResourceGather", "ResourceGatherNd"),
        *("HashTable", "HashTableV2", "LookupTableFind", "LookupTableFindV2"),
        *("RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal", "RandomShuffle"),
        *("Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoissonV2"),
    }
)


class Tensors(NamedTuple):
    """The names of one signature's tensors."""

    inputs: frozenset[str]
    outputs: frozenset[str]


def tensors(signature: Any) -> Tensors:
    """The tensors of a SignatureDef."""
    inputs, outputs = (frozenset(info.name for info in side.values()) for side in (signature.inputs, signature.outputs))
    return Tensors(inputs, outputs)


def batchable(signatures: Mapping[str, Any], graph_def: Any | None) -> list[Tensors]:
    """The tensors of each signature that can be batched; without a graph, all ops are assumed to be stateless."""
    found = []
    for signature in signatures.values():
        names = tensors(signature)
        any_rows = all(_any_rows(info) for info in (*signature.inputs.values(), *signature.outputs.values()))
        harmless = graph_def is None or not changes_state(graph_def, names.outputs)
        if names.inputs and names.outputs and any_rows and harmless:
            found.append(names)
    return found


def changes_state(graph_def: Any, outputs: frozenset[str]) -> bool:
    """Whether these tensors depend on an op that changes state, or on an unknown op."""
    nodes = {node.name: node for node in graph_def.node}
    functions = {function.signature.name: function for function in graph_def.library.function}
    names, called = [_node_name(output) for output in outputs], list[str]()
    seen = set[str]()
    while names:
        if (name := names.pop()) in seen or name not in nodes:
            continue
        seen.add(name)
        if not _harmless(nodes[name].op, functions):
            return True
        names.extend(_node_name(source) for source in nodes[name].input)
        called.extend(_functions_of(nodes[name]))
    return _any_called_changes_state(called, functions)


def _any_called_changes_state(called: list[str], functions: Mapping[str, Any]) -> bool:
    """The same for functions: all nodes of a body count, as TensorFlow runs those with side effects unasked."""
    seen = set[str]()
    while called:
        if (name := called.pop()) in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if not _harmless(node.op, functions):
                return True
            called.extend(_functions_of(node))
    return False


def _harmless(op: str, functions: Mapping[str, Any]) -> bool:
    if op in HARMLESS or op in functions:
        return True
    definition = op_def_registry.get(op)
    return definition is not None and not definition.is_stateful


def _functions_of(node: Any) -> Iterator[str]:
    """The functions that a node calls: its op, where that is one, and those in its attributes."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _node_name(source: str) -> str:
    return source.lstrip("^").split(":")[0]


def _any_rows(info: Any) -> bool:
    shape = info.tensor_shape
    return not shape.unknown_rank and len(shape.dim) > 0 and shape.dim[0].size == -1
