"""What an exported model must pass before its version appears."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrs_pretrain.artifact_names import SAVED_MODEL_FILE
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.exporting.memory import MemoryUse, memory_growth
from tfrs_pretrain.serving.session import LoadedModel

# In TensorFlow's Python package only: a server has no Python to call.
PYTHON_OPERATIONS = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))


@dataclasses.dataclass(frozen=True)
class AnswerCheck:
    """What a loaded model answered.

    Attributes:
      signatures: name -> requests asked, rows answered, largest difference to the trained model.
      memory: of loading it and answering.
    """

    signatures: dict[str, dict[str, Any]]
    memory: MemoryUse


def check_answers(model: Path, requests: Sequence[GoldenRequest], tolerance: float) -> AnswerCheck:
    """Loads a model as the server does and asks every signature.

    Raises:
      UserError: it does not load, has other signatures than were asked, or an answer differs.
    """
    with memory_growth() as memory, LoadedModel(model) as loaded:
        asked = {request.signature for request in requests}
        if asked != set(loaded.signatures):
            raise UserError(f"exported model {str(model)!r} has signatures {sorted(loaded.signatures)}, golden "
                            f"requests ask {sorted(asked)}: export it again")
        found: dict[str, dict[str, Any]] = {
            name: {"requests": 0, "rows": 0, "largest_difference": 0.0} for name in sorted(asked)}
        for request in requests:
            largest = check_answer(request, loaded.answer(request.signature, request.inputs), tolerance)
            of = found[request.signature]
            of.update(requests=of["requests"] + 1, rows=of["rows"] + len(request.rows),
                      largest_difference=max(of["largest_difference"], largest))
    return AnswerCheck(found, memory)


def check_answer(request: GoldenRequest, answer: Mapping[str, np.ndarray], tolerance: float) -> float:
    """Largest difference between served and trained values of any output.

    Raises:
      UserError: it exceeds the tolerance, or texts differ; the message names signature, output, row and both values.
    """
    return max(_check_output(name, request, answer[name], tolerance) for name in request.outputs)


def _check_output(name: str, request: GoldenRequest, served: np.ndarray, tolerance: float) -> float:
    expected = request.outputs[name]
    if served.shape != expected.shape:
        raise UserError(f"exported model, signature {request.signature!r}, output {name!r} has shape "
                        f"{list(served.shape)}, expected {list(expected.shape)}; nothing was exported")
    if expected.dtype == object:
        differences = (np.char.encode(expected.astype(str), "utf-8") != served.astype(bytes)).astype(np.float64)
    else:
        differences = np.abs(served.astype(np.float64) - expected)
    # A score that is no number differs from everything.
    differences = np.where(np.isnan(differences), np.inf, differences)
    if not differences.size or differences.max() <= tolerance:
        return float(differences.max(initial=0.0))
    place = tuple(map(int, np.unravel_index(int(differences.argmax()), differences.shape)))
    raise UserError(
        f"exported model, signature {request.signature!r}, output {name!r}: {request.rows[place[0]]} (row {place[0]}) "
        f"is served as {_text(served[place])}, the trained ranker gives {_text(expected[place])}; expected a "
        f"difference of at most {tolerance:g}, nothing was exported: build dataset and ranker again, or raise "
        "export.tolerance if this is rounding")


def _text(value: Any) -> str:
    return f"{value:.7f}" if isinstance(value, np.floating) else repr(value)


def check_operations(model: Path) -> list[str]:
    """Names of the operations in the graph of a SavedModel, all of them TensorFlow's own.

    They are compared with what TensorFlow's Python package was generated with, ``tf.raw_ops``, and not with what is
    registered in this process, where a library may have loaded operations of its own. That says nothing of kernels
    for a device; that they run on a CPU is seen when the model answers.

    Raises:
      UserError: there are others, or operations that call Python.
    """
    saved = saved_model_pb2.SavedModel.FromString((model / SAVED_MODEL_FILE).read_bytes())
    used, functions = set(), set()
    for graph in (each.graph_def for each in saved.meta_graphs):
        used |= {node.op for node in graph.node}
        functions |= {function.signature.name for function in graph.library.function}
        used |= {node.op for function in graph.library.function for node in function.node_def}
    used -= functions
    foreign = sorted((used - set(dir(tf.raw_ops))) | (used & PYTHON_OPERATIONS))
    if foreign:
        raise UserError(f"exported model uses {foreign}, which TensorFlow Serving does not have, nothing was exported: "
                        "use TensorFlow's own operations in the network")
    return sorted(used)
