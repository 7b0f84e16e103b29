"""TensorFlow Serving's two gRPC services: stubs for clients, and handlers for servers."""

from __future__ import annotations

import types
from typing import Any

import grpc

from tfrs_pretrain.serving.protocol import messages

PREDICTION_SERVICE, MODEL_SERVICE = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
# Service -> method -> (class of the request, class of the response)
METHODS: dict[str, dict[str, tuple[Any, Any]]] = {
    PREDICTION_SERVICE: {
        "Predict": (messages.PredictRequest, messages.PredictResponse),
        "Classify": (messages.ClassificationRequest, messages.ClassificationResponse),
        "Regress": (messages.RegressionRequest, messages.RegressionResponse),
        "MultiInference": (messages.MultiInferenceRequest, messages.MultiInferenceResponse),
        "GetModelMetadata": (messages.GetModelMetadataRequest, messages.GetModelMetadataResponse),
    },
    MODEL_SERVICE: {
        "GetModelStatus": (messages.GetModelStatusRequest, messages.GetModelStatusResponse),
        "HandleReloadConfigRequest": (messages.ReloadConfigRequest, messages.ReloadConfigResponse),
    },
}


def make_stub(channel: grpc.Channel, service: str) -> Any:
    """Returns an object with a function for each method of a service; each sends a request and returns the response."""
    return types.SimpleNamespace(**{
        name: channel.unary_unary(f"/{service}/{name}", request_serializer=request.SerializeToString,
                                  response_deserializer=response.FromString)
        for name, (request, response) in METHODS[service].items()})


def add_service(server: grpc.Server, service: str, servicer: object) -> None:
    """Lets a server answer the methods of a service.

    Args:
      server: the server.
      service: name of the service.
      servicer: object with methods of these names, called with a request and its context. A request of a method that
        it lacks ends with UNIMPLEMENTED.
    """
    handlers = {name: grpc.unary_unary_rpc_method_handler(
                    getattr(servicer, name), request_deserializer=request.FromString,
                    response_serializer=response.SerializeToString)
                for name, (request, response) in METHODS[service].items() if hasattr(servicer, name)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
