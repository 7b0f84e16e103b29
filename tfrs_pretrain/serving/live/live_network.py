"""The ranker that a live model traces: it reads everything dense from ``LiveDense``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrs_pretrain.features.ranker_input import NumericStatistics
from tfrs_pretrain.ranking.model.cold_rows import ColdRows
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.live.live_dense import COLD, MEANS, SCALES, WEIGHT, LiveDense


class LiveNetwork:
    """Computes logits as ``Ranker.logits_from_rows``.

    Args:
      ranker: ranker of the base version.
      dense: its dense part.
      number_rows: returns the columns of a batch with the row numbers that the prediction of unknown ids reads.
    """

    def __init__(self, ranker: Ranker, dense: LiveDense,
                 number_rows: Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]):
        self._ranker, self._dense, self._number_rows = ranker, dense, number_rows

    def __call__(self, rows: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor], *,
                 sides: Sequence[Sequence[str]] | None = None) -> tf.Tensor:
        arrays, network = self._dense.read(), self._ranker.network
        weights = [(weight, arrays[f"{WEIGHT}{number}"]) for number, weight in enumerate(network.weights)]
        with keras.StatelessScope(state_mapping=weights):
            return self._live_ranker(arrays).logits_from_rows(rows, self._number_rows(batch), sides=sides)

    def _live_ranker(self, arrays: Mapping[str, tf.Tensor]) -> Ranker:
        ranker, numeric = self._ranker, dict(self._ranker.inputs.numeric)
        for number, (name, spec) in enumerate(numeric.items()):
            numeric[name] = _LiveStatistics(arrays[MEANS][number], arrays[SCALES][number], spec.log1p)
        cold = _LiveColdRows(ranker.cold_rows, numeric, arrays) if ranker.cold_rows else None
        return Ranker(dataclasses.replace(ranker.inputs, numeric=numeric), ranker.tables, ranker.network, ranker.labels,
                      cold)


@dataclasses.dataclass(frozen=True)
class _LiveStatistics(NumericStatistics):
    """Statistics whose values are tensors: the mean, and in the place of the standard deviation the scale."""

    mean: Any
    std: Any

    @property
    def scale(self) -> Any:
        return self.std


class _LiveColdRows(ColdRows):
    """The prediction of unknown ids from given arrays."""

    def __init__(self, cold_rows: ColdRows, numeric: Mapping[str, NumericStatistics], arrays: Mapping[str, tf.Tensor]):
        super().__init__({}, numeric)
        self.rules, self._live = cold_rows.rules, arrays

    def _read(self, *key: str) -> tf.Tensor:
        return self._live[COLD + "/".join(key)]
