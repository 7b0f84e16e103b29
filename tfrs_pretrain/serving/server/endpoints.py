"""The server's endpoints, independent of the transport: inference, model metadata, model status, configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tfrs_pretrain.serving.protocol.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    MultiInferenceRequest,
    MultiInferenceResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from tfrs_pretrain.serving.protocol.signature_names import SERVING_DEFAULT
from tfrs_pretrain.serving.server import inference
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import invalid_argument, translated_errors
from tfrs_pretrain.serving.server.model_manager import ModelManager

R = TypeVar("R")
METADATA = "signature_def"


def answer(manager: ModelManager, request: Any, kind: Callable[[CheckedModel, Any], R]) -> R:
    """What one of ``answers`` gives for a request, with the version that gave it.

    Raises:
      Refused: anything went wrong.
    """
    with translated_errors(), manager.used(request.model_spec) as (number, model):
        response: Any = kind(model, request)
        response.model_spec.CopyFrom(_answering(request.model_spec, number))
        found: R = response
        return found


def multi_inference(manager: ModelManager, request: MultiInferenceRequest) -> MultiInferenceResponse:
    """The answer of the version that the first task names, as TensorFlow Serving takes it.

    Raises:
      Refused: anything went wrong.
    """
    spec = request.tasks[0].model_spec if request.tasks else ModelSpec()
    with translated_errors(), manager.used(spec) as (number, model):
        response = inference.multi_inference(model, request)
        for task, result in zip(request.tasks, response.results, strict=True):
            result.model_spec.CopyFrom(_answering(task.model_spec, number))
        return response


def metadata(manager: ModelManager, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """The signatures of a model.

    Raises:
      Refused: there is no such model, or something else than its signatures is asked for.
    """
    if set(request.metadata_field) != {METADATA}:
        raise invalid_argument(f"metadata_field is {list(request.metadata_field)}, expected [{METADATA!r}]")
    signatures, response = SignatureDefMap(), GetModelMetadataResponse()
    with translated_errors(), manager.used(request.model_spec) as (number, model):
        for name, signature in model.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
    response.model_spec.name, response.model_spec.version.value = request.model_spec.name, number
    response.metadata[METADATA].Pack(signatures)
    return response


def _answering(asked: ModelSpec, number: int) -> ModelSpec:
    """Which model, version and signature answered."""
    spec = ModelSpec(name=asked.name, signature_name=asked.signature_name or SERVING_DEFAULT)
    spec.version.value = number
    return spec


def status(manager: ModelManager, request: GetModelStatusRequest) -> GetModelStatusResponse:
    """The states of a model's versions."""
    response = GetModelStatusResponse()
    with translated_errors():
        for number, state, why in manager.statuses(request.model_spec):
            each = response.model_version_status.add(version=number, state=state)
            each.status.SetInParent()  # present also where all is well, as TensorFlow Serving's is
            if why:
                each.status.error_code, each.status.error_message = why.number, why.message
    return response


def reload(manager: ModelManager, request: ReloadConfigRequest) -> ReloadConfigResponse:
    """Takes another configuration.

    Raises:
      Refused: it is no list of models, or a label names a version that is not loaded.
    """
    with translated_errors():
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument("the configuration has no model_config_list, the only kind that is supported")
        manager.reload(request.config)
    response = ReloadConfigResponse()
    response.status.SetInParent()
    return response
