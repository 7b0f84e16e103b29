"""Fit what the side features of an id say about its pretrained row, for ids that have none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.ranking.model.cold_rows import ColdRule
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.transfer.ridge import FOLDS, Ridge, fit_ridge
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW

SOURCES = {USER_ROW: "users", ITEM_ROW: "items"}
MAX_IDS, MAX_COLUMNS, MIN_IDS = 20_000, 512, 10 * FOLDS  # fitted in seconds, in 200 MB
BATCH_SIZE = 8192


@dataclasses.dataclass(frozen=True)
class ColdFit:
    """Prediction of an ID space's pretrained rows from side features.

    Attributes:
      rule: the prediction; None if it is not better than the mean of the rows, or there is nothing to fit it on.
      r2: its coefficient of determination on held-out ids; None if there is nothing to fit it on.
      num_ids: number of ids that it was fitted on.
    """

    rule: ColdRule | None
    r2: float | None
    num_ids: int

    def to_json(self) -> dict[str, Any]:
        """Return what the ranker's manifest records."""
        return {"r2": self.r2, "ids": self.num_ids, "used": self.rule is not None}

    def describe(self, space: str) -> str:
        """Describe it in one line."""
        if self.r2 is None:
            return f"{space}: no side features to predict the rows of unknown ids from, they start at random"
        use = "unknown ids start at the prediction" if self.rule else "unknown ids start at random rows"
        return f"{space}: side features predict pretrained rows with R² {self.r2:.3f} on held-out ids; {use}"


def fit_cold_rows(dataset: Dataset, inputs: Inputs, space: str, rows: np.ndarray, known: np.ndarray) -> ColdFit:
    """Fit a ridge regression from the side features of known ids to their rows.

    Features are read from the training impressions. At most MAX_IDS ids are used, and the most frequent values of each
    categorical feature, so that there are about MAX_COLUMNS values of all features.

    Args:
      dataset: provides the impressions.
      inputs: of the ranker; it must read a feature so that the prediction can use it.
      space: "user" or "item".
      rows: float32 [num_rows, dim], as they start in the ranker.
      known: bool [num_rows], the rows that are pretrained.
    """
    names = [feature.name for feature in dataset.schema.features
             if feature.source == SOURCES[space] and feature.name in inputs.columns]
    if not names:
        return ColdFit(None, None, 0)
    ids, columns = _features_of_ids(dataset, space, names, known)
    if len(ids) < MIN_IDS:
        return ColdFit(None, None, len(ids))
    most = max(1, MAX_COLUMNS // len(names))
    sizes = {name: 0 if name in inputs.numeric else min(most, dataset.num_rows(name)) for name in names}
    design = np.concatenate([_design(columns[name], sizes[name], inputs, name) for name in names], axis=1)
    fit = fit_ridge(design, rows[ids])
    rule = _rule(fit, sizes, dataset.vocabulary(space).oov_rows) if fit.r2 > 0 else None
    return ColdFit(rule, fit.r2, len(ids))


def _features_of_ids(dataset: Dataset, space: str, names: list[str], known: np.ndarray
                     ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return int64 [n] distinct known rows of the training impressions, and the features of each: name -> [n, ...]."""
    seen, ids, features = ~known, [], []
    batches = evaluation_batches(dataset, IMPRESSION_SPLITS[0], batch_size=BATCH_SIZE, columns=(space, *names))
    found = 0
    for batch in batches.as_numpy_iterator():
        rows, first = np.unique(batch[space], return_index=True)
        first = np.sort(first[~seen[rows]])[:MAX_IDS - found]
        ids.append(batch[space][first])
        features.append({name: batch[name][first] for name in names})
        seen[ids[-1]] = True
        found += len(first)
        if found == MAX_IDS:
            break
    return np.concatenate(ids), {name: _stacked([part[name] for part in features]) for name in names}


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate [n] or [n, any length] columns, padded to the same length."""
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    length = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, length - part.shape[1])), constant_values=-1) for part in parts])


def _design(column: np.ndarray, size: int, inputs: Inputs, name: str) -> np.ndarray:
    """Return float64 [n, columns]: the share of each of ``size`` values, or the normalized number."""
    if not size:
        return np.asarray(inputs.numeric[name].normalize(column), np.float64)[:, None]
    values = column.reshape(len(column), -1)
    design = np.zeros((len(values), size))
    row, slot = np.nonzero((values >= 0) & (values < size))
    np.add.at(design, (row, values[row, slot]), 1.0)
    shares: np.ndarray = design / np.maximum((values >= 0).sum(axis=1), 1)[:, None]
    return shares


def _rule(fit: Ridge, sizes: Mapping[str, int], oov_rows: int) -> ColdRule:
    values, numbers, start = {}, {}, 0
    for name, size in sizes.items():
        part = fit.weights[start:start + (size or 1)].astype(np.float32)
        start += size or 1
        if size:
            values[name] = part
        else:
            numbers[name] = part[0]
    return ColdRule(oov_rows, -(fit.feature_means @ fit.weights).astype(np.float32), values, numbers)
