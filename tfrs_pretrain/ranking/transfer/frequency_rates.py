"""Learning rates that follow the frequency of rows: FALR, a remedy for the one-epoch phenomenon.

Qiu et al., "The Evolution of Embedding Table Optimization and Multi-Epoch Training in Pinterest Ads Conversion" (arXiv
2505.05605): the learning rate of row i of table T is the table's rate times ``log(F[i] + 1) / max_j log(F[j] + 1)``,
where F[i] is the frequency of the row in the training data. Rows that occur seldom, which are memorized first, move
slowly. This is the project's reading: the equation was taken from secondary sources, not from the paper itself.

One difference: the paper accumulates F while it trains. Here F is counted in the training impressions before the first
step, so that the rate of a row does not depend on how far the training is, and a resumed run has the same rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.features.ranker_input import RowInput

BATCH_SIZE = 8192


def column_frequencies(dataset: Dataset, inputs: Iterable[RowInput]) -> dict[str, np.ndarray]:
    """Count how often the training impressions contain each row, by column.

    Args:
      dataset: provides the impressions.
      inputs: the columns and their vocabularies.

    Returns:
      column -> int64 [num_rows of its vocabulary].
    """
    counts = {row.column: np.zeros(dataset.num_rows(row.vocabulary), np.int64) for row in inputs}
    batches = evaluation_batches(dataset, IMPRESSION_SPLITS[0], batch_size=BATCH_SIZE, columns=sorted(counts))
    for batch in batches.as_numpy_iterator():
        for column, counted in counts.items():
            rows = batch[column].reshape(-1)
            counts[column] = counted + np.bincount(rows[rows >= 0], minlength=len(counted))
    return counts


def table_scales(inputs: Iterable[RowInput], frequencies: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return table -> float32 [num_rows], the factors of its rows; a table of several columns counts all of them."""
    counts: dict[str, np.ndarray] = {}
    for table, column in {(row.table, row.column) for row in inputs}:
        counts[table] = counts.get(table, 0) + frequencies[column]
    return {table: frequency_scales(total) for table, total in counts.items()}


def frequency_scales(frequencies: np.ndarray) -> np.ndarray:
    """Compute the factor of each row's learning rate.

    Args:
      frequencies: int64 [num_rows].

    Returns:
      float32 [num_rows], 1 for the most frequent row and 0 for a row that does not occur.
    """
    logarithms = np.log1p(frequencies)
    scales: np.ndarray = (logarithms / max(float(logarithms.max(initial=0.0)), 1e-12)).astype(np.float32)
    return scales
