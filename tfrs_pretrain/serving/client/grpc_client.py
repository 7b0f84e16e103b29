"""gRPC client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np

from tfrs_pretrain.serving.client.client import Classes, Client
from tfrs_pretrain.serving.client.errors import RequestError
from tfrs_pretrain.serving.client.request_types import Classify, Model, Predict, Regress
from tfrs_pretrain.serving.client.response_types import Metadata, VersionStatus
from tfrs_pretrain.serving.client.retries import RetryPolicy
from tfrs_pretrain.serving.client.tf_examples import to_example
from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    Input,
    ModelSpec,
    ModelVersionStatus,
    PredictRequest,
    RegressionRequest,
    SignatureDefMap,
)
from tfrs_pretrain.serving.protocol.services import MODEL_SERVICE, PREDICTION_SERVICE, make_stub
from tfrs_pretrain.serving.protocol.tensor_protos import from_proto, to_proto

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
           ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]


class GrpcClient(Client):
    """gRPC client; thread-safe. See ``Client``.

    Args:
      address: ``host:port``.
      model: name of the model, and its version or label.
      timeout: seconds for a request, including retries.
      retries: when to send a failed request again.
      credentials: credentials of a TLS channel; None: the channel is not encrypted.
    """

    def __init__(self, address: str, model: Model, *, timeout: float = 5.0, retries: RetryPolicy | None = None,
                 credentials: grpc.ChannelCredentials | None = None):
        super().__init__(address, model, timeout=timeout, retries=retries)
        self._channel = (grpc.secure_channel(address, credentials, OPTIONS) if credentials
                         else grpc.insecure_channel(address, OPTIONS))
        self._prediction = make_stub(self._channel, PREDICTION_SERVICE)
        self._models = make_stub(self._channel, MODEL_SERVICE)

    def predict(self, request: Predict) -> dict[str, np.ndarray]:
        message = PredictRequest(model_spec=self._spec(request.signature))
        for name, values in request.tensors().items():
            message.inputs[name].CopyFrom(to_proto(values))
        outputs = self._call(self._prediction.Predict, message).outputs
        return {name: from_proto(tensor) for name, tensor in outputs.items()}

    def classify(self, request: Classify) -> Classes:
        message = ClassificationRequest(model_spec=self._spec(request.signature), input=_examples(request))
        classifications = self._call(self._prediction.Classify, message).result.classifications
        return [[(item.label, item.score) for item in example.classes] for example in classifications]

    def regress(self, request: Regress) -> np.ndarray:
        message = RegressionRequest(model_spec=self._spec(request.signature), input=_examples(request))
        regressions = self._call(self._prediction.Regress, message).result.regressions
        return np.array([regression.value for regression in regressions], np.float32)

    def status(self) -> list[VersionStatus]:
        response = self._call(self._models.GetModelStatus, GetModelStatusRequest(model_spec=self._spec()))
        return [VersionStatus(version.version, ModelVersionStatus.State.Name(version.state),
                              version.status.error_message) for version in response.model_version_status]

    def metadata(self) -> Metadata:
        message = GetModelMetadataRequest(model_spec=self._spec(), metadata_field=["signature_def"])
        response = self._call(self._prediction.GetModelMetadata, message)
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return Metadata.from_messages(response.model_spec.version.value, signatures.signature_def)

    def close(self) -> None:
        self._channel.close()

    def _spec(self, signature: str = "") -> Any:
        spec = ModelSpec(name=self.model.name, signature_name=signature)
        if self.model.version is not None:
            spec.version.value = self.model.version
        if self.model.label is not None:
            spec.version_label = self.model.label
        return spec

    def _call(self, method: Callable[..., Any], message: Any) -> Any:
        def attempt(seconds: float) -> Any:
            try:
                return method(message, timeout=seconds)
            except grpc.RpcError as error:
                raise RequestError(error.code().name, error.details() or "", self.address) from error

        return self.retries.run(attempt, self.timeout)


def _examples(request: Classify | Regress) -> Any:
    message = Input()
    message.example_list.examples.extend(to_example(features) for features in request.examples)
    return message
