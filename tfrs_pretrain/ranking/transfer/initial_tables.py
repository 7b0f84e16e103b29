"""Initial rows of a ranker's tables: random, or pretrained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfrs_pretrain.config import ArmConfig, RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.seeds import derive_seed
from tfrs_pretrain.ranking.transfer.pretrained_rows import UNCHANGED, PretrainedStart, fill_pretrained, is_pretrained
from tfrs_pretrain.row_arrays import NormalRows, Rows
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW


def with_fresh_tables(inputs: Inputs, arm: ArmConfig) -> Inputs:
    """Add a second, randomly initialised table of ``fresh_dim`` columns for each pretrained one that configures it.

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
    """Return the name of an ID space's second table, which is also the name of its input."""
    return f"fresh_{space}"


def initial_tables(inputs: Inputs, dataset: Dataset, config: RankingConfig, arm: ArmConfig, *, seed: int,
                   embeddings: Embeddings | None, starts: Mapping[str, PretrainedStart] | None = None
                   ) -> dict[str, Rows]:
    """Create the initial rows of each table; they are made when they are read.

    Random rows depend only on the seed and the table, so arms that differ in transfer share all other initial values.
    Pretrained rows replace random ones where ``is_pretrained``.

    Args:
      inputs: columns of the ranker.
      dataset: provides the sizes.
      config: provides the dimensions and the scale of random rows.
      arm: determines which tables are transferred.
      seed: of the random rows.
      embeddings: pretrained rows; None if no table is transferred.
      starts: ID space -> changes of its pretrained rows; spaces without one start at the rows as pretrained.

    Returns:
      table -> float32 [num_rows, dim].

    Raises:
      UserError: the embeddings do not fit the dataset or ``ranking.id_dim``.
    """
    dims = dict.fromkeys(dataset.schema.id_spaces, config.id_dim)
    dims |= {fresh_table(space): transfer.fresh_dim for space, transfer in arm.pretrained_tables.items()}
    tables: dict[str, Rows] = {
        name: NormalRows(dataset.num_rows(vocabulary), dims.get(name, config.feature_dim), config.initial_scale,
                         derive_seed(seed, name))
        for name, vocabulary in inputs.tables.items()}
    for space in (USER_ROW, ITEM_ROW):
        if arm.table_transfer(space).kind == "absent":
            tables[space] = np.broadcast_to(np.float32(0), tables[space].shape)
    if embeddings is None:
        return tables
    embeddings.check_compatible(dataset)
    for space in arm.pretrained_tables:
        pretrained = embeddings.matrix(space)
        dim = pretrained.shape[1]
        if dim != config.id_dim:
            raise UserError(f"embeddings {str(embeddings.folder)!r}: table {space!r} has {dim} columns, "
                            f"ranking.id_dim is {config.id_dim}: set it to {dim}, or pretrain again")
        known, transfer = is_pretrained(dataset, space, embeddings), arm.pretrained_tables[space]
        start = (starts or {}).get(space, UNCHANGED)
        tables[space] = fill_pretrained(tables[space], start.rows(pretrained), known,
                                        mean=transfer.cold_rows == "mean" or start.cold_rule is not None)
    return tables
