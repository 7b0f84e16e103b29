"""Operations of a graph, and those of them that TensorFlow Serving does not have."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

# Operations of TensorFlow's Python package that call Python, which a server does not have.
PYTHON_OPERATIONS = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))


def operations(model: saved_model_pb2.SavedModel) -> set[str]:
    """Return the names of the operations in the graphs and in their functions, without calls of these functions."""
    used, functions = set(), set()
    for graph in (meta_graph.graph_def for meta_graph in model.meta_graphs):
        used |= {node.op for node in graph.node}
        functions |= {function.signature.name for function in graph.library.function}
        used |= {node.op for function in graph.library.function for node in function.node_def}
    return used - functions


def foreign_operations(used: set[str]) -> list[str]:
    """Return those that are not TensorFlow's own, or that call Python, sorted."""
    return sorted((used - set(dir(tf.raw_ops))) | (used & PYTHON_OPERATIONS))
