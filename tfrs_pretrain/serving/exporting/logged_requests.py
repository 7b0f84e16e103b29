"""Reads golden requests back from their logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfrs_pretrain.serving.exporting.golden_requests import GoldenRequest
from tfrs_pretrain.serving.protocol.signature_names import CLASSIFY, REGRESS, SERIALIZED_EXAMPLES
from tfrs_pretrain.serving.protocol.tensor_protos import from_proto
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs


def read_logged_requests(path: Path) -> list[GoldenRequest]:
    """Reads the requests and answers that an export logged.

    Raises:
      UserError: the file is damaged.
    """
    return [_READERS[log.WhichOneof("log_type")](log) for log in read_prediction_logs(path)]


def _predict(log: PredictionLog) -> GoldenRequest:
    request, outputs = log.predict_log.request, log.predict_log.response.outputs
    return _golden(request.model_spec.signature_name, _arrays(request.inputs), _arrays(outputs))


def _classify(log: PredictionLog) -> GoldenRequest:
    results = [result.classes for result in log.classify_log.response.result.classifications]
    outputs = {"classes": np.array([[each.label for each in classes] for classes in results], object),
               "scores": np.array([[each.score for each in classes] for classes in results], np.float32)}
    return _golden(CLASSIFY, _examples(log.classify_log.request), outputs)


def _regress(log: PredictionLog) -> GoldenRequest:
    values = [result.value for result in log.regress_log.response.result.regressions]
    return _golden(REGRESS, _examples(log.regress_log.request), {"outputs": np.array(values, np.float32)})


_READERS = {"predict_log": _predict, "classify_log": _classify, "regress_log": _regress}


def _golden(signature: str, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> GoldenRequest:
    num_rows = len(next(iter(outputs.values())))
    return GoldenRequest(signature, inputs, outputs, [f"golden row {row}" for row in range(num_rows)])


def _examples(message: Any) -> dict[str, np.ndarray]:
    examples = [example.SerializeToString(deterministic=True) for example in message.input.example_list.examples]
    return {SERIALIZED_EXAMPLES: np.array(examples, object)}


def _arrays(tensors: Any) -> dict[str, np.ndarray]:
    """Arrays by name; strings are str, except serialized messages."""
    arrays = {name: from_proto(tensor) for name, tensor in tensors.items()}
    return {name: _decoded(values) if values.dtype == object and name != SERIALIZED_EXAMPLES else values
            for name, values in arrays.items()}


def _decoded(values: np.ndarray) -> np.ndarray:
    return np.array([value.decode() for value in values.flat], object).reshape(values.shape)
