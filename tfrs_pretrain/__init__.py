"""Two-stage training of recommenders: contrastive ID pretraining, then ranking with distillation.

    import tfrs_pretrain as tp

    dataset = tp.build_dataset("mine.yaml", "/data/parquet", "runs/mine/dataset")
    tp.pretrain(dataset, "runs/mine/embeddings")

The names in ``__all__`` are the public interface. Everything else may change in any version. A name is imported when it
is first used, so importing the package loads neither TensorFlow nor any other library. A name that needs an extra that
is not installed raises ``MissingExtraError``, an ImportError that names the extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfrs_pretrain.version import __version__

if TYPE_CHECKING:
    from tfrs_pretrain.api.arguments import load_config
    from tfrs_pretrain.api.stages import build_dataset, evaluate, export, pretrain, train_ranker
    from tfrs_pretrain.config.root import Config
    from tfrs_pretrain.data.dataset import Dataset
    from tfrs_pretrain.embeddings.adagrad import Adagrad, RowwiseAdagrad
    from tfrs_pretrain.embeddings.adam import LazyAdam
    from tfrs_pretrain.embeddings.regularization import IntervalDecay, L2Regularized
    from tfrs_pretrain.embeddings.sparse_optimizer import SparseOptimizer
    from tfrs_pretrain.embeddings.tables import EmbeddingTable
    from tfrs_pretrain.errors import UserError
    from tfrs_pretrain.evaluation.evaluate import Evaluation
    from tfrs_pretrain.interop.embeddings import Embeddings
    from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
    from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch, ContrastiveTask
    from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
    from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
    from tfrs_pretrain.pretraining.result import PretrainResult
    from tfrs_pretrain.pretraining.uniform_softmax import UniformSoftmax
    from tfrs_pretrain.ranking.trained_arm import TrainedArm
    from tfrs_pretrain.serving.client.client import Client
    from tfrs_pretrain.serving.client.errors import RequestError
    from tfrs_pretrain.serving.client.grpc_client import GrpcClient
    from tfrs_pretrain.serving.client.request_types import Embed, Model, Predict, Rank
    from tfrs_pretrain.serving.client.rest_client import RestClient
    from tfrs_pretrain.serving.exporting.report import ExportedVersion

__all__ = [
    "Adagrad", "BatchCandidates", "Client", "Config", "ContrastiveBatch", "ContrastiveTask", "CosineContrastive",
    "Dataset", "Embed", "EmbeddingTable", "Embeddings", "Evaluation", "ExportedVersion", "GrpcClient", "InBatchSoftmax",
    "IntervalDecay", "L2Regularized", "LazyAdam", "Model", "Predict", "PretrainResult", "Rank", "RequestError",
    "RestClient", "RowwiseAdagrad", "SparseOptimizer", "TrainedArm", "UniformSoftmax", "UserError", "__version__",
    "build_dataset", "evaluate", "export", "load_config", "pretrain", "train_ranker",
]

# Module below this package -> public names in it, as in the imports above, which type checkers read.
_MODULES = {
    "api.arguments": ("load_config",),
    "api.stages": ("build_dataset", "evaluate", "export", "pretrain", "train_ranker"),
    "config.root": ("Config",),
    "data.dataset": ("Dataset",),
    "embeddings.adagrad": ("Adagrad", "RowwiseAdagrad"),
    "embeddings.adam": ("LazyAdam",),
    "embeddings.regularization": ("IntervalDecay", "L2Regularized"),
    "embeddings.sparse_optimizer": ("SparseOptimizer",),
    "embeddings.tables": ("EmbeddingTable",),
    "errors": ("UserError",),
    "evaluation.evaluate": ("Evaluation",),
    "interop.embeddings": ("Embeddings",),
    "pretraining.batch_candidates": ("BatchCandidates",),
    "pretraining.contrastive_task": ("ContrastiveBatch", "ContrastiveTask"),
    "pretraining.cosine_contrastive": ("CosineContrastive",),
    "pretraining.in_batch_softmax": ("InBatchSoftmax",),
    "pretraining.result": ("PretrainResult",),
    "pretraining.uniform_softmax": ("UniformSoftmax",),
    "ranking.trained_arm": ("TrainedArm",),
    "serving.client.client": ("Client",),
    "serving.client.errors": ("RequestError",),
    "serving.client.grpc_client": ("GrpcClient",),
    "serving.client.request_types": ("Embed", "Model", "Predict", "Rank"),
    "serving.client.rest_client": ("RestClient",),
    "serving.exporting.report": ("ExportedVersion",),
}
# Functions that need an extra when they are called. Other names need one if their import fails.
_EXTRAS = {"build_dataset": "beam", "pretrain": "train", "train_ranker": "train", "export": "serve"}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Imports a public name when it is first used (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no public name {name!r}; it has {', '.join(__all__)}")
        try:
            value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        except ImportError as error:
            importlib.import_module(f"{__name__}.extras").explain(f"tfrs_pretrain.{name}", error)
            raise
        if name in _EXTRAS:
            importlib.import_module(f"{__name__}.extras").require(f"tfrs_pretrain.{name}", _EXTRAS[name])
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Lists the public names."""
        return sorted(__all__)
