"""The golden requests beside an exported version, as typed requests with what must come back."""

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
    """A request and what the trained model answers.

    Attributes:
      signature: that is asked.
      ask: gives what a server answers, by output.
      outputs: output -> values [rows, ...].
    """

    signature: str
    ask: Callable[[Client], Outputs]
    outputs: Outputs

    @property
    def rows(self) -> int:
        return len(next(iter(self.outputs.values())))


def read_golden_requests(path: Path) -> list[GoldenReplay]:
    """All golden requests of a version, from its ``PredictionLog``s.

    Raises:
      UserError: there are none, or the file is damaged.
    """
    if not path.is_file():
        raise UserError(f"golden requests {str(path)!r} are missing: export the model again")
    return [_KINDS[log.WhichOneof("log_type")](log) for log in read_prediction_logs(path)]


def _predict(log: PredictionLog) -> GoldenReplay:
    request, outputs = log.predict_log.request, log.predict_log.response.outputs
    typed = Predict({name: from_proto(tensor) for name, tensor in request.inputs.items()},
                    request.model_spec.signature_name)
    return GoldenReplay(typed.signature, lambda client: client.predict(typed),
                         {name: from_proto(tensor) for name, tensor in outputs.items()})


def _classify(log: PredictionLog) -> GoldenReplay:
    request = log.classify_log.request
    typed = Classify(_raw(request.input.example_list.examples), request.model_spec.signature_name)
    expected = [[(each.label, each.score) for each in row.classes]
                for row in log.classify_log.response.result.classifications]
    return GoldenReplay(typed.signature, lambda client: _classes(client.classify(typed)), _classes(expected))


def _regress(log: PredictionLog) -> GoldenReplay:
    request = log.regress_log.request
    typed = Regress(_raw(request.input.example_list.examples), request.model_spec.signature_name)
    expected = [each.value for each in log.regress_log.response.result.regressions]
    return GoldenReplay(typed.signature, lambda client: {"outputs": client.regress(typed)},
                         {"outputs": np.array(expected, np.float32)})


_KINDS: dict[str, Callable[[PredictionLog], GoldenReplay]] = {
    "predict_log": _predict, "classify_log": _classify, "regress_log": _regress}


def _classes(rows: list[list[tuple[str, float]]]) -> Outputs:
    return {"classes": np.array([[label for label, _ in row] for row in rows], object),
            "scores": np.array([[score for _, score in row] for row in rows], np.float32)}


def _raw(examples: Iterable[Example]) -> list[dict[str, Any]]:
    """Raw values by feature name."""
    return [{name: list(getattr(feature, feature.WhichOneof("kind")).value)
             for name, feature in example.features.feature.items()} for example in examples]
