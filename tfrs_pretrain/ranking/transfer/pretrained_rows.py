"""Start of an ID table at pretrained rows: their scale, and the values of the rows that have none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from rich.text import Text

from tfrs_pretrain.config import ArmConfig, PretrainedTransfer, RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import training_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.progress import console
from tfrs_pretrain.ranking.model.cold_rows import ColdRule
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.transfer.cold_features import ColdFit, fit_cold_rows
from tfrs_pretrain.ranking.transfer.evidence import evidence_weights, shrunk_rows
from tfrs_pretrain.row_arrays import PatchedRows, Rows, TakenRows
from tfrs_pretrain.vocabulary import Vocabulary

MEASURED_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class PretrainedStart:
    """Changes of an ID space's pretrained rows before the ranker trains them.

    Attributes:
      factor: of all values.
      weights: float32 [num_rows], of each row against the mean row, before the factor; None: the rows as pretrained.
      cold_fit: prediction of the rows of unknown ids, before the factor; None if the arm does not configure one.
    """

    factor: float = 1.0
    weights: np.ndarray | None = None
    cold_fit: ColdFit | None = None

    @property
    def cold_rule(self) -> ColdRule | None:
        """The prediction of the rows of unknown ids; None without one."""
        return self.cold_fit.rule.scaled(self.factor) if self.cold_fit and self.cold_fit.rule else None

    def rows(self, matrix: np.ndarray) -> np.ndarray:
        """Return the pretrained rows of a matrix [num_rows, dim] as they start."""
        rows = matrix if self.weights is None else shrunk_rows(matrix, self.weights)
        return rows if self.factor == 1.0 else rows * np.float32(self.factor)


UNCHANGED = PretrainedStart()


def pretrained_starts(dataset: Dataset, inputs: Inputs, config: RankingConfig, arm: ArmConfig,
                      embeddings: Embeddings | None, *, seed: int) -> dict[str, PretrainedStart]:
    """Measure the scale and fit the prediction of unknown ids for every ID space that starts at pretrained rows.

    Args:
      dataset: provides the training impressions.
      inputs: of the student.
      config: provides the batch size.
      arm: configures both.
      embeddings: pretrained rows; None if no table is transferred.
      seed: of the order in which the training impressions are read.
    """
    if embeddings is None:
        return {}
    embeddings.check_compatible(dataset)
    starts = {}
    for space, transfer in arm.pretrained_tables.items():
        known = is_pretrained(dataset, space, embeddings)
        weights = _weights(dataset.vocabulary(space), known, transfer.shrinkage)
        matrix = PretrainedStart(weights=weights).rows(embeddings.matrix(space))
        fit = fit_cold_rows(dataset, inputs, space, matrix, known) if transfer.cold_rows == "features" else None
        factor = _factor(transfer, dataset, space, matrix, known, config.batch_size, seed)
        starts[space] = PretrainedStart(factor, weights, fit)
    return starts


def _weights(vocabulary: Vocabulary, known: np.ndarray, shrinkage: float | None) -> np.ndarray | None:
    """Return the weight of each row; 1 for rows of earlier windows, whose engagements are not counted."""
    if shrinkage is None:
        return None
    weights = evidence_weights(vocabulary, shrinkage)
    weights[known & ~vocabulary.occurring] = 1.0
    return weights


def _factor(transfer: PretrainedTransfer, dataset: Dataset, space: str, matrix: np.ndarray, known: np.ndarray,
            batch_size: int, seed: int) -> float:
    if transfer.pretrained_rms is None:
        return 1.0
    batches = training_batches(dataset, batch_size=batch_size, seed=seed, epoch=0).take(MEASURED_BATCHES)
    used = np.concatenate([batch[space] for batch in batches.as_numpy_iterator()])
    measured = root_mean_square(matrix, used[known[used]])
    return transfer.pretrained_rms / measured if measured else 1.0


def print_cold_fits(starts: Mapping[str, PretrainedStart]) -> None:
    """Print a line about each configured prediction of unknown ids."""
    for space, start in starts.items():
        if start.cold_fit:
            console.print(Text(start.cold_fit.describe(space), style="dim"), soft_wrap=True)


def root_mean_square(matrix: np.ndarray, rows: np.ndarray) -> float:
    """Return the root mean square of the values of some rows of a matrix, of all rows if there are none.

    Args:
      matrix: float32 [num_rows, dim].
      rows: int64 [n], may repeat: each occurrence counts.
    """
    values = np.asarray(matrix[rows] if len(rows) else matrix, np.float64)
    return float(np.sqrt(np.mean(np.square(values))))


def fill_pretrained(table: Rows, pretrained: np.ndarray, known: np.ndarray, *, mean: bool = False) -> Rows:
    """Return a table of random rows with pretrained rows in it.

    Args:
      table: float32 [num_rows, dim].
      pretrained: float32 [num_rows, dim].
      known: bool [num_rows], the rows to take over.
      mean: the other rows become the mean of these rows; otherwise they remain random.
    """
    rows = np.flatnonzero(known)
    if mean and len(rows):
        mean_row = pretrained[known].mean(axis=0, dtype=np.float64).astype(table.dtype)
        table = np.broadcast_to(mean_row, table.shape)
    return PatchedRows(table, rows, TakenRows(pretrained, rows))


def is_pretrained(dataset: Dataset, space: str, embeddings: Embeddings | None = None) -> np.ndarray:
    """Return bool [num_rows]: the row belongs to one id that has an engagement in the pretraining window.

    If the embeddings started from earlier ones, ids whose row was trained in an earlier window are pretrained too.

    Rows shared by out-of-vocabulary ids are false: in ranking they belong to ids that pretraining never saw, and not to
    the ids that shared the row in pretraining.
    """
    vocabulary, trained = dataset.vocabulary(space), embeddings.trained_rows(space) if embeddings else None
    if trained is None:
        return vocabulary.occurring
    pretrained = np.zeros(vocabulary.num_rows, bool)
    pretrained[vocabulary.id_rows] = trained[vocabulary.id_rows]
    return pretrained
