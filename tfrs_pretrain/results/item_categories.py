"""Items of the scored impressions and the item feature that colours the embedding map."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import PREDICTIONS_FOLDER, RANKER_KIND
from tfrs_pretrain.artifacts import artifact_file
from tfrs_pretrain.evaluation.predictions import FEATURE, ITEM_COUNT
from tfrs_pretrain.ranking.predict import MISSING_VALUE, UNKNOWN
from tfrs_pretrain.schema import ITEM_ROW
from tfrs_pretrain.study import Run

MIN_ENGAGEMENTS = 5  # rows of rarer items have hardly moved from their initial values
MIN_VALUES, MAX_VALUES = 2, 40  # of a feature that can colour the map; with more values it resembles an id


@dataclasses.dataclass(frozen=True)
class ItemCategories:
    """Items with a known category.

    Attributes:
      feature: name of the item feature.
      items: row numbers, int64 [n], ascending.
      categories: value of the feature, str [n].
    """

    feature: str
    items: np.ndarray
    categories: np.ndarray


def item_categories(run: Run, features: Sequence[str]) -> ItemCategories | None:
    """Return the items of a run's scored impressions, by the feature with the most values within the limits.

    Args:
      run: the run.
      features: names of categorical item features.

    Returns:
      None if no feature has between ``MIN_VALUES`` and ``MAX_VALUES`` values, or the predictions have no counts.
    """
    paths = [artifact_file(run.ranker, RANKER_KIND, f"{PREDICTIONS_FOLDER}/{path.name}")
             for path in sorted((run.ranker / PREDICTIONS_FOLDER).glob("*.parquet"))]
    columns = set(pq.read_schema(paths[0]).names) if paths else set()
    names = [name for name in features if FEATURE + name in columns]
    if not names or ITEM_COUNT not in columns:
        return None
    table = pa.concat_tables([pq.read_table(path, columns=[ITEM_ROW, ITEM_COUNT, *(FEATURE + name for name in names)])
                              for path in paths])
    items, first = np.unique(table[ITEM_ROW].to_numpy(), return_index=True)
    table = table.take(pa.array(first))
    is_frequent = table[ITEM_COUNT].to_numpy() >= MIN_ENGAGEMENTS
    candidates = []
    for name in names:
        values = np.array(table[FEATURE + name].cast(pa.string()).to_pylist(), dtype=str)
        is_used = is_frequent & ~np.isin(values, (UNKNOWN, MISSING_VALUE))
        candidates.append(ItemCategories(name, items[is_used], values[is_used]))
    suitable = [each for each in candidates if MIN_VALUES <= _num_values(each) <= MAX_VALUES]
    return max(suitable, key=_num_values, default=None)


def _num_values(found: ItemCategories) -> int:
    return len(np.unique(found.categories))
