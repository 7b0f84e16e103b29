"""Counts of the joins of impressions: how many find a match, and how many have no value of a feature."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.records.files import WriteJson
from beam_pipelines.transforms.side_tables import match_column
from tfrs_pretrain.data.joins import PRETRAINED_BOTH, PRETRAINING_JOINS, SIDE_TABLE_JOINS
from tfrs_pretrain.features.base import Feature

JOIN_COUNTS_FILE = "joins.json"  # in the results of a job: split -> JoinCounts.to_json()
MAX_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class JoinCounts:
    """Counts over some impressions. They are additive.

    Attributes:
      impressions: number of impressions.
      found: name of a join, or ``PRETRAINED_BOTH`` -> number of impressions that find a match.
      missing: feature -> number of impressions without a value.
      unmatched: name of a join -> a few ids without a match, as examples for a message.
    """

    impressions: int = 0
    found: Counter[str] = dataclasses.field(default_factory=Counter)
    missing: Counter[str] = dataclasses.field(default_factory=Counter)
    unmatched: dict[str, list[Any]] = dataclasses.field(default_factory=dict)

    def __add__(self, other: "JoinCounts") -> "JoinCounts":
        unmatched = {join: sorted({*self.unmatched.get(join, []), *other.unmatched.get(join, [])})[:MAX_EXAMPLES]
                     for join in self.unmatched | other.unmatched}
        return JoinCounts(self.impressions + other.impressions, self.found + other.found, self.missing + other.missing,
                          unmatched)

    def to_json(self) -> dict[str, Any]:
        """Converts to JSON types."""
        return vars(self) | {"found": dict(self.found), "missing": dict(self.missing)}


def count_joins(batch: pa.RecordBatch, pretrained: dict[str, np.ndarray], features: Iterable[Feature]) -> JoinCounts:
    """Counts the joins of a batch.

    Args:
      batch: impressions [n] joined with the side tables.
      pretrained: id space -> bool [n], whether the id has engagements in the pretraining window.
      features: features whose values the batch has.
    """
    matched = {join: pretrained[join.space] for join in PRETRAINING_JOINS}
    matched |= {join: batch[match_column(join.table)].is_valid().to_numpy(zero_copy_only=False)
                for join in SIDE_TABLE_JOINS if join.table and match_column(join.table) in batch.schema.names}
    found = {join.name: int(mask.sum()) for join, mask in matched.items()}
    found[PRETRAINED_BOTH] = int((pretrained["user"] & pretrained["item"]).sum())
    unmatched = {join.name: batch[join.id_column].take(pa.array(_spread(np.flatnonzero(~mask)))).to_pylist()
                 for join, mask in matched.items()}
    missing = {feature.name: feature.num_missing(batch[feature.name]) for feature in features}
    return JoinCounts(batch.num_rows, Counter(found), Counter(missing), unmatched)


def _spread(places: np.ndarray) -> np.ndarray:
    """Selects up to MAX_EXAMPLES places from all parts of a batch: neighbours often have the same user."""
    step = max(len(places) // MAX_EXAMPLES, 1)
    return places[::step][:MAX_EXAMPLES]


class WriteJoinCounts(beam.PTransform):
    """Adds up ``(split, JoinCounts)`` and writes them as a result for the process that launched the job."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def expand(self, split_to_counts: beam.PCollection[tuple[str, JoinCounts]]) -> beam.PCollection[str]:
        return (
            split_to_counts
            | "SumJoinCounts" >> beam.CombinePerKey(_SumJoinCounts())
            | "GatherSplits" >> beam.combiners.ToDict()
            | "WriteJoinCounts" >> WriteJson(self._path)
        )


class _SumJoinCounts(beam.CombineFn):
    def create_accumulator(self) -> JoinCounts:
        return JoinCounts()

    def add_input(self, accumulator: JoinCounts, element: JoinCounts) -> JoinCounts:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[JoinCounts]) -> JoinCounts:
        return sum(accumulators, JoinCounts())

    def extract_output(self, accumulator: JoinCounts) -> dict[str, Any]:
        return accumulator.to_json()
