"""Features of one user and some items, read from a dataset's impressions.

Every impression of an item or user has its features, encoded by the Beam jobs. An item or user without impressions has
missing values. The caller specifies context features; an unspecified one takes its most frequent value in the training
impressions.
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
class CandidateFeatures:
    """Columns of a ranker's batch with one row per item, and the assumptions behind them.

    Attributes:
      columns: column -> [items] or [items, length].
      unseen_items: bool [items], true if the item has no impression, hence missing features.
      user_seen: whether the user has an impression.
      assumed: unspecified context feature -> the value that it takes.
    """

    columns: dict[str, np.ndarray]
    unseen_items: np.ndarray
    user_seen: bool
    assumed: dict[str, Any]


def read_candidate_features(dataset: Dataset, wanted: Sequence[str], user: Any, items: np.ndarray,
                            context: Mapping[str, str]) -> CandidateFeatures:
    """Reads the features in one pass over the impressions.

    Args:
      dataset: impressions and vocabularies.
      wanted: columns that the ranker reads.
      user: raw user id.
      items: int64 [items] rows of admitted items.
      context: feature -> raw value as text; lists are JSON arrays.

    Raises:
      UserError: a name in ``context`` is not a feature of the impression log, or a text is not a value of it.
    """
    features = {feature.name: feature for feature in dataset.schema.features if feature.name in wanted}
    context_features = [name for name, feature in features.items() if feature.source == "impressions"]
    if unknown := sorted(set(context) - set(context_features)):
        raise UserError(f"--context {unknown[0]!r} is no feature of the impression log that this ranker reads: name "
                        f"one of {sorted(context_features)}")
    named = {name: _parsed(dataset, features[name], text) for name, text in context.items()}
    scan = _Scan(dataset, features, HISTORY in wanted, user, items)
    scan.run([name for name in context_features if name not in named])
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
    return CandidateFeatures({name: columns[name] for name in wanted}, ~scan.item_seen, scan.user_seen, assumed)


class _Scan:
    """One pass over the impressions, in order of the windows."""

    def __init__(self, dataset: Dataset, features: Mapping[str, Feature], history: bool, user: Any, items: np.ndarray):
        self._dataset, self._features = dataset, features
        self._reads_history = history
        space = dataset.schema.user
        self.user_row = int(dataset.id_lookup(USER_ROW).lookup(pa.array([user], ARROW_TYPES[space.dtype]))[0])
        self._stored_user = user.encode() if isinstance(user, str) else user
        self._positions = np.full(dataset.num_rows(ITEM_ROW), -1)
        self._positions[items] = np.arange(len(items))
        self.item_seen, self.user_seen = np.zeros(len(items), bool), False
        self.of_items = {name: np.repeat(np.asarray(_missing(dataset, feature))[None], len(items), axis=0)
                         for name, feature in features.items() if feature.source == "items"}
        self.of_user: dict[str, np.ndarray] = {}
        self.history = np.full(dataset.schema.history.length if dataset.schema.history else 0, PADDING, np.int64)
        self._counts: dict[str, np.ndarray] = {}

    def run(self, counted: Sequence[str]) -> None:
        """Reads all features, and counts the values of the ``counted`` ones in the training impressions."""
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
                    self._read_items(batch)
                    longest = self._read_user(batch, longest)
                    for name in vocabularies if split == IMPRESSION_SPLITS[0] else ():
                        self._counts[name] += np.bincount(batch[name], minlength=len(self._counts[name]))
            if len(longest):
                # Records are not in order of time. The longest history of a window is the latest, until it is full.
                self.history = longest

    def _read_items(self, batch: Mapping[str, np.ndarray]) -> None:
        positions = self._positions[batch[ITEM_ROW]]
        here = np.flatnonzero(positions >= 0)
        self.item_seen[positions[here]] = True
        for name, values in self.of_items.items():
            values[positions[here]] = batch[name][here]

    def _read_user(self, batch: Mapping[str, np.ndarray], longest: np.ndarray) -> np.ndarray:
        """Reads the user's features; returns the longest history so far, from that before this batch."""
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
        """The most frequent row of a feature with one row per impression; a missing value of any other feature."""
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
    return feature.batch_column(raw, lambda name, values: dataset.id_lookup(name).lookup(values))[0]


def _decoded(dataset: Dataset, feature: Feature, value: Any) -> Any:
    """The raw value that a batch's value stands for; None if it is missing or shared, or there is no single one."""
    if not feature.record_column.is_category:
        return None
    vocabulary = dataset.vocabulary(feature.name)
    raw = vocabulary.ids[int(value) - vocabulary.oov_rows].as_py() if value >= vocabulary.oov_rows else None
    return None if raw == MISSING[vocabulary.dtype] else raw
