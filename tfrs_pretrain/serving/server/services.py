"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc

from tfrs_pretrain.serving.protocol import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    ModelSpec,
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
from tfrs_pretrain.serving.signatures import SIGNATURE

R = TypeVar("R")
METADATA = "signature_def"


def answer(manager: ModelManager, request: Any, kind: Callable[[CheckedModel, Any], R]) -> R:
    """What one of ``answers`` gives for a request, with the version that gave it.

    Raises:
      Refused: anything went wrong.
    """
    with refusing(), manager.used(request.model_spec) as (number, model):
        response: Any = kind(model, request)
        response.model_spec.CopyFrom(ModelSpec(name=request.model_spec.name,
                                               signature_name=request.model_spec.signature_name or SIGNATURE))
        response.model_spec.version.value = number
        found: R = response
        return found


def metadata(model: CheckedModel, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """The signatures of a model."""
    if list(request.metadata_field) != [METADATA]:
        raise invalid(f"metadata_field is {list(request.metadata_field)}, expected [{METADATA!r}]")
    signatures, response = SignatureDefMap(), GetModelMetadataResponse()
    for name, signature in model.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response.metadata[METADATA].Pack(signatures)
    return response


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


class PredictionService(PredictionServiceServicer):
    """Predict, Classify, Regress, GetModelMetadata; MultiInference is not offered."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:  # noqa: N802
        return _reply(context, lambda: answer(self._manager, request, answers.predict))

    def Classify(self, request: ClassificationRequest, context: grpc.ServicerContext  # noqa: N802
                 ) -> ClassificationResponse:
        return _reply(context, lambda: answer(self._manager, request, answers.classify))

    def Regress(self, request: RegressionRequest, context: grpc.ServicerContext) -> RegressionResponse:  # noqa: N802
        return _reply(context, lambda: answer(self._manager, request, answers.regress))

    def GetModelMetadata(self, request: GetModelMetadataRequest, context: grpc.ServicerContext  # noqa: N802
                         ) -> GetModelMetadataResponse:
        return _reply(context, lambda: answer(self._manager, request, metadata))


class ModelService(ModelServiceServicer):
    """GetModelStatus, HandleReloadConfigRequest."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext  # noqa: N802
                       ) -> GetModelStatusResponse:
        return _reply(context, lambda: status(self._manager, request))

    def HandleReloadConfigRequest(self, request: ReloadConfigRequest, context: grpc.ServicerContext  # noqa: N802
                                  ) -> ReloadConfigResponse:
        response = ReloadConfigResponse()
        try:
            with refusing():
                self._manager.reload(request.config)
        except Refused as error:
            response.status.error_code, response.status.error_message = error.number, error.message
        return response


def _reply(context: grpc.ServicerContext, of: Callable[[], R]) -> R:
    try:
        return of()
    except Refused as error:
        context.abort(grpc.StatusCode[error.code], error.message)
        raise
