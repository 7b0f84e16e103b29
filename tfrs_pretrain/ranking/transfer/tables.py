"""Where the tables of a ranker start, at random or at pretrained rows, and how they learn from there."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from rich.text import Text

from tfrs_pretrain.config import (
    ArmConfig,
    FrozenThenTrainableTransfer,
    FrozenTransfer,
    PretrainedTransfer,
    RankingConfig,
    TrainablePretrainedTransfer,
)
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.sparse_optimizer import SparseOptimizer
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.progress import console
from tfrs_pretrain.ranking.model.dropout import RowDropout
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW

BATCH_SIZE = 8192  # larger parts leave the cache, and take twice as long


@dataclasses.dataclass(frozen=True)
class TablePolicy:
    """How a table learns.

    Attributes:
      learning_rate_scale: of its learning rate.
      trainable_from: steps for which it stands still first; None: it never moves.
      dropout: of the rows that the network sees in training; None: it sees all.
    """

    learning_rate_scale: float = 1.0
    trainable_from: int | None = 0
    dropout: RowDropout | None = None

    @classmethod
    def of(cls, transfer: PretrainedTransfer, seed: int) -> TablePolicy:
        """Policy of a table that starts at pretrained rows."""
        start = transfer.trainable_from_step if isinstance(transfer, FrozenThenTrainableTransfer) else 0
        scale = transfer.pretrained_learning_rate_scale if isinstance(transfer, TrainablePretrainedTransfer) else 1.0
        dropout = RowDropout(transfer.pretrained_dropout, transfer.pretrained_dropout_of == "rows", seed)
        return cls(scale, None if isinstance(transfer, FrozenTransfer) else start,
                   dropout if transfer.pretrained_dropout else None)


DEFAULT_POLICY = TablePolicy()


def table_policies(arm: ArmConfig, *, seed: int) -> dict[str, TablePolicy]:
    """Table -> its policy, for those that do not simply learn."""
    pretrained = {space: TablePolicy.of(transfer, seed_of(seed, "dropout", space))
                  for space, transfer in arm.pretrained_tables.items()}
    still = {space: TablePolicy(trainable_from=None) for space in (USER_ROW, ITEM_ROW)
             if arm.table_transfer(space).kind in ("random", "absent")}
    return pretrained | still


def table_rules(config: RankingConfig, inputs: Inputs,
                policies: Mapping[str, TablePolicy]) -> dict[str, SparseOptimizer]:
    """Table -> its update rule, for those that ever move."""
    rule = make_optimizer(config.table_optimizer, l2=config.embedding_l2, interval_decay=config.interval_decay)
    return {name: rule for name in inputs.tables if policies.get(name, DEFAULT_POLICY).trainable_from is not None}


def with_fresh_tables(inputs: Inputs, arm: ArmConfig) -> Inputs:
    """The inputs, and a second table of the arm's ``fresh_dim`` columns beside each pretrained one that has it.

    Raises:
      UserError: a feature has the name of such a table.
    """
    fresh = [RowInput(fresh_table(space), space, fresh_table(space), space)
             for space, transfer in arm.pretrained_tables.items() if transfer.fresh_dim]
    taken = {row.name for row in fresh} & {row.name for row in inputs.rows}
    if taken:
        raise UserError(f"feature {min(taken)!r} has the name of the table that fresh_dim adds: rename the feature")
    return dataclasses.replace(inputs, rows=(*inputs.rows, *fresh))


def fresh_table(space: str) -> str:
    """Name of the table, and of the input, beside the pretrained one of an ID space."""
    return f"fresh_{space}"


def initial_rows(inputs: Inputs, dataset: Dataset, config: RankingConfig, arm: ArmConfig, *, seed: int,
                 embeddings: Embeddings | None) -> dict[str, np.ndarray]:
    """float32 [rows, dim] of each table that the inputs name.

    Random rows depend on seed and table alone, so arms that differ in transfer share every other start. Pretrained
    rows replace the random ones of admitted ids (``pretrained_rows``).

    Args:
      inputs: columns of the ranker.
      dataset: gives the sizes.
      config: gives the dimensions and the scale of random rows.
      arm: says which tables are transferred.
      seed: of the random rows.
      embeddings: pretrained rows; None if no table is transferred.

    Raises:
      UserError: the embeddings do not fit the dataset or ``ranking.id_dim``.
    """
    dims = dict.fromkeys(dataset.schema.id_spaces, config.id_dim)
    dims |= {fresh_table(space): transfer.fresh_dim for space, transfer in arm.pretrained_tables.items()}
    rows = {name: normal_matrix(dataset.rows(vocabulary), dims.get(name, config.feature_dim), config.initial_scale,
                              seed_of(seed, name)) for name, vocabulary in inputs.tables.items()}
    for name in (USER_ROW, ITEM_ROW):
        if arm.table_transfer(name).kind == "absent":
            rows[name][:] = 0
    if embeddings is None:
        return rows
    embeddings.check_compatible(dataset)
    for name in arm.pretrained_tables:
        pretrained = embeddings.matrix(name)
        if pretrained.shape[1] != config.id_dim:
            raise UserError(f"embeddings {str(embeddings.folder)!r}: table {name!r} has {pretrained.shape[1]} columns, "
                            f"ranking.id_dim is {config.id_dim}: set it to {pretrained.shape[1]}, or pretrain again")
        taken = pretrained_rows(dataset, name)
        rows[name][taken] = pretrained[taken]
    return rows


def pretrained_rows(dataset: Dataset, name: str) -> np.ndarray:
    """bool [rows]: the row stands for one id that was engaged with in the pretraining window.

    Rows shared by out-of-vocabulary ids are left out: in ranking they stand for ids that pretraining never saw, other
    ids than those that shared the row there, if any did.
    """
    return dataset.vocabulary(name).row_counts > 0


def coverage(dataset: Dataset, split: str) -> dict[str, float]:
    """Shares of a split that start at a pretrained row.

    Returns:
      per ID space, ``<space>_impressions``, the share of impressions, and ``<space>_ids``, the share of distinct ids,
      whose row is pretrained; ``impressions``, the share of impressions where both rows are.
    """
    spaces = {USER_ROW: USER_ID, ITEM_ROW: ITEM_ID}
    columns = (*spaces, *spaces.values())
    batches = list(evaluation_batches(dataset, split, batch_size=BATCH_SIZE, columns=columns).as_numpy_iterator())
    shares: dict[str, float] = {}
    both = np.ones(dataset.examples(split), bool)
    for rows, ids in spaces.items():
        known = pretrained_rows(dataset, rows)[np.concatenate([batch[rows] for batch in batches])]
        first = ~pd.Series(np.concatenate([batch[ids] for batch in batches])).duplicated().to_numpy()
        shares |= {f"{rows}_impressions": float(known.mean()), f"{rows}_ids": float(known[first].mean())}
        both &= known
    return shares | {"impressions": float(both.mean())}


def print_coverage(covered: Mapping[str, Mapping[str, float]]) -> None:
    """Says, for each split, which share of impressions, users and items starts at a pretrained row."""
    for split, shares in covered.items():
        text = (f"{split}: pretrained rows for {shares['user_ids']:.1%} of users, {shares['item_ids']:.1%} of items; "
                f"{shares['user_impressions']:.1%} of impressions have a pretrained user, "
                f"{shares['item_impressions']:.1%} a pretrained item, {shares['impressions']:.1%} both")
        console.print(Text(text, style="dim"), soft_wrap=True)


def seed_of(seed: int, *names: str) -> int:
    """A seed for one purpose, so that adding another purpose moves no numbers."""
    return int.from_bytes(hashlib.sha256("/".join([str(seed), *names]).encode()).digest()[:4], "big") >> 1
