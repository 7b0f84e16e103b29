"""Where the tables of a ranker start: at random, or, for the ID tables, at pretrained rows."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.tables import normal_rows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.inputs import Inputs
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW


def initial_rows(inputs: Inputs, dataset: Dataset, config: RankingConfig, *, seed: int,
                 embeddings: Embeddings | None) -> dict[str, np.ndarray]:
    """float32 [rows, dim] of each table that the inputs name.

    Random rows depend on seed and table alone, so arms that differ in transfer share every other start. Pretrained
    rows replace the random ones of admitted ids (``pretrained_rows``).

    Args:
      inputs: columns of the ranker.
      dataset: gives the sizes.
      config: gives the dimensions and the scale of random rows.
      seed: of the random rows.
      embeddings: pretrained rows, or None to start from scratch.

    Raises:
      UserError: the embeddings do not fit the dataset or ``ranking.id_dim``.
    """
    spaces = dataset.schema.id_spaces
    rows = {name: normal_rows(dataset.rows(vocabulary), config.id_dim if vocabulary in spaces else config.feature_dim,
                              config.initial_scale, seed_of(seed, name)) for name, vocabulary in inputs.tables.items()}
    if embeddings is None:
        return rows
    embeddings.check_fits(dataset)
    for name in spaces:
        pretrained = embeddings.rows(name)
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
    batches = list(evaluation_batches(dataset, split, batch_size=2**16, columns=columns).as_numpy_iterator())
    shares: dict[str, float] = {}
    both = np.ones(dataset.examples(split), bool)
    for rows, ids in spaces.items():
        known = pretrained_rows(dataset, rows)[np.concatenate([batch[rows] for batch in batches])]
        first = ~pd.Series(np.concatenate([batch[ids] for batch in batches])).duplicated().to_numpy()
        shares |= {f"{rows}_impressions": float(known.mean()), f"{rows}_ids": float(known[first].mean())}
        both &= known
    return shares | {"impressions": float(both.mean())}


def seed_of(seed: int, *names: str) -> int:
    """A seed for one purpose, so that adding another purpose moves no numbers."""
    return int.from_bytes(hashlib.sha256("/".join([str(seed), *names]).encode()).digest()[:4], "big") >> 1
