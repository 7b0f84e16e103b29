"""Golden impressions: held-out impressions with their raw values and the trained model's scores."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import GOLDEN_IMPRESSIONS
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import checked_reading, evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.ranking.model.ranker import Ranker, score_names
from tfrs_pretrain.schema import KEY
from tfrs_pretrain.serving.graph.inputs import raw_inputs
from tfrs_pretrain.serving.protocol.signature_names import SERVING_DEFAULT
from tfrs_pretrain.value_types import ARROW_TYPES, MISSING, missing_value

SPLIT = "impressions/validation"
BATCH_SIZE = 8192


@dataclasses.dataclass(frozen=True)
class GoldenImpressions:
    """Held-out impressions with expected scores.

    Attributes:
      keys: int64 [n], keys of the impressions.
      inputs: input name -> raw values [n] or [n, length], see ``graph.inputs.raw_inputs``.
      scores: output name -> float32 [n], probabilities that the trained model computes from the dataset's records of
        these impressions.
    """

    keys: np.ndarray
    inputs: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]

    def as_rest(self) -> str:
        """Returns JSON: the body of a REST request in row format, and the expected ``outputs``.

        Missing numbers are written as NaN, which TensorFlow Serving's REST interface accepts.
        """
        columns = {name: values.tolist() for name, values in self.inputs.items()}
        instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        content = {"signature_name": SERVING_DEFAULT, "instances": instances,
                   "outputs": {name: values.tolist() for name, values in self.scores.items()}}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_golden_impressions(dataset: Dataset, ranker: Ranker) -> GoldenImpressions:
    """Reads the dataset's golden impressions: raw values from their raw copy, scores from the dataset's records.

    The Beam job processed the records, but not the raw copy. A served model that computes the same scores from the raw
    copy therefore processes raw values as the Beam job does.

    Args:
      dataset: the dataset.
      ranker: ranker with the tables to serve.

    Raises:
      UserError: the raw copy cannot be read or lacks a column, or its impressions are not among the records.
    """
    path = dataset.checked_file(GOLDEN_IMPRESSIONS)
    expected = raw_inputs(dataset.schema, ranker.inputs.columns)
    try:
        table = pq.read_table(path)
        keys = table[KEY].to_numpy()
        inputs = {name: _padded(table[name], spec) if spec.length else _plain(table[name], spec.dtype)
                  for name, spec in expected.items()}
    except KeyError as error:
        raise UserError(f"golden impressions {str(path)!r} lack a column: expected {[KEY, *expected]}, found "
                        f"{table.column_names}; build the dataset again") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"golden impressions {str(path)!r} cannot be read ({' '.join(str(error).split())}): "
                        "build the dataset again") from error
    return GoldenImpressions(keys, inputs, _trained_scores(dataset, ranker, keys))


def _plain(values: pa.ChunkedArray, dtype: str) -> np.ndarray:
    return np.asarray(values.cast(ARROW_TYPES[dtype]).fill_null(missing_value(dtype)).to_numpy())


def _padded(lists: pa.ChunkedArray, spec: RawInput) -> np.ndarray:
    """Lists as an array [n, length], padded with the missing value."""
    dtype = np.int64 if spec.dtype == "int64" else object
    padded = np.full((len(lists), spec.length or 0), MISSING[spec.dtype], dtype)
    for position, values in enumerate(lists.to_pylist()):
        padded[position, :len(values)] = values
    return padded


def _trained_scores(dataset: Dataset, ranker: Ranker, keys: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of the validation records with these keys: output name -> float32 [n], in the order of ``keys``."""
    scores: dict[int, list[float]] = {}
    with checked_reading(dataset, SPLIT):
        for batch in evaluation_batches(dataset, SPLIT, batch_size=BATCH_SIZE).as_numpy_iterator():
            golden = np.flatnonzero(np.isin(batch[KEY], keys))
            if len(golden):
                scored = ranker.score({name: batch[name][golden] for name in ranker.inputs.columns}).numpy()
                scores.update(zip(batch[KEY][golden].tolist(), scored.tolist(), strict=True))
    missing = [key for key in keys.tolist() if key not in scores]
    if missing:
        raise UserError(f"golden impression {missing[0]} is not among the records of {SPLIT!r} in "
                        f"{str(dataset.folder)!r} ({len(missing)} of {len(keys)} are not): build the dataset again")
    by_head = np.array([scores[key] for key in keys.tolist()], np.float32).T  # [heads, n]
    return dict(zip(score_names(ranker.labels), by_head, strict=True))
