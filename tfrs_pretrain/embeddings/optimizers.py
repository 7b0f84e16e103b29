"""The sparse optimizers that the configuration can name."""

from __future__ import annotations

from tfrs_pretrain.embeddings.adagrad import Adagrad, RowwiseAdagrad
from tfrs_pretrain.embeddings.adam import LazyAdam
from tfrs_pretrain.embeddings.regularization import IntervalDecay, L2Regularized
from tfrs_pretrain.embeddings.sparse_optimizer import SparseOptimizer

OPTIMIZERS: dict[str, type[SparseOptimizer]] = {
    "lazy_adam": LazyAdam, "rowwise_adagrad": RowwiseAdagrad, "adagrad": Adagrad}


def make_optimizer(name: str, *, l2: float = 0.0, interval_decay: float = 0.0) -> SparseOptimizer:
    """The optimizer that the configuration names.

    Args:
      name: key of ``OPTIMIZERS``.
      l2: penalty of ``L2Regularized``; 0 for none.
      interval_decay: alpha of ``IntervalDecay``; 0 for none.

    Raises:
      ValueError: there is no such optimizer.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown sparse optimizer {name!r}: expected one of {sorted(OPTIMIZERS)}")
    optimizer: SparseOptimizer = OPTIMIZERS[name]()
    if l2:
        optimizer = L2Regularized(optimizer, l2)
    return IntervalDecay(optimizer, interval_decay) if interval_decay else optimizer
