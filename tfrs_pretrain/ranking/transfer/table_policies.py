"""How each table of an arm is trained: learning rate, freezing, dropout, update rule."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from tfrs_pretrain.config import (
    ArmConfig,
    FrozenThenTrainableTransfer,
    FrozenTransfer,
    PretrainedTransfer,
    RankingConfig,
    TrainablePretrainedTransfer,
)
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.sparse_optimizer import SparseOptimizer
from tfrs_pretrain.ranking.model.dropout import RowDropout
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.seeds import derive_seed
from tfrs_pretrain.ranking.transfer.evidence import evidence_scales
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW
from tfrs_pretrain.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class TablePolicy:
    """Training of one table.

    Attributes:
      learning_rate_scale: factor of the tables' learning rate.
      trainable_from: number of steps for which the table is frozen; None: it is never trained.
      dropout: of the gathered rows in training; None for no dropout.
      row_scales: float32 [num_rows], a further factor of each row's learning rate; None: 1 for all rows.
    """

    learning_rate_scale: float = 1.0
    trainable_from: int | None = 0
    dropout: RowDropout | None = None
    row_scales: np.ndarray | None = None

    @classmethod
    def from_config(cls, transfer: PretrainedTransfer, vocabulary: Callable[[], Vocabulary], seed: int) -> TablePolicy:
        """Create the policy of a table that starts at pretrained rows.

        Args:
          transfer: of the table.
          vocabulary: returns the table's vocabulary; called only if its counts determine the rates.
          seed: of the dropout.
        """
        start = transfer.trainable_from_step if isinstance(transfer, FrozenThenTrainableTransfer) else 0
        dropout = RowDropout(transfer.pretrained_dropout, transfer.pretrained_dropout_of == "rows", seed)
        policy = cls(1.0, None if isinstance(transfer, FrozenTransfer) else start,
                     dropout if transfer.pretrained_dropout else None)
        if not isinstance(transfer, TrainablePretrainedTransfer):
            return policy
        scale, evidence = transfer.pretrained_learning_rate_scale, transfer.evidence
        if evidence is None:
            return dataclasses.replace(policy, learning_rate_scale=scale)
        return dataclasses.replace(policy, row_scales=evidence_scales(vocabulary(), scale, evidence))

    def with_row_scales(self, scales: np.ndarray) -> TablePolicy:
        """Return this policy with further factors, float32 [num_rows]."""
        own = 1.0 if self.row_scales is None else self.row_scales
        return dataclasses.replace(self, row_scales=(own * scales).astype(np.float32))


DEFAULT_POLICY = TablePolicy()


def table_policies(arm: ArmConfig, dataset: Dataset, *, seed: int) -> dict[str, TablePolicy]:
    """Return table -> its policy, if it differs from DEFAULT_POLICY."""
    pretrained = {space: TablePolicy.from_config(transfer, functools.partial(dataset.vocabulary, space),
                                                 derive_seed(seed, "dropout", space))
                  for space, transfer in arm.pretrained_tables.items()}
    untrained = {space: TablePolicy(trainable_from=None) for space in (USER_ROW, ITEM_ROW)
                 if arm.table_transfer(space).kind in ("random", "absent")}
    return pretrained | untrained


def with_row_scales(policies: Mapping[str, TablePolicy], scales: Mapping[str, np.ndarray]) -> dict[str, TablePolicy]:
    """Return the policies with further factors of each row's learning rate, table -> float32 [num_rows]."""
    return dict(policies) | {name: policies.get(name, DEFAULT_POLICY).with_row_scales(factors)
                             for name, factors in scales.items()}


def update_rules(config: RankingConfig, inputs: Inputs,
                 policies: Mapping[str, TablePolicy]) -> dict[str, SparseOptimizer]:
    """Return table -> its update rule, for the tables that are trained."""
    rule = make_optimizer(config.table_optimizer, l2=config.embedding_l2, interval_decay=config.interval_decay)
    return {name: rule for name in inputs.tables if policies.get(name, DEFAULT_POLICY).trainable_from is not None}
