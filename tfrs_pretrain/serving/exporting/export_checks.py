"""Checks that an exported model must pass before its version appears."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.protobuf import saved_model_pb2

from tfrs_pretrain.artifact_names import SAVED_MODEL_FILE
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.graph_operations import foreign_operations, operations
from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.exporting.memory import MemoryUse, memory_growth
from tfrs_pretrain.serving.exporting.report import SignatureCheck
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA, DELTA_VERSION
from tfrs_pretrain.serving.session import LoadedModel


@dataclasses.dataclass(frozen=True)
class AnswerCheck:
    """Result of sending golden requests to a loaded model.

    Attributes:
      signatures: comparison with the trained model, by signature.
      memory: memory used to load the model and to answer.
    """

    signatures: dict[str, SignatureCheck]
    memory: MemoryUse


def check_answers(model: Path, requests: Sequence[GoldenRequest], tolerance: float, *, every_signature: bool = True
                  ) -> AnswerCheck:
    """Loads a model as the server does, and sends golden requests to every signature.

    Args:
      model: folder of the SavedModel.
      requests: golden requests.
      tolerance: max absolute difference of an output.
      every_signature: each signature must have a golden request.

    Raises:
      UserError: the model does not load, a signature has no golden request or does not exist, or an answer differs.
    """
    with memory_growth() as memory, LoadedModel(model) as loaded:
        requested = {request.signature for request in requests}
        expected = set(loaded.signatures) - {APPLY_DELTA, DELTA_VERSION}
        if requested - expected or (every_signature and requested != expected):
            raise UserError(f"exported model {str(model)!r} has signatures {sorted(loaded.signatures)}, golden "
                            f"requests call {sorted(requested)}: export it again")
        checks = {name: SignatureCheck() for name in sorted(requested)}
        for request in requests:
            difference = check_answer(request, loaded.answer(request.signature, request.inputs), tolerance)
            checks[request.signature] = checks[request.signature].with_request(len(request.rows), difference)
    return AnswerCheck(checks, memory)


def check_answer(request: GoldenRequest, answer: Mapping[str, np.ndarray], tolerance: float) -> float:
    """Returns the largest absolute difference between served and trained values of any output.

    Raises:
      UserError: the difference exceeds the tolerance, or strings differ; the message names signature, output, row and
        both values.
    """
    return max(_check_output(name, request, answer[name], tolerance) for name in request.outputs)


def _check_output(name: str, request: GoldenRequest, served: np.ndarray, tolerance: float) -> float:
    expected = request.outputs[name]
    if served.shape != expected.shape:
        raise UserError(f"exported model, signature {request.signature!r}, output {name!r} has shape "
                        f"{list(served.shape)}, expected {list(expected.shape)}; nothing was exported")
    differences = _differences(expected, served)
    if not differences.size or differences.max() <= tolerance:
        return float(differences.max(initial=0.0))
    position = tuple(map(int, np.unravel_index(int(differences.argmax()), differences.shape)))
    raise UserError(
        f"exported model, signature {request.signature!r}, output {name!r}: {request.rows[position[0]]} "
        f"(row {position[0]}) is served as {_text(served[position])}, the trained ranker gives "
        f"{_text(expected[position])}; expected a difference of at most {tolerance:g}, nothing was exported: build "
        "dataset and ranker again, or raise export.tolerance if this is rounding")


def _differences(expected: np.ndarray, served: np.ndarray) -> np.ndarray:
    """Absolute differences; 1 where strings differ, infinite where a value is NaN."""
    if expected.dtype == object:
        return np.asarray(np.char.encode(expected.astype(str), "utf-8") != served.astype(bytes), np.float64)
    differences = np.abs(served.astype(np.float64) - expected)
    return np.where(np.isnan(differences), np.inf, differences)


def _text(value: Any) -> str:
    return f"{value:.7f}" if isinstance(value, np.floating) else repr(value)


def check_operations(model: Path) -> list[str]:
    """Checks that the graph of a SavedModel uses only TensorFlow's own operations, and none that calls Python.

    The operations are compared with ``tf.raw_ops``, which lists TensorFlow's own, not with the operations registered in
    this process, where other libraries may have added theirs. The check says nothing about kernels for a device; the
    golden requests show that the operations run on a CPU.

    Args:
      model: folder of the SavedModel.

    Returns:
      Names of the operations, sorted.

    Raises:
      UserError: the graph uses other operations, or operations that call Python.
    """
    used = operations(saved_model_pb2.SavedModel.FromString((model / SAVED_MODEL_FILE).read_bytes()))
    if foreign := foreign_operations(used):
        raise UserError(f"exported model uses {foreign}, which TensorFlow Serving does not have, nothing was exported: "
                        "use TensorFlow's own operations in the network")
    return sorted(used)
