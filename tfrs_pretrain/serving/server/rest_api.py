"""What TensorFlow Serving's REST interface answers to a path and a body: the methods under /v1/models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf import json_format

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.tf_examples import to_example
from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    Input,
    ModelSpec,
    RegressionRequest,
    SignatureDefMap,
)
from tfrs_pretrain.serving.server import endpoints, inference
from tfrs_pretrain.serving.server.errors import StatusError, invalid_argument
from tfrs_pretrain.serving.server.model_manager import ModelManager
from tfrs_pretrain.serving.server.tensors_json import ROWS, from_base64, read_inputs, write_outputs

_MODEL = r"(?i:/v1/models)/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,19})|/labels/(?P<label>[^/:]+))?"
_ASKED = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)")
_SEEN = re.compile(_MODEL + r"(?P<metadata>/metadata)?")

Json = Mapping[str, Any]


def get(manager: ModelManager, path: str) -> Json:
    """Status or metadata of a model.

    Raises:
      Refused: there is no such path or model.
    """
    found = _match(_SEEN, "GET", path)
    if found["metadata"]:
        return _metadata(manager, _spec(found))
    return _plain(endpoints.status(manager, GetModelStatusRequest(model_spec=_spec(found))))


def post(manager: ModelManager, path: str, body: Any) -> Json:
    """Predict, classify or regress.

    Raises:
      Refused: there is no such path or model, or the body does not fit.
    """
    found = _match(_ASKED, "POST", path)
    if not isinstance(body, dict) or not isinstance(body.get("signature_name", ""), str):
        raise invalid_argument("the request must be a JSON object, and its 'signature_name' a string")
    ask = {"predict": _predict, "classify": _classify, "regress": _regress}[found["verb"]]
    return ask(manager, _spec(found, body.get("signature_name", "")), body)


def _match(pattern: re.Pattern[str], method: str, path: str) -> re.Match[str]:
    found = pattern.fullmatch(urlsplit(path).path)
    if not found:
        code = "INVALID_ARGUMENT" if path.lower().startswith("/v1/") else "NOT_FOUND"
        raise StatusError(code, f"malformed request: {method} {path}")
    return found


def _predict(manager: ModelManager, spec: ModelSpec, body: Json) -> Json:
    with manager.used(spec) as (_, model):
        signature = model.signature(spec.signature_name)
        outputs = model.run(signature, read_inputs(body, model.signatures[signature]))
    return write_outputs(outputs, rows=ROWS in body)


def _classify(manager: ModelManager, spec: ModelSpec, body: Json) -> Json:
    request = ClassificationRequest(model_spec=spec, input=_examples(body))
    found = endpoints.answer(manager, request, inference.classify).result.classifications
    return {"results": [[[each.label, each.score] for each in classes.classes] for classes in found]}


def _regress(manager: ModelManager, spec: ModelSpec, body: Json) -> Json:
    request = RegressionRequest(model_spec=spec, input=_examples(body))
    regressions = endpoints.answer(manager, request, inference.regress).result.regressions
    return {"results": [regression.value for regression in regressions]}


def _metadata(manager: ModelManager, spec: ModelSpec) -> Json:
    request = GetModelMetadataRequest(model_spec=spec, metadata_field=[endpoints.METADATA])
    response, signatures = endpoints.metadata(manager, request), SignatureDefMap()
    response.metadata[endpoints.METADATA].Unpack(signatures)
    return {"model_spec": _plain(response.model_spec), "metadata": {endpoints.METADATA: _plain(signatures)}}


def _examples(body: Json) -> Input:
    rows, context = body.get("examples"), body.get("context", {})
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in [*rows, context]):
        raise invalid_argument("'examples' must be a list of JSON objects, and 'context' one")
    found = Input()
    try:
        target = found.example_list_with_context if context else found.example_list
        target.examples.extend(to_example(_decoded(row)) for row in rows)
        if context:
            target.context.CopyFrom(to_example(_decoded(context)))
    except (UserError, OverflowError, ValueError) as error:
        raise invalid_argument(str(error)) from error
    return found


def _decoded(row: Json) -> dict[str, Any]:
    def value(given: Any) -> Any:
        if isinstance(given, list):
            return [value(each) for each in given]
        if given is None:
            raise invalid_argument("a feature is null: leave out what is missing")
        if isinstance(given, bool):
            return int(given)
        return from_base64(given["b64"]) if isinstance(given, dict) and list(given) == ["b64"] else given

    return {name: value(given) for name, given in row.items()}


def _spec(found: re.Match[str], signature: str = "") -> ModelSpec:
    spec = ModelSpec(name=unquote(found["name"]), signature_name=signature)
    if found["version"]:
        if int(found["version"]) >= 1 << 63:
            raise invalid_argument(f"failed to convert version: {found['version']} to numeric")
        spec.version.value = int(found["version"])
    if found["label"]:
        spec.version_label = unquote(found["label"])
    return spec


def _plain(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True,
                                     always_print_fields_with_no_presence=True)
