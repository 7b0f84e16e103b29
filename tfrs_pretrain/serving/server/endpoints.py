"""The server's endpoints, independent of the transport: inference, model metadata, model status, configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

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


def infer(manager: ModelManager, request: Any, method: Callable[[CheckedModel, Any], R]) -> R:
    """Runs an inference request and sets ``model_spec`` of the response to the version that answered.

    Args:
      manager: models of the server.
      request: message with a ``model_spec``.
      method: ``predict``, ``classify`` or ``regress`` of ``inference``.

    Raises:
      StatusError: the request failed.
    """
    with translated_errors(), manager.used(request.model_spec) as (number, model):
        response = method(model, request)
        cast(Any, response).model_spec.CopyFrom(_answering_spec(request.model_spec, number))
        return response


def multi_inference(manager: ModelManager, request: MultiInferenceRequest) -> MultiInferenceResponse:
    """Runs all tasks on the version that the first task names, as TensorFlow Serving does.

    Raises:
      StatusError: the request failed.
    """
    spec = request.tasks[0].model_spec if request.tasks else ModelSpec()
    with translated_errors(), manager.used(spec) as (number, model):
        response = inference.multi_inference(model, request)
        for task, result in zip(request.tasks, response.results, strict=True):
            result.model_spec.CopyFrom(_answering_spec(task.model_spec, number))
        return response


def metadata(manager: ModelManager, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """Returns the signatures of a model.

    Raises:
      StatusError: there is no such model, or another metadata field is requested.
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


def status(manager: ModelManager, request: GetModelStatusRequest) -> GetModelStatusResponse:
    """Returns the states of a model's versions.

    Raises:
      StatusError: there is no such model or version.
    """
    response = GetModelStatusResponse()
    with translated_errors():
        for number, state, error in manager.states(request.model_spec):
            version = response.model_version_status.add(version=number, state=state)
            version.status.SetInParent()  # TensorFlow Serving sends the field even if there is no error
            if error:
                version.status.error_code, version.status.error_message = error.number, error.message
    return response


def reload(manager: ModelManager, request: ReloadConfigRequest) -> ReloadConfigResponse:
    """Applies another configuration.

    Raises:
      StatusError: the configuration is no list of models, or a label names a version that is not loaded.
    """
    with translated_errors():
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument("the configuration has no model_config_list, the only kind that is supported")
        manager.reload(request.config)
    response = ReloadConfigResponse()
    response.status.SetInParent()
    return response


def _answering_spec(requested: ModelSpec, number: int) -> ModelSpec:
    """Model, version and signature that answered."""
    spec = ModelSpec(name=requested.name, signature_name=requested.signature_name or SERVING_DEFAULT)
    spec.version.value = number
    return spec
