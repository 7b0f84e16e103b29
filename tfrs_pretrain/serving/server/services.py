"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc

from tfrs_pretrain.serving.graph.signatures import SIGNATURE
from tfrs_pretrain.serving.protocol.schema import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    ModelSpec,
    MultiInferenceRequest,
    MultiInferenceResponse,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from tfrs_pretrain.serving.server import answers
from tfrs_pretrain.serving.server.errors import Refused, invalid, refusing
from tfrs_pretrain.serving.server.loaded import CheckedModel
from tfrs_pretrain.serving.server.manager import ModelManager

R = TypeVar("R")
METADATA = "signature_def"


def answer(manager: ModelManager, request: Any, kind: Callable[[CheckedModel, Any], R]) -> R:
    """What one of ``answers`` gives for a request, with the version that gave it.

    Raises:
      Refused: anything went wrong.
    """
    with refusing(), manager.used(request.model_spec) as (number, model):
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
    with refusing(), manager.used(spec) as (number, model):
        response = answers.multi_inference(model, request)
        for task, result in zip(request.tasks, response.results, strict=True):
            result.model_spec.CopyFrom(_answering(task.model_spec, number))
        return response


def metadata(manager: ModelManager, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """The signatures of a model.

    Raises:
      Refused: there is no such model, or something else than its signatures is asked for.
    """
    if set(request.metadata_field) != {METADATA}:
        raise invalid(f"metadata_field is {list(request.metadata_field)}, expected [{METADATA!r}]")
    signatures, response = SignatureDefMap(), GetModelMetadataResponse()
    with refusing(), manager.used(request.model_spec) as (number, model):
        for name, signature in model.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
    response.model_spec.name, response.model_spec.version.value = request.model_spec.name, number
    response.metadata[METADATA].Pack(signatures)
    return response


def _answering(asked: ModelSpec, number: int) -> ModelSpec:
    """Which model, version and signature answered."""
    spec = ModelSpec(name=asked.name, signature_name=asked.signature_name or SIGNATURE)
    spec.version.value = number
    return spec


def status(manager: ModelManager, request: GetModelStatusRequest) -> GetModelStatusResponse:
    """The states of a model's versions."""
    response = GetModelStatusResponse()
    with refusing():
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
    with refusing():
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid("the configuration has no model_config_list, the only kind that is supported")
        manager.reload(request.config)
    response = ReloadConfigResponse()
    response.status.SetInParent()
    return response


class PredictionService(PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference, GetModelMetadata."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:  # noqa: N802
        return _reply(context, lambda: answer(self._manager, request, answers.predict))

    def Classify(self, request: ClassificationRequest, context: grpc.ServicerContext  # noqa: N802
                 ) -> ClassificationResponse:
        return _reply(context, lambda: answer(self._manager, request, answers.classify))

    def Regress(self, request: RegressionRequest, context: grpc.ServicerContext) -> RegressionResponse:  # noqa: N802
        return _reply(context, lambda: answer(self._manager, request, answers.regress))

    def MultiInference(self, request: MultiInferenceRequest, context: grpc.ServicerContext  # noqa: N802
                       ) -> MultiInferenceResponse:
        return _reply(context, lambda: multi_inference(self._manager, request))

    def GetModelMetadata(self, request: GetModelMetadataRequest, context: grpc.ServicerContext  # noqa: N802
                         ) -> GetModelMetadataResponse:
        return _reply(context, lambda: metadata(self._manager, request))


class ModelService(ModelServiceServicer):
    """GetModelStatus, HandleReloadConfigRequest."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext  # noqa: N802
                       ) -> GetModelStatusResponse:
        return _reply(context, lambda: status(self._manager, request))

    def HandleReloadConfigRequest(self, request: ReloadConfigRequest, context: grpc.ServicerContext  # noqa: N802
                                  ) -> ReloadConfigResponse:
        return _reply(context, lambda: reload(self._manager, request))


def _reply(context: grpc.ServicerContext, of: Callable[[], R]) -> R:
    try:
        return of()
    except Refused as error:
        context.abort(grpc.StatusCode[error.code], error.message)
        raise
