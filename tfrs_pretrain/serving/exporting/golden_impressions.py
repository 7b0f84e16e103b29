"""Golden requests: held-out impressions with their raw values, and what the trained model scored them."""

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
    """Requests and the scores expected for them.

    Attributes:
      keys: int64 [n] of the impressions.
      inputs: input of the signature -> raw values [n] or [n, length], see ``model.raw_inputs``.
      scores: output of the signature -> float32 [n] probabilities of the trained model on the dataset's own records of
        these impressions.
    """

    keys: np.ndarray
    inputs: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]

    def as_rest(self) -> str:
        """JSON: the body of a REST request in row format, with the expected ``outputs`` beside it.

        Missing numbers are written NaN, as TensorFlow Serving's REST interface reads them.
        """
        columns = {name: values.tolist() for name, values in self.inputs.items()}
        instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        content = {"signature_name": SERVING_DEFAULT, "instances": instances,
                   "outputs": {name: values.tolist() for name, values in self.scores.items()}}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_golden_impressions(dataset: Dataset, ranker: Ranker) -> GoldenImpressions:
    """The dataset's golden impressions: raw values from its raw copy, scores from its records.

    The two took different ways from the log, so a served model that gives the same scores reads raw values as the
    Beam job did.

    Raises:
      UserError: the raw copy is unreadable or lacks a column, or its impressions are not among the records.
    """
    path = dataset.folder / GOLDEN_IMPRESSIONS
    expected = raw_inputs(dataset.schema, ranker.inputs.columns)
    try:
        table = pq.read_table(path)
        keys = table[KEY].to_numpy()
        inputs = {name: _padded(table[name], of) if of.length else _plain(table[name], of.dtype)
                  for name, of in expected.items()}
    except KeyError as error:
        raise UserError(f"golden impressions {str(path)!r} lack a column: expected {[KEY, *expected]}, found "
                        f"{table.column_names}; build the dataset again") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"golden impressions {str(path)!r} cannot be read ({' '.join(str(error).split())}): "
                        "build the dataset again") from error
    return GoldenImpressions(keys, inputs, _trained_scores(dataset, ranker, keys))


def _plain(values: pa.ChunkedArray, dtype: str) -> np.ndarray:
    return values.cast(ARROW_TYPES[dtype]).fill_null(missing_value(dtype)).to_numpy()


def _padded(lists: pa.ChunkedArray, of: RawInput) -> np.ndarray:
    """[n, length]: the values of each list, then the missing value."""
    padded = np.full((len(lists), of.length or 0), MISSING[of.dtype], np.int64 if of.dtype == "int64" else object)
    for row, values in enumerate(lists.to_pylist()):
        padded[row, :len(values)] = values
    return padded


def _trained_scores(dataset: Dataset, ranker: Ranker, keys: np.ndarray) -> dict[str, np.ndarray]:
    """Output -> float32 [n] scores of the validation records with these keys, in the order of ``keys``."""
    scores: dict[int, list[float]] = {}
    with checked_reading(dataset, SPLIT):
        for batch in evaluation_batches(dataset, SPLIT, batch_size=BATCH_SIZE).as_numpy_iterator():
            chosen = np.flatnonzero(np.isin(batch[KEY], keys))
            if len(chosen):
                found = ranker.score({name: batch[name][chosen] for name in ranker.inputs.columns}).numpy()
                scores.update(zip(batch[KEY][chosen].tolist(), found.tolist(), strict=True))
    missing = [key for key in keys.tolist() if key not in scores]
    if missing:
        raise UserError(f"golden impression {missing[0]} is not among the records of {SPLIT!r} in "
                        f"{str(dataset.folder)!r} ({len(missing)} of {len(keys)} are not): build the dataset again")
    found = np.array([scores[key] for key in keys.tolist()], np.float32)  # [n, heads]
    return dict(zip(score_names(ranker.labels), found.T, strict=True))
