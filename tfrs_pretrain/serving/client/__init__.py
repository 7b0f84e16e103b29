"""Client of a TensorFlow Serving server, over gRPC or REST, which does not import TensorFlow.

    from tfrs_pretrain.serving.client import GrpcClient, Model, Rank

    with GrpcClient("localhost:8500", Model("completejourney_ranker", label="stable"), timeout=0.2) as client:
        scores = client.rank(Rank(user={"user_id": 1367}, candidates={"item_id": [1037337, 930118]}))["score"]
"""

from tfrs_pretrain.serving.client.client import Client
from tfrs_pretrain.serving.client.errors import RequestError
from tfrs_pretrain.serving.client.grpc_client import GrpcClient
from tfrs_pretrain.serving.client.request_types import (
    Classify,
    Embed,
    Model,
    Predict,
    PredictExamples,
    Rank,
    Regress,
)
from tfrs_pretrain.serving.client.response_types import Metadata, Signature, TensorSpec, VersionStatus
from tfrs_pretrain.serving.client.rest_client import RestClient
from tfrs_pretrain.serving.client.retries import RetryPolicy

__all__ = ["Classify", "Client", "Embed", "GrpcClient", "Metadata", "Model", "Predict", "PredictExamples", "Rank",
           "Regress", "RequestError", "RestClient", "RetryPolicy", "Signature", "TensorSpec", "VersionStatus"]
