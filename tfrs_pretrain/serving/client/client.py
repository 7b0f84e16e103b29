"""Interface of the client, common to both transports."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self

import numpy as np

from tfrs_pretrain.serving.client.request_types import Classify, Embed, Model, Predict, PredictExamples, Rank, Regress
from tfrs_pretrain.serving.client.response_types import Metadata, VersionStatus
from tfrs_pretrain.serving.client.retries import RetryPolicy
from tfrs_pretrain.serving.client.tf_examples import to_example

Classes = list[list[tuple[str, float]]]  # for each example, (label, score) of every class


class Client(abc.ABC):
    """A connection to one model on one server.

    Every method raises ``RequestError`` if the server returns an error, is unreachable, or misses the deadline.

    Args:
      address: ``host:port``.
      model: name of the model, and its version or label.
      timeout: seconds for a request, including retries.
      retries: when to send a failed request again.
    """

    def __init__(self, address: str, model: Model, *, timeout: float = 5.0, retries: RetryPolicy | None = None):
        self.address, self.model, self.timeout = address, model, timeout
        self.retries = retries or RetryPolicy()

    @abc.abstractmethod
    def predict(self, request: Predict) -> dict[str, np.ndarray]:
        """Returns output name -> values; scores are float32 [batch]."""

    @abc.abstractmethod
    def classify(self, request: Classify) -> Classes:
        """Returns (label, score) of every class, for each example."""

    @abc.abstractmethod
    def regress(self, request: Regress) -> np.ndarray:
        """Returns float32 [examples]."""

    @abc.abstractmethod
    def status(self) -> list[VersionStatus]:
        """Returns the versions that the server knows, newest first."""

    @abc.abstractmethod
    def metadata(self) -> Metadata:
        """Returns the signatures of the version that answers."""

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connection."""

    def rank(self, request: Rank) -> dict[str, np.ndarray]:
        """Returns output name -> float32 [candidates]."""
        return self.predict(request.predict())

    def predict_examples(self, request: PredictExamples) -> dict[str, np.ndarray]:
        """Returns output name -> float32 [examples]."""
        serialized = np.empty(len(request.examples), object)
        serialized[:] = [to_example(features).SerializeToString() for features in request.examples]
        return self.predict(Predict({"inputs": serialized}, request.signature))

    def embed(self, request: Embed) -> np.ndarray:
        """Returns float32 [ids, dim]."""
        return next(iter(self.predict(request.predict()).values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
