"""TensorFlow Serving's REST API under /v1/models: from a path and a JSON body to a JSON response."""

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
from tfrs_pretrain.serving.server.tensors_json import INSTANCES, from_base64, read_inputs, write_outputs

_MODEL = r"(?i:/v1/models)/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,19})|/labels/(?P<label>[^/:]+))?"
_INFERENCE = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)")
_STATUS = re.compile(_MODEL + r"(?P<metadata>/metadata)?")

Json = Mapping[str, Any]


def get(manager: ModelManager, path: str) -> Json:
    """Returns status or metadata of a model.

    Raises:
      StatusError: the path is malformed, or there is no such model.
    """
    match = _match(_STATUS, "GET", path)
    if match["metadata"]:
        return _metadata(manager, _spec(match))
    return _to_json(endpoints.status(manager, GetModelStatusRequest(model_spec=_spec(match))))


def post(manager: ModelManager, path: str, body: Any) -> Json:
    """Runs Predict, Classify or Regress.

    Raises:
      StatusError: the path is malformed, there is no such model, or the body does not match the signature.
    """
    match = _match(_INFERENCE, "POST", path)
    signature = body.get("signature_name", "") if isinstance(body, dict) else None
    if not isinstance(signature, str) or not _is_unicode(signature):
        raise invalid_argument("the request must be a JSON object, and its 'signature_name' a string")
    respond = {"predict": _predict, "classify": _classify, "regress": _regress}[match["verb"]]
    return respond(manager, _spec(match, signature), body)


def _is_unicode(text: str) -> bool:
    """Whether the text has no surrogate, which JSON can write as an escape."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _match(pattern: re.Pattern[str], method: str, path: str) -> re.Match[str]:
    try:
        match = pattern.fullmatch(urlsplit(path).path)
    except ValueError:  # an invalid host
        match = None
    if not match:
        code = "INVALID_ARGUMENT" if path.lower().startswith("/v1/") else "NOT_FOUND"
        raise StatusError(code, f"malformed request: {method} {path}")
    return match


def _predict(manager: ModelManager, spec: ModelSpec, body: Json) -> Json:
    with manager.used(spec) as (_, model):
        signature = model.signature(spec.signature_name)
        outputs = model.run(signature, read_inputs(body, model.signatures[signature]))
    return write_outputs(outputs, row_format=INSTANCES in body)


def _classify(manager: ModelManager, spec: ModelSpec, body: Json) -> Json:
    request = ClassificationRequest(model_spec=spec, input=_examples(body))
    classifications = endpoints.infer(manager, request, inference.classify).result.classifications
    return {"results": [[[item.label, item.score] for item in example.classes] for example in classifications]}


def _regress(manager: ModelManager, spec: ModelSpec, body: Json) -> Json:
    request = RegressionRequest(model_spec=spec, input=_examples(body))
    regressions = endpoints.infer(manager, request, inference.regress).result.regressions
    return {"results": [regression.value for regression in regressions]}


def _metadata(manager: ModelManager, spec: ModelSpec) -> Json:
    request = GetModelMetadataRequest(model_spec=spec, metadata_field=[endpoints.METADATA])
    response, signatures = endpoints.metadata(manager, request), SignatureDefMap()
    response.metadata[endpoints.METADATA].Unpack(signatures)
    return {"model_spec": _to_json(response.model_spec), "metadata": {endpoints.METADATA: _to_json(signatures)}}


def _examples(body: Json) -> Input:
    examples, context = body.get("examples"), body.get("context", {})
    if not isinstance(examples, list) or not all(isinstance(features, dict) for features in [*examples, context]):
        raise invalid_argument("'examples' must be a list of JSON objects, and 'context' one")
    message = Input()
    try:
        target = message.example_list_with_context if context else message.example_list
        target.examples.extend(to_example(_decoded(features)) for features in examples)
        if context:
            target.context.CopyFrom(to_example(_decoded(context)))
    except (UserError, OverflowError, ValueError) as error:
        raise invalid_argument(str(error)) from error
    return message


def _decoded(features: Json) -> dict[str, Any]:
    """Features with base64 objects decoded and booleans as 0 or 1, as TensorFlow Serving reads them."""
    def decoded(value: Any) -> Any:
        if isinstance(value, list):
            return [decoded(item) for item in value]
        if value is None:
            raise invalid_argument("a feature is null: leave out missing features")
        if isinstance(value, bool):
            return int(value)
        return from_base64(value["b64"]) if isinstance(value, dict) and list(value) == ["b64"] else value

    return {name: decoded(value) for name, value in features.items()}


def _spec(match: re.Match[str], signature: str = "") -> ModelSpec:
    spec = ModelSpec(name=unquote(match["name"]), signature_name=signature)
    if match["version"]:
        if int(match["version"]) >= 1 << 63:
            raise invalid_argument(f"failed to convert version: {match['version']} to numeric")
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = unquote(match["label"])
    return spec


def _to_json(message: Any) -> dict[str, Any]:
    content: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True,
                                                        always_print_fields_with_no_presence=True)
    return content
