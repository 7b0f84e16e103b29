"""What a ranker needs to know of one user and some items, out of a dataset's impressions.

Features of the items and users tables lie in every impression of the item or user, encoded as the Beam jobs did; so
they are taken from there, and what was never shown has missing values. Context is named by the caller; what is not
named takes the most frequent value of the training impressions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import checked_reading, evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.schema import HISTORY, ITEM_ROW, PADDING, USER_ID, USER_ROW
from tfrs_pretrain.value_types import ARROW_TYPES, MISSING

BATCH_SIZE = 65536


@dataclasses.dataclass(frozen=True)
class Found:
    """Columns of a batch, one line an item, and what had to be assumed about them.

    Attributes:
      columns: column -> [items] or [items, length], as a ranker reads them.
      unseen_items: bool [items]: no impression holds the item, so its features are missing.
      user_seen: whether an impression holds the user.
      assumed: context feature -> the value that it takes because none was named.
    """

    columns: dict[str, np.ndarray]
    unseen_items: np.ndarray
    user_seen: bool
    assumed: dict[str, Any]


def find_features(dataset: Dataset, wanted: Sequence[str], user: Any, items: np.ndarray,
                  context: Mapping[str, str]) -> Found:
    """Reads the impressions once.

    Args:
      dataset: whose impressions and vocabularies.
      wanted: columns that the ranker reads.
      user: raw id.
      items: int64 [items] rows of the item table, of admitted items.
      context: feature -> raw value as text; a JSON array for a multi-valued one.

    Raises:
      UserError: ``context`` names something that is no feature of the impression log or no value of it.
    """
    features = {feature.name: feature for feature in dataset.schema.features if feature.name in wanted}
    of_impressions = [name for name, feature in features.items() if feature.source == "impressions"]
    if unknown := sorted(set(context) - set(of_impressions)):
        raise UserError(f"--context {unknown[0]!r} is no feature of the impression log that this ranker reads: name "
                        f"one of {sorted(of_impressions)}")
    named = {name: _parsed(dataset, features[name], text) for name, text in context.items()}
    scan = _Scan(dataset, features, HISTORY in wanted, user, items)
    scan.run([name for name in of_impressions if name not in named])
    columns = {USER_ROW: np.full(len(items), scan.user_row), ITEM_ROW: items}
    assumed = {}
    for name, feature in features.items():
        if feature.source == "items":
            columns[name] = scan.of_items[name]
            continue
        if feature.source == "users":
            value = scan.of_user.get(name, _missing(dataset, feature))
        elif name in named:
            value = named[name]
        else:
            value = scan.most_frequent(name)
            assumed[name] = _decoded(dataset, feature, value)
        columns[name] = np.repeat(np.asarray(value)[None], len(items), axis=0)
    if HISTORY in wanted:
        columns[HISTORY] = np.repeat(scan.history[None], len(items), axis=0)
    return Found({name: columns[name] for name in wanted}, ~scan.item_seen, scan.user_seen, assumed)


class _Scan:
    """One pass over the impressions, earliest window first."""

    def __init__(self, dataset: Dataset, features: Mapping[str, Feature], history: bool, user: Any, items: np.ndarray):
        self._dataset, self._features = dataset, features
        self._reads_history = history
        space = dataset.schema.user
        self.user_row = int(dataset.vocabulary(USER_ROW).lookup(pa.array([user], ARROW_TYPES[space.dtype]))[0])
        self._stored_user = user.encode() if isinstance(user, str) else user
        self._place = np.full(dataset.num_rows(ITEM_ROW), -1)
        self._place[items] = np.arange(len(items))
        self.item_seen, self.user_seen = np.zeros(len(items), bool), False
        self.of_items = {name: np.repeat(np.asarray(_missing(dataset, feature))[None], len(items), axis=0)
                         for name, feature in features.items() if feature.source == "items"}
        self.of_user: dict[str, np.ndarray] = {}
        self.history = np.full(dataset.schema.history.length if dataset.schema.history else 0, PADDING, np.int64)
        self._counts: dict[str, np.ndarray] = {}

    def run(self, counted: Sequence[str]) -> None:
        """Finds everything, and counts values of the ``counted`` features in the training impressions."""
        vocabularies = [name for name in counted if self._features[name].record_column.is_category]
        self._counts = {name: np.zeros(self._dataset.num_rows(name), np.int64) for name in vocabularies}
        columns = [USER_ID, ITEM_ROW, *(name for name, feature in self._features.items()
                                        if feature.source != "impressions" or name in vocabularies)]
        columns += [HISTORY] if self._reads_history else []
        for split in IMPRESSION_SPLITS:
            longest = np.empty(0, np.int64)
            with checked_reading(self._dataset, split):
                for batch in evaluation_batches(self._dataset, split, batch_size=BATCH_SIZE,
                                                columns=columns).as_numpy_iterator():
                    self._take_items(batch)
                    longest = self._take_user(batch, longest)
                    for name in vocabularies if split == IMPRESSION_SPLITS[0] else ():
                        self._counts[name] += np.bincount(batch[name], minlength=len(self._counts[name]))
            if len(longest):
                # Records lie in no order of time; of a window's histories the longest is the latest, until it is full.
                self.history = longest

    def _take_items(self, batch: Mapping[str, np.ndarray]) -> None:
        places = self._place[batch[ITEM_ROW]]
        here = np.flatnonzero(places >= 0)
        self.item_seen[places[here]] = True
        for name, values in self.of_items.items():
            values[places[here]] = batch[name][here]

    def _take_user(self, batch: Mapping[str, np.ndarray], longest: np.ndarray) -> np.ndarray:
        """The longest history so far, given that before this batch."""
        mine = np.flatnonzero(batch[USER_ID] == self._stored_user)
        if not len(mine):
            return longest
        self.user_seen = True
        self.of_user = {name: batch[name][mine[-1]] for name, feature in self._features.items()
                        if feature.source == "users"}
        if not self._reads_history:
            return longest
        histories = [longest, *batch[HISTORY][mine]]
        return max(histories, key=lambda rows: int((rows != PADDING).sum()))

    def most_frequent(self, name: str) -> Any:
        """The most frequent row of a categorical feature; other features are missing where nobody names them."""
        if name in self._counts:
            return np.int64(self._counts[name].argmax())
        return _missing(self._dataset, self._features[name])


def _missing(dataset: Dataset, feature: Feature) -> Any:
    """A missing value as a batch has it."""
    return _encoded(dataset, feature, feature.raw_input.missing())


def _parsed(dataset: Dataset, feature: Feature, text: str) -> Any:
    """The value that a text stands for, as a batch has it."""
    try:
        return _encoded(dataset, feature, feature.raw_input.parse(text))
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise UserError(f"--context {feature.name}={text}: expected {feature.raw_input.words} "
                        f"({' '.join(str(error).split())})") from error


def _encoded(dataset: Dataset, feature: Feature, raw: np.ndarray) -> Any:
    """The first of raw values [n] as a batch has it."""
    return feature.batch_column(raw, lambda name, values: dataset.vocabulary(name).lookup(values))[0]


def _decoded(dataset: Dataset, feature: Feature, value: Any) -> Any:
    """The raw value that a batch's value stands for; None if it is missing or shared, or there is no single one."""
    if not feature.record_column.is_category:
        return None
    vocabulary = dataset.vocabulary(feature.name)
    raw = vocabulary.ids[int(value) - vocabulary.oov_rows].as_py() if value >= vocabulary.oov_rows else None
    return None if raw == MISSING[vocabulary.dtype] else raw
