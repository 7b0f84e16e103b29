"""The golden requests beside an exported version, as typed requests with what must come back."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Classify, Client, Predict, PredictExamples, Regress, Signature

PATTERN = "golden_requests*.json"
Outputs = dict[str, np.ndarray]
_KINDS: dict[str, type[PredictExamples | Classify | Regress]] = {
    "tensorflow/serving/classify": Classify, "tensorflow/serving/regress": Regress}


@dataclasses.dataclass(frozen=True)
class GoldenRequest:
    """A request of any method and the outputs [n, ...] that the trained model gives."""

    request: Predict | PredictExamples | Classify | Regress
    outputs: Outputs

    @property
    def signature(self) -> str:
        return self.request.signature

    def ask(self, client: Client) -> Outputs:
        """What a server answers, by output."""
        if isinstance(self.request, Predict):
            return client.predict(self.request)
        if isinstance(self.request, PredictExamples):
            return client.predict_examples(self.request)
        if isinstance(self.request, Regress):
            return {"outputs": client.regress(self.request)}
        answers = client.classify(self.request)
        return {"classes": np.array([[label for label, _ in row] for row in answers], object),
                "scores": np.array([[score for _, score in row] for row in answers], np.float32)}


def read_golden_requests(extra: Path, signatures: Mapping[str, Signature]) -> list[GoldenRequest]:
    """All golden requests of a version.

    Args:
      extra: its folder ``assets.extra``.
      signatures: of the model, for the dtypes of inputs.

    Raises:
      UserError: there are none, or one is not for these signatures.
    """
    found = []
    for path in sorted(extra.glob(PATTERN)):
        try:
            content = json.loads(path.read_text())
            found += [_request(body, signatures[body["signature_name"]])
                      for body in content.get("requests", [content])]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"golden requests {str(path)!r} cannot be read ({type(error).__name__}: {error}): export "
                            "the model again") from error
    if not found:
        raise UserError(f"{str(extra)!r} has no {PATTERN}: export the model again")
    return found


def _request(body: Mapping[str, Any], signature: Signature) -> GoldenRequest:
    outputs = {name: np.array(values) for name, values in body["outputs"].items()}
    name = body["signature_name"]
    if "examples" in body:
        kind = _KINDS.get(signature.method, PredictExamples)
        return GoldenRequest(kind(body["examples"], name), outputs)
    columns = body["inputs"] if "inputs" in body else _columns(body["instances"])
    return GoldenRequest(Predict({key: typed(values, signature.inputs[key].dtype) for key, values in columns.items()},
                                 name), outputs)


def typed(values: Any, dtype: str) -> np.ndarray:
    """The array of a JSON value under an input's dtype; ``{"b64": ...}`` stands for bytes."""
    if dtype == "string":
        return np.array(_bytes(values), object)
    return np.array(values, dtype)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _bytes(values: Any) -> Any:
    if isinstance(values, list):
        return [_bytes(each) for each in values]
    return base64.b64decode(values["b64"]) if isinstance(values, dict) else values
