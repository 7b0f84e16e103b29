"""TensorFlow Serving's PredictionService and ModelService over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc

from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    MultiInferenceRequest,
    MultiInferenceResponse,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from tfrs_pretrain.serving.server import endpoints, inference
from tfrs_pretrain.serving.server.errors import StatusError
from tfrs_pretrain.serving.server.model_manager import ModelManager

R = TypeVar("R")


class PredictionService:
    """Serves Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:  # noqa: N802
        return _reply(context, lambda: endpoints.infer(self._manager, request, inference.predict))

    def Classify(self, request: ClassificationRequest, context: grpc.ServicerContext  # noqa: N802
                 ) -> ClassificationResponse:
        return _reply(context, lambda: endpoints.infer(self._manager, request, inference.classify))

    def Regress(self, request: RegressionRequest, context: grpc.ServicerContext) -> RegressionResponse:  # noqa: N802
        return _reply(context, lambda: endpoints.infer(self._manager, request, inference.regress))

    def MultiInference(self, request: MultiInferenceRequest, context: grpc.ServicerContext  # noqa: N802
                       ) -> MultiInferenceResponse:
        return _reply(context, lambda: endpoints.multi_inference(self._manager, request))

    def GetModelMetadata(self, request: GetModelMetadataRequest, context: grpc.ServicerContext  # noqa: N802
                         ) -> GetModelMetadataResponse:
        return _reply(context, lambda: endpoints.metadata(self._manager, request))


class ModelService:
    """Serves GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext  # noqa: N802
                       ) -> GetModelStatusResponse:
        return _reply(context, lambda: endpoints.status(self._manager, request))

    def HandleReloadConfigRequest(self, request: ReloadConfigRequest, context: grpc.ServicerContext  # noqa: N802
                                  ) -> ReloadConfigResponse:
        return _reply(context, lambda: endpoints.reload(self._manager, request))


def _reply(context: grpc.ServicerContext, respond: Callable[[], R]) -> R:
    """Returns the response, or ends the call with the status of its ``StatusError``."""
    try:
        return respond()
    except StatusError as error:
        context.abort(grpc.StatusCode[error.code], error.message)
        raise
