"""Golden requests of an exported version as typed requests with expected outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Classify, Client, Predict, Regress
from tfrs_pretrain.serving.protocol.messages import Example, PredictionLog
from tfrs_pretrain.serving.protocol.tensor_protos import from_proto
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs

Outputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class GoldenReplay:
    """A golden request.

    Attributes:
      signature: signature that it calls.
      send: sends the request and returns the outputs by name.
      outputs: expected outputs, name -> values [rows, ...].
    """

    signature: str
    send: Callable[[Client], Outputs]
    outputs: Outputs

    @property
    def num_rows(self) -> int:
        """Rows of the answer."""
        return len(next(iter(self.outputs.values())))


def read_golden_requests(path: Path) -> list[GoldenReplay]:
    """Reads all golden requests of a version.

    Args:
      path: TFRecord file of ``PredictionLog``s.

    Raises:
      UserError: the file does not exist or is damaged.
    """
    if not path.is_file():
        raise UserError(f"golden requests {str(path)!r} are missing: export the model again")
    return [_READERS[log.WhichOneof("log_type")](log) for log in read_prediction_logs(path)]


def _predict(log: PredictionLog) -> GoldenReplay:
    message, outputs = log.predict_log.request, log.predict_log.response.outputs
    request = Predict({name: from_proto(tensor) for name, tensor in message.inputs.items()},
                      message.model_spec.signature_name)
    return GoldenReplay(request.signature, lambda client: client.predict(request),
                        {name: from_proto(tensor) for name, tensor in outputs.items()})


def _classify(log: PredictionLog) -> GoldenReplay:
    message = log.classify_log.request
    request = Classify(_features(message.input.example_list.examples), message.model_spec.signature_name)
    expected = [[(item.label, item.score) for item in example.classes]
                for example in log.classify_log.response.result.classifications]
    return GoldenReplay(request.signature, lambda client: _class_outputs(client.classify(request)),
                        _class_outputs(expected))


def _regress(log: PredictionLog) -> GoldenReplay:
    message = log.regress_log.request
    request = Regress(_features(message.input.example_list.examples), message.model_spec.signature_name)
    expected = [regression.value for regression in log.regress_log.response.result.regressions]
    return GoldenReplay(request.signature, lambda client: {"outputs": client.regress(request)},
                        {"outputs": np.array(expected, np.float32)})


_READERS: dict[str, Callable[[PredictionLog], GoldenReplay]] = {
    "predict_log": _predict, "classify_log": _classify, "regress_log": _regress}


def _class_outputs(examples: list[list[tuple[str, float]]]) -> Outputs:
    return {"classes": np.array([[label for label, _ in classes] for classes in examples], object),
            "scores": np.array([[score for _, score in classes] for classes in examples], np.float32)}


def _features(examples: Iterable[Example]) -> list[dict[str, Any]]:
    """Raw values by feature name, for each example."""
    return [{name: list(getattr(feature, feature.WhichOneof("kind")).value)
             for name, feature in example.features.feature.items()} for example in examples]
