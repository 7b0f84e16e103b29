"""Rows of unknown ids: the shared row of an unknown id plus what the id's side features predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import local_copy
from tfrs_pretrain.features.ranker_input import NumericStatistics
from tfrs_pretrain.ranking.model.pooling import mean_pooling

_BIAS, _OOV_ROWS, _VALUES, _NUMBERS = "bias", "oov_rows", "values", "numbers"


@dataclasses.dataclass(frozen=True)
class ColdRule:
    """A linear prediction of the difference between the row of an unknown id and its shared row.

    Attributes:
      oov_rows: number of shared rows; ids from there on are known and have rows of their own.
      bias: float32 [dim].
      values: column of a categorical or multi-valued feature -> float32 [n, dim], the effect of its rows 0 .. n - 1;
        further rows have none. The values of a padded column are averaged.
      numbers: numeric feature -> float32 [dim], the effect of one standard deviation.
    """

    oov_rows: int
    bias: np.ndarray
    values: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]

    def scaled(self, factor: float) -> ColdRule:
        """Return the rule for rows that are larger by a factor."""
        scale = np.float32(factor)
        values = {name: effects * scale for name, effects in self.values.items()}
        numbers = {name: effect * scale for name, effect in self.numbers.items()}
        return ColdRule(self.oov_rows, self.bias * scale, values, numbers)


class ColdRows(tf.Module):
    """Applies a rule for each ID space. Create it inside the strategy's scope. It is not trained.

    Args:
      rules: ID space -> its rule.
      numeric: numeric feature -> its statistics.
    """

    def __init__(self, rules: Mapping[str, ColdRule], numeric: Mapping[str, NumericStatistics]):
        super().__init__(name="cold_rows")
        self.rules = dict(rules)
        self._numeric = dict(numeric)
        self._arrays = {key: tf.Variable(value, trainable=False, dtype=tf.float32, name=f"cold_{key.replace('/', '_')}")
                        for key, value in _arrays(rules).items()}

    def fill(self, rows: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the rows of the ID spaces that have a rule, with those of unknown ids predicted.

        Args:
          rows: ID space -> float32 [n, dim], among others; n may be 1 for the user of several items.
          batch: columns of the ids [n] and of the features: [n], [n, length] or, for numeric features, more than n.
        """
        return {space: rows[space] + tf.where((batch[space] < rule.oov_rows)[:, None], self._predict(space, batch), 0.0)
                for space, rule in self.rules.items()}

    def _predict(self, space: str, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        rule, num_rows = self.rules[space], tf.shape(batch[space])[0]
        predicted = self._read(space, _BIAS)[None, :]
        for name in rule.values:
            predicted += _effects(self._read(space, _VALUES, name), batch[name])
        for name in rule.numbers:
            number = self._numeric[name].normalize(batch[name])[:num_rows]
            predicted += number[:, None] * self._read(space, _NUMBERS, name)
        return predicted

    def _read(self, *key: str) -> tf.Variable:
        return local_copy(self._arrays["/".join(key)])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the current values of the variables, ``<space>/bias`` or ``<space>/<kind>/<feature>`` -> float32."""
        return {key: local_copy(value).numpy() for key, value in self._arrays.items()}

    def numpy(self) -> dict[str, ColdRule]:
        """Return the rules with the current values of the variables."""
        return _rules(self.arrays()
                      | {f"{space}/{_OOV_ROWS}": np.array(rule.oov_rows) for space, rule in self.rules.items()})

    def save(self, path: Path) -> None:
        """Write the rules as one npz file."""
        rules = self.numpy()
        arrays: dict[str, Any] = {f"{space}/{_OOV_ROWS}": rule.oov_rows for space, rule in rules.items()}
        np.savez(path, **arrays, **_arrays(rules))


def load_cold_rules(path: Path) -> dict[str, ColdRule]:
    """Read the rules that ``ColdRows.save`` wrote."""
    with np.load(path) as file:
        return _rules(dict(file))


def _arrays(rules: Mapping[str, ColdRule]) -> dict[str, Any]:
    arrays: dict[str, Any] = {f"{space}/{_BIAS}": rule.bias for space, rule in rules.items()}
    for space, rule in rules.items():
        arrays |= {f"{space}/{_VALUES}/{name}": effects for name, effects in rule.values.items()}
        arrays |= {f"{space}/{_NUMBERS}/{name}": effect for name, effect in rule.numbers.items()}
    return arrays


def _rules(arrays: Mapping[str, np.ndarray]) -> dict[str, ColdRule]:
    def under(prefix: str) -> dict[str, np.ndarray]:
        return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}

    spaces = dict.fromkeys(key.partition("/")[0] for key in arrays)
    return {space: ColdRule(int(arrays[f"{space}/{_OOV_ROWS}"]), arrays[f"{space}/{_BIAS}"],
                            under(f"{space}/{_VALUES}/"), under(f"{space}/{_NUMBERS}/")) for space in spaces}


def _effects(table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return float32 [n, dim]: the effects of rows [n], or the mean over the valid rows of [n, length].

    Args:
      table: float32 [size, dim]; rows from ``size`` on have no effect.
      rows: int64, negative where padded.
    """
    rows = tf.convert_to_tensor(rows)
    inside = (rows >= 0) & (rows < tf.shape(table, tf.int64)[0])
    effects = tf.where(inside[..., None], tf.gather(table, tf.where(inside, rows, 0)), 0.0)
    if rows.shape.rank == 1:
        return effects
    return mean_pooling(effects, rows >= 0)
